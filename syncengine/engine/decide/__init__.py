"""Pure decisions: what both sides should be, computed from documents alone, without a store, a network or a clock."""
