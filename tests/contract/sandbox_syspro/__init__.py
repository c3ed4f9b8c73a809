"""Contract of the simulated SYSPRO with the references."""
