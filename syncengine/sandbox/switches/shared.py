"""Switches of both systems."""

from __future__ import annotations

from types import MappingProxyType

from syncengine.sandbox.switches.declaration import Declarations

SWITCHES: Declarations = MappingProxyType(
    {
        "latency_s": (0.02, "seconds before any call is answered"),
        "brightpearl_latency_s": (None, "seconds before Brightpearl answers; none: latency_s"),
        "syspro_latency_s": (None, "seconds before SYSPRO answers; none: latency_s"),
        "brightpearl_write_latency_s": (None, "seconds before a Brightpearl write is answered; none: as any call"),
        "syspro_write_latency_s": (None, "seconds before a SYSPRO write is answered; none: as any call"),
        "clock_offset_s": (0.0, "seconds that the sandbox's clock is ahead of the machine's"),
    }
)
