"""A trading day at both simulated systems, with an actor who keeps a ledger of the goods that are really there."""
