"""Settings of a connection: checked against the settings that flows declare."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from syncengine.errors import Misconfigured
from syncengine.flows.flow import Flow
from syncengine.mapping.conversions import zone_named
from syncengine.mapping.runtime import Unfit, key_text
from syncengine.mapping.scope import Setting, checked_setting
from syncengine.mapping.shapes import nearest


def check_connection(
    flows: Iterable[Flow], settings: Mapping[str, Any], at: Callable[[str], str], *, is_complete: bool = True
) -> None:
    """Check the settings of a connection against those that its flows declare.

    at: file and line of an entry (`settings.branch`), for errors. is_complete: `flows` are all that may declare a setting;
    otherwise a setting that none of them declares is accepted.

    Raises Misconfigured for a setting that no flow declares, that has no value, or that is not of its declared kind.
    """
    declared: dict[str, list[Setting]] = {}
    for flow in flows:
        for name, setting in flow.declared.items():
            declared.setdefault(name, []).append(setting)
    for name, value in settings.items():
        entry = f"settings.{name}"
        if name not in declared and is_complete:
            raise Misconfigured(f"{at(entry)}: no flow has a setting {name!r}{nearest(name, declared)}")
        if value is None:
            raise Misconfigured(f"{at(entry)}: {entry} has no value", "Write one, or remove the line for its default")
        try:
            for setting in declared.get(name, ()):
                check_setting(name, setting, value)
        except WrongItem as error:
            raise Misconfigured(f"{at(f'{entry}.{error.index}')}: {error.reason}, not {error.value!r}") from None
        except Unfit as error:
            raise Misconfigured(f"{at(entry)}: {error.reason}, not {value!r}") from None


class WrongItem(Unfit):
    """An item of a list is wrong. index: its place."""

    def __init__(self, reason: str, *, value: Any, index: int) -> None:
        super().__init__(reason, value=value)
        self.index = index


def check_setting(name: str, setting: Setting, value: Any) -> None:
    """Raise Unfit unless the value is of the setting's kind. A time zone may be empty if its default is empty."""
    checked = checked_setting(name, setting, value)
    if setting.is_ids:
        for index, item in enumerate(checked or ()):
            if isinstance(item, bool) or not key_text(item).isdecimal():
                raise WrongItem(f"the setting {name} must be a list of ids, which are numbers", value=item, index=index)
    if not setting.is_zone or (not checked and not setting.default):
        return
    try:
        zone_named(checked)
    except Unfit:
        raise Unfit(f"the setting {name} must be an IANA time zone such as Europe/London", value=value) from None
