"""The simulated Brightpearl, with the strictness and the quirks that reference/brightpearl.md records."""
