"""The simulated Brightpearl, as strict and as odd as reference/brightpearl.md records it."""
