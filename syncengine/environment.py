"""The environment and `.env`: their values, names that nothing reads, and who may read the file."""

from __future__ import annotations

import difflib
import os
import stat
from collections.abc import Collection, Mapping
from pathlib import Path

from dotenv import dotenv_values

PREFIX = "SYNCENGINE_"
FILE = Path(".env")


def unknown(env: Mapping[str, str], known: Collection[str], config_path: Path) -> list[str]:
    """One line for each variable of ours that no setting reads, with the nearest valid name; empty if there are none.

    Args:
        env: the environment and `.env` (`current`).
        known: names of all settings (`settings.variables`).
        config_path: the configuration file. A name that it refers to as `${NAME}` belongs to the user.
    """
    wrong = sorted(name for name in env if name.startswith(PREFIX) and name not in known)
    text = _text(config_path) if wrong else ""
    return [_complaint(name, known) for name in wrong if f"${{{name}}}" not in text]


def readable_by_others(path: Path = FILE) -> str:
    """The mode of a file that others than its owner may read or write, such as `0644`; empty if nobody else may."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return ""
    return f"{mode:04o}" if mode & 0o077 else ""


def _complaint(name: str, known: Collection[str]) -> str:
    by_rest = {valid.removeprefix(PREFIX): valid for valid in known}
    close = difflib.get_close_matches(name.removeprefix(PREFIX), by_rest, n=1, cutoff=0.65)
    hint = f". Did you mean {by_rest[close[0]]}?" if close else ". .env.example lists all settings"
    return f"{name} is not a setting and has no effect{hint}"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def current() -> dict[str, str]:
    """The variables of `.env` in the working folder, overridden by the process's environment. `$` has no meaning in `.env`."""
    from_file = {name: value for name, value in dotenv_values(FILE, interpolate=False).items() if value is not None}
    return {**from_file, **os.environ}
