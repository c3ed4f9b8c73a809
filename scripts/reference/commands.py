"""docs/reference/commands.md: every command with its help."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Iterator

import click

from scripts.reference.markdown import code, heading, table
from syncengine.cli import commands
from syncengine.sandbox.__main__ import parser

ABOUT = """`syncengine COMMAND --help` shows the same. Exit codes are in [Operating syncengine](../operations.md#exit-codes)."""


def page() -> str:
    """The page."""
    context = click.Context(commands, info_name="syncengine")
    return "\n".join([heading("Commands", ABOUT), *_group(commands, context)])


def _group(group: click.Group, context: click.Context) -> Iterator[str]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None:
            continue
        inner = click.Context(command, info_name=name, parent=context)
        yield from _command(command, inner)
        if isinstance(command, click.Group):
            yield from _group(command, inner)


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    path = context.command_path
    level = "##" if path.count(" ") == 1 else "###"
    usage = " ".join([path.removeprefix("syncengine "), *command.collect_usage_pieces(context)])
    yield f"{level} {path}\n"
    yield f"```\nsyncengine {usage}\n```\n"
    yield f"{inspect.cleandoc(command.help or '').replace(chr(8), '')}\n"
    records = list(_sandbox()) if path == "syncengine sandbox" else list(_options(command, context))
    if records:
        yield table(("option", "meaning"), [(code(names), about) for names, about in records])


def _options(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and "--help" not in record[0]:
            yield record


def _sandbox() -> Iterator[tuple[str, str]]:
    for action in parser()._actions:
        if isinstance(action, argparse._HelpAction):
            continue
        names = ", ".join(action.option_strings)
        about = (action.help or "").replace("%(default)s", str(action.default))
        yield (f"{names} {action.metavar or ''}".strip(), about)
