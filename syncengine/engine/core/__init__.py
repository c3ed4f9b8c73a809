"""The base of the engine's other packages: the engine object, leases, records, wants, failures and the timeline."""
