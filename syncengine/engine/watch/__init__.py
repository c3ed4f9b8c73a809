"""Whether the engine makes progress, and what people are alerted to."""
