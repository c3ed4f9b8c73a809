"""What every other room of the engine builds on: the engine put together, leases, records, wants, failures, the timeline."""
