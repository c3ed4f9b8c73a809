"""`syncengine link FLOW LEFT RIGHT`: link two existing objects."""

from __future__ import annotations

from typing import Any

import click

from syncengine.cli import _named
from syncengine.cli._engine import open_engine
from syncengine.cli._exit import Exit
from syncengine.cli._options import as_json, because_option, connection_option, yes_option
from syncengine.cli._output import NOT_CONFIRMED, json_text, show_json
from syncengine.cli._person import confirmed, me
from syncengine.engine.people import manual_links
from syncengine.engine.people.manual_links import Pairing
from syncengine.redaction import redact, safe_text


@click.command("link")
@click.argument("flow")
@click.argument("left")
@click.argument("right")
@connection_option
@click.option("--part", default="", metavar="PART", help="Part to link, if one object becomes several (e.g. EUR).")
@because_option
@click.option("--whole", is_flag=True, help="Also show both documents.")
@yes_option
@as_json
def command(
    flow: str, left: str, right: str, connection: str | None, part: str, because: str, whole: bool, yes: bool,
    as_json: bool,
) -> int:  # fmt: skip
    """Link two existing objects.

    LEFT is the key or reference of the object in the left system, RIGHT of the one in the right system; an object that
    was read before may be given by any of its names, such as an e-mail address. Both are read
    and their differences shown; --json and --whole include both documents. Neither may be linked already, and the
    source's object must be mapped to PART. They are then compared for the first time: each differing field follows its
    conflict policy, so most are held for a person. Nothing is created for this part; other unlinked parts are listed.
    """
    with open_engine(sends=True, calls=True) as engine:
        pairing = manual_links.inspect(
            engine, _named.connection_of(engine, flow, connection), flow, left, right, part=part
        )
        doc = _doc(pairing)
        if not as_json:
            _show(pairing, whole=whole)
        if not (yes or confirmed(as_json, "Link these two objects?")):
            if as_json:
                show_json({"linked": False, **doc})
            else:
                click.echo(NOT_CONFIRMED)
            return Exit.NO
        record = manual_links.join(engine, pairing, by=me(), because=because)
    if as_json:
        show_json({"linked": True, **doc})
    else:
        click.echo(
            f"Linked. {record.flow} {record.key} is being compared; use `syncengine trace {left}` to see the result."
        )
    return Exit.OK


def _doc(pairing: Pairing) -> dict[str, Any]:
    return {
        "flow": pairing.flow,
        "part": pairing.part,
        "left": {"key": pairing.left[0], "document": redact(pairing.left[1])},
        "right": {"key": pairing.right[0], "document": redact(pairing.right[1])},
        "differs": _differences(pairing),
        "identity": pairing.identity,
        "creates": list(pairing.creates),
        "ignored": pairing.ignored,
        "settles": list(pairing.doubts.values()),
    }


def _differences(pairing: Pairing) -> list[dict[str, Any]] | None:
    """Field by field, with what happens to each; None if that is unknown until they are linked."""
    found = pairing.differences
    if found is None:
        return None
    outcomes = [(difference, f"held: {difference.because}") for difference in found.conflicts]
    outcomes += [(difference, f"kept: {difference.because}") for difference in found.kept]
    rows = [
        {"path": difference.path, "source": difference.wanted, "target": difference.current, "then": then}
        for difference, then in outcomes
    ]
    rows += [
        {"path": name, "source": change.new, "target": change.old, "then": "written"}
        for name, change in found.changes.items()
    ]
    for line in found.lines:
        for name, change in line.changes.items():
            path = f"{line.field}[{line.key}].{name}"
            rows.append({"path": path, "source": change.new, "target": change.old, "then": "written"})
    return redact(rows)  # type: ignore[no-any-return]


def _show(pairing: Pairing, *, whole: bool) -> None:
    reference = f", reference {pairing.natural_key}" if pairing.natural_key else ""
    part = f" in part {pairing.part}" if pairing.part else ""
    click.secho(f"{pairing.flow}: left {pairing.left[0]}, right {pairing.right[0]}{part}{reference}", bold=True)
    for name, (key, document) in (("left", pairing.left), ("right", pairing.right)) if whole else ():
        click.secho(f"{name} {key}", bold=True)
        click.echo(json_text(redact(document)))
    for warning in _warnings(pairing):
        click.secho(warning, fg="red")
    if pairing.reason:
        click.echo(f"Without the link, nothing would be created for the source's object: {pairing.reason}")
    differences = _differences(pairing)
    if differences is None:
        click.echo("Differences are known only after linking.")
    for difference in differences or ():
        source, target = (safe_text(difference[side]) or "nothing" for side in ("source", "target"))
        click.secho(f"  {difference['path']}: source {source}, target {target} ({difference['then']})", fg="yellow")
    if differences == []:
        click.echo("All fields of the flow are equal.")


def _warnings(pairing: Pairing) -> list[str]:
    """What a person should know before confirming."""
    found = []
    if pairing.identity:
        found.append(f"They look like two different objects: {pairing.identity}")
    if pairing.creates:
        parts = ", ".join(part or "(whole object)" for part in pairing.creates)
        found.append(f"Not linked yet, and created by the next sync: {parts}. Link these too if they exist")
    if pairing.ignored:
        found.append(f"It is ignored ({pairing.ignored}); linking it resumes its sync")
    found += [
        f"The outcome of {name} is unknown; linking records that it created the target's object"
        for name in pairing.doubts.values()
    ]
    return found
