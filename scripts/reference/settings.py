"""docs/reference/settings.md: everything that syncengine.yml may say."""

from __future__ import annotations

from collections.abc import Iterator

from scripts.reference.markdown import code, heading, shown, table
from syncengine import connectors
from syncengine.connectors.declared import DeclaredSetting, SettingType
from syncengine.engine.setup.installation import CONNECTION_ENTRIES

ABOUT = """`syncengine.yml` has two parts: `endpoints:`, the accounts of the systems, and `connections:`, which join two each.
[The example](../syncengine.example.yml) is a complete file, [Change the configuration](../operate/configure.md) says what a
change does. Settings and lookup tables that a connection's flows use are in [flows.md](flows.md).

An endpoint has `system:`, `settings:` and `secrets:`. Secrets are stored encrypted. Numbers of a setting that ends in `_s` are
seconds."""
NAMES = {"brightpearl": "Brightpearl", "syspro": "SYSPRO"}


def page() -> str:
    """The page."""
    return "\n".join([heading("Settings of syncengine.yml", ABOUT), *_connections(), *_endpoints()])


def _connections() -> Iterator[str]:
    yield "## A connection\n"
    yield table(
        ("entry", "meaning"),
        [(code(name), f"{about[0].upper()}{about[1:]}.") for name, about in CONNECTION_ENTRIES.items()],
    )


def _endpoints() -> Iterator[str]:
    for system in connectors.systems():
        yield f"## An endpoint of {NAMES.get(system, system)}\n"
        yield table(
            ("setting", "takes", "default", "meaning"),
            [_setting(declared) for declared in connectors.settings_of(system)],
        )
        yield table(
            ("secret", "needed with", "meaning"),
            [
                (code(declared.name), _condition(declared.needed_if), declared.about)
                for declared in connectors.secrets_of(system)
            ],
        )


def _setting(setting: DeclaredSetting) -> tuple[str, ...]:
    return code(setting.name), _takes(setting), _default(setting), _about(setting)


def _condition(lines: str) -> str:
    """`gateway: enet, or auth: session`, each line as code."""
    return " or ".join(" and ".join(map(code, either.split(", "))) for either in lines.split(", or "))


def _takes(setting: DeclaredSetting) -> str:
    if setting.type is SettingType.CHOICE:
        return ", ".join(code(choice) if choice else "empty" for choice in setting.choices)
    least = f", at least {setting.least:g}" if setting.least else ""
    unit = f" of {setting.unit}" if setting.unit else ""
    return f"{setting.type}{unit}{least}"


def _default(setting: DeclaredSetting) -> str:
    if setting.default is None:
        return "required"
    return shown(setting.default)


def _about(setting: DeclaredSetting) -> str:
    needed = f" Required with {_condition(setting.needed_if)}." if setting.needed_if else ""
    about = setting.about.rstrip(".")
    is_sentence = not about.startswith(("http", "e.net", "`"))
    return f"{about[0].upper() if is_sentence else about[0]}{about[1:]}.{needed}"
