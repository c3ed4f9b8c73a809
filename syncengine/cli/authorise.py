"""`syncengine authorise`: have the owner of an account agree that this app may use it."""

from __future__ import annotations

import secrets
import sys
from urllib.parse import parse_qs, urlsplit

import click

from syncengine.cli._engine import as_json, engine, me, show_json
from syncengine.engine.traffic import endpoints
from syncengine.errors import Misconfigured


@click.command("authorise")
@click.argument("name")
@as_json
def command(name: str, as_json: bool) -> None:
    """Authorise the app of the endpoint NAME: for the first time, or when its refresh token has become void.

    Shows the address at which the account's owner agrees. Their browser is then sent on to the app's redirect address;
    paste the whole of that (or pipe it in). The code in it is good once, for some minutes. The tokens go into the vault.
    """
    state = secrets.token_urlsafe(16)
    with engine(calls=True) as one:
        address = endpoints.consent_url(one, name, state)
        click.echo(f"Open this address, sign in to the account and agree:\n\n  {address}\n", err=True)
        endpoints.authorise(one, name, _code(_answer(), state), by=me())
    if as_json:
        show_json({"endpoint": name, "authorised": True})
    else:
        click.echo(f"{name} is authorised. `syncengine check` shows that it answers.")


def _answer() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    return str(click.prompt("The address that the browser was sent to (not shown here)", hide_input=True)).strip()


def _code(answer: str, state: str) -> str:
    """The code in what was pasted: an address, or the code itself. Raises Misconfigured."""
    if "://" not in answer:
        if not answer:
            raise Misconfigured("no address was given. Paste the address that the browser was sent to, with its code")
        return answer
    query = {name: values[0] for name, values in parse_qs(urlsplit(answer).query).items()}
    if "code" not in query:
        why = query.get("error_description") or query.get("error") or "it bears no code"
        raise Misconfigured(f"that address authorises nothing: {why}. Open the address above anew, and agree")
    if query.get("state") != state:
        raise Misconfigured(
            "that address answers another request (its state differs). Run `syncengine authorise` again,"
            " open the address that it shows, and paste the one that comes of it"
        )
    return query["code"]
