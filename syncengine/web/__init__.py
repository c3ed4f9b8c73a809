"""The web process: webhooks in, health and metrics out. Nothing in it holds state that the store does not have."""
