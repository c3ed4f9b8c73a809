"""`syncengine authorise`: let the owner of an account grant this app access."""

from __future__ import annotations

import secrets
import sys
from urllib.parse import parse_qs, urlsplit

import click

from syncengine.cli._engine import open_engine
from syncengine.cli._options import as_json
from syncengine.cli._output import show_json
from syncengine.cli._person import me
from syncengine.engine.traffic import endpoints
from syncengine.errors import Misconfigured


@click.command("authorise")
@click.argument("name")
@as_json
def command(name: str, as_json: bool) -> None:
    """Authorise the app of the endpoint NAME.

    Needed once, and again when its refresh token is no longer valid. Shows the address where the account's owner grants
    access. The browser is then redirected to the app's redirect address; paste that whole address (or pipe it in). Its
    code works once and expires within minutes. The tokens are stored in the vault.
    """
    state = secrets.token_urlsafe(16)
    with open_engine(calls=True) as engine:
        address = endpoints.consent_url(engine, name, state)
        click.echo(f"Open this address, sign in to the account and grant access:\n\n  {address}\n", err=True)
        endpoints.authorise(engine, name, _code(_answer(), state), by=me())
    if as_json:
        show_json({"endpoint": name, "authorised": True})
    else:
        click.echo(f"{name} is authorised. Run `syncengine check` to verify it.")


def _answer() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    return str(click.prompt("Address that the browser was redirected to (not echoed)", hide_input=True)).strip()


def _code(answer: str, state: str) -> str:
    """The code in what was pasted: a redirect address, or the code itself. Raises Misconfigured."""
    if "://" not in answer:
        if not answer:
            raise Misconfigured("no address given. Paste the address that the browser was redirected to, with its code")
        return answer
    query = {name: values[0] for name, values in parse_qs(urlsplit(answer).query).items()}
    if "code" not in query:
        why = query.get("error_description") or query.get("error") or "it contains no code"
        raise Misconfigured(f"this address grants no access: {why}. Open the address above again and grant access")
    if query.get("state") != state:
        raise Misconfigured(
            "this address belongs to another request (its state differs). Run `syncengine authorise` again, open the address "
            "that it shows, and paste the address you are redirected to"
        )
    return query["code"]
