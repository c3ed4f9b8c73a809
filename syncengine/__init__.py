"""syncengine keeps Brightpearl and SYSPRO in step. `docs/architecture.md` shows the house."""

__version__ = "0.1.0"
