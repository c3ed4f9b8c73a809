"""What may be called now: paused endpoints, quotas, queues."""
