"""syncengine keeps Brightpearl and SYSPRO in step. `docs/architecture.md` describes the structure."""

__version__ = "0.1.0"
