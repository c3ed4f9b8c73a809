"""What runs in the background over the store's own data: removal by age, and sealing with a new key."""
