"""Corrections of a dead letter's source document: where they come from, and withdrawing them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from syncengine.cli._exit import Exit
from syncengine.cli._output import show_json
from syncengine.cli._person import has_terminal, me
from syncengine.engine.core.engine import Engine
from syncengine.engine.decide import patches
from syncengine.engine.people import dead_letter_detail
from syncengine.engine.people.dead_letter_detail import Source
from syncengine.engine.steps.pump import pump
from syncengine.errors import Misconfigured


def unchanged(source: Source, as_json: bool) -> Exit:
    """Say that a patch changes nothing, or nothing that an earlier correction has not changed."""
    current = source.active
    if as_json:
        known = {"active": current.id, "by": current.made_by} if current else {"active": None, "by": ""}
        show_json({"correction": None, **known})
    elif current is None:
        click.echo("No changes made.")
    else:
        click.echo(f"Correction {current.id} by {current.made_by} already contains this. No changes made.")
    return Exit.NO


def withdraw(engine: Engine, id_: int, as_json: bool) -> Exit:
    """Withdraw the correction of a dead letter and retry its record; returns the exit code."""
    withdrawn = dead_letter_detail.withdraw(engine, id_, by=me())
    last = "" if withdrawn else dead_letter_detail.ended_last(engine, id_)
    if withdrawn:
        pump(engine)
    if as_json:
        show_json({"withdrawn": withdrawn, "last": last})
    elif withdrawn:
        click.echo("Correction withdrawn; the record is being retried.")
    else:
        click.echo(f"No correction to withdraw. The last one: {last}." if last else "No correction to withdraw.")
    return Exit.OK if withdrawn else Exit.NO


def patch_of(source: Source, values: Sequence[str], additions: Sequence[str], file: Any) -> patches.Patch:
    """The correction that the options or the editor give; empty if nothing was edited. Raises Misconfigured, UsageError."""
    if file is not None:
        return patches.of_text(_text(file), f"--patch {file.name}")
    if values or additions:
        before = source.active.patch if source.active else ()
        return [*before, *patches.of_values(source.present, values, additions)]
    if not has_terminal():
        raise click.UsageError("no terminal to edit in: use --set, --add or --patch")
    edited = click.edit(patches.text_of(source.present), extension=".json")
    return patches.of_edit(source.original, edited) if edited is not None else ()


def _text(file: Any) -> str:
    try:
        return str(file.read())
    except UnicodeDecodeError as error:
        raise Misconfigured(f"--patch {file.name} is not UTF-8 (byte {error.start + 1}). Save it as UTF-8") from None
