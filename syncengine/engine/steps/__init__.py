"""What workers run: discover, pump, fetch, transform, push."""
