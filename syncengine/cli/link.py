"""`syncengine link FLOW LEFT RIGHT`: two objects that exist are the same."""

from __future__ import annotations

from typing import Any

import click

from syncengine.cli import _named
from syncengine.cli._engine import NO, agreed, as_json, engine, json_text, me, show_json
from syncengine.engine.people import manual_links
from syncengine.engine.people.manual_links import Pairing
from syncengine.redaction import redact, safe_text


@click.command("link")
@click.argument("flow")
@click.argument("left")
@click.argument("right")
@click.option("--connection", metavar="NAME", help="In this connection, where several have the flow.")
@click.option("--part", default="", metavar="PART", help="Which part, where one object becomes several (as EUR).")
@click.option("--because", default="", metavar="TEXT", help="Why, for those who see it later.")
@click.option("--whole", is_flag=True, help="Show both documents, too.")
@_named.yes_option
@as_json
def command(
    flow: str, left: str, right: str, connection: str | None, part: str, because: str, whole: bool, yes: bool,
    as_json: bool,
) -> int:  # fmt: skip
    """Link two objects that exist on both sides: LEFT of the left system, RIGHT of the right one, by key or reference.

    Both are read, and shown is what differs; --json and --whole have both documents. Neither may be linked already, and PART
    must be one to which the source's object is mapped. Then they are compared without an agreement: each field that differs
    goes by its policy, which means that most are held for a person. Nothing is created for this part; other parts that are
    not linked are named.
    """
    with engine(sends=True, calls=True) as one:
        pairing = manual_links.inspect(one, _named.connection_of(one, flow, connection), flow, left, right, part=part)
        made = _doc(pairing)
        if not as_json:
            _show(pairing, whole=whole)
        if not (yes or agreed(as_json, "Link these two?")):
            if as_json:
                show_json({"linked": False, **made})
            else:
                click.echo("Nothing changed. Add --yes to go ahead.")
            return NO
        record = manual_links.join(one, pairing, by=me(), because=because)
    if as_json:
        show_json({"linked": True, **made})
    else:
        click.echo(
            f"Linked; {record.flow} {record.key} is compared at once. `syncengine trace {left}` shows what comes of it."
        )
    return 0


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
    """Field by field, and what becomes of it; None if it cannot be told before they are linked."""
    found = pairing.differences
    if found is None:
        return None
    held = [(one, "held: " + one.because) for one in found.conflicts]
    left = [(one, "left: " + one.because) for one in found.kept]
    made = [{"path": one.path, "source": one.wanted, "target": one.current, "then": then} for one, then in held + left]
    made += [
        {"path": name, "source": change.new, "target": change.old, "then": "written"}
        for name, change in found.changes.items()
    ]
    for line in found.lines:
        for name, change in line.changes.items():
            path = f"{line.field}[{line.key}].{name}"
            made.append({"path": path, "source": change.new, "target": change.old, "then": "written"})
    return redact(made)  # type: ignore[no-any-return]


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
        click.echo(f"Nothing would be created for the source's object: {pairing.reason}")
    differences = _differences(pairing)
    if differences is None:
        click.echo("What differs is told once they are linked.")
    for one in differences or ():
        source, target = (safe_text(one[side]) or "nothing" for side in ("source", "target"))
        click.secho(f"  {one['path']}: source {source}, target {target} ({one['then']})", fg="yellow")
    if differences == []:
        click.echo("They agree in every field of the flow.")


def _warnings(pairing: Pairing) -> list[str]:
    """What a person should know before they say yes."""
    found = []
    if pairing.identity:
        found.append(f"They look like two different objects: {pairing.identity}")
    if pairing.creates:
        parts = ", ".join(part or "(the whole)" for part in pairing.creates)
        found.append(f"Not linked yet, and created when it is looked at next: {parts}. Link these too if they exist")
    if pairing.ignored:
        found.append(f"It is ignored ({pairing.ignored}); linked, it is synced again")
    found += [
        f"The outcome of {name} is unknown; linked, it has made the target's object" for name in pairing.doubts.values()
    ]
    return found
