"""The person at the command line: who they are, and what they answer."""

from __future__ import annotations

import getpass
import sys

import click


def me() -> str:
    """The user who runs the command."""
    return getpass.getuser()


def has_terminal() -> bool:
    """Whether a person can both read and type."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def confirmed(as_json: bool, question: str) -> bool:
    """Whether a person answers the question with yes; False where nobody can be asked."""
    return not as_json and sys.stdin.isatty() and click.confirm(question)
