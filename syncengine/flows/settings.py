"""Settings of a connection: checked against the settings that flows declare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from syncengine.errors import Misconfigured
from syncengine.flows.flow import Flow
from syncengine.mapping.conversions import zone_named
from syncengine.mapping.runtime import Unfit
from syncengine.mapping.scope import Setting, checked_setting
from syncengine.mapping.shapes import nearest


def check_connection(flows: Iterable[Flow], settings: Mapping[str, Any], where: str) -> None:
    """Check the settings of a connection against those that its flows declare. `where` names the connection in errors.

    Raises Misconfigured for a setting that no flow declares, or that is not of its declared kind.
    """
    declared: dict[str, list[Setting]] = {}
    for flow in flows:
        for name, setting in flow.declared.items():
            declared.setdefault(name, []).append(setting)
    for name, value in settings.items():
        if name not in declared:
            raise Misconfigured(f"{where}: no flow has a setting {name!r}{nearest(name, declared)}")
        try:
            for setting in declared[name]:
                check_setting(name, setting, value)
        except Unfit as error:
            raise Misconfigured(f"{where}: {error.reason}, not {value!r}") from None


def check_setting(name: str, setting: Setting, value: Any) -> None:
    """Raise Unfit unless the value is of the setting's kind. A time zone may be empty if its default is empty."""
    checked = checked_setting(name, setting, value)
    if not setting.is_zone or (not checked and not setting.default):
        return
    try:
        zone_named(checked)
    except Unfit:
        raise Unfit(f"the setting {name} must be an IANA time zone such as Europe/London", value=value) from None
