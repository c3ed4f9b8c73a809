"""The engine: moves records from one system to the other, whatever the systems are. docs/architecture.md has its rooms."""
