"""Background maintenance of the store: removing old rows, and resealing with a new key."""
