"""What is known of writes: intentions, outcomes, unknown writes, links between both sides, and write ceilings."""
