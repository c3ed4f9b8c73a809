"""SYSPRO simulated: one company behind e.net's REST form and the proposed Harmony interface.

Facts: syspro-transport.md and syspro-objects.md; where they are silent, a switch decides (`switches/syspro.py`).
"""
