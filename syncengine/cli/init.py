"""`syncengine init`: ask for the two systems, and write `.env` and `syncengine.yml`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from syncengine import environment, keys
from syncengine.cli._init_checks import Checks, today
from syncengine.cli._init_files import Extras, configuration, env_text, values_of_env
from syncengine.cli._init_questions import QUESTIONS, Question
from syncengine.cli._init_sandbox import SANDBOX_URL, sandbox_answers, sandbox_extras
from syncengine.cli._options import as_json
from syncengine.cli._output import show_json
from syncengine.cli._person import has_terminal
from syncengine.errors import Misconfigured, SyncError

ENV, CONFIGURATION, KEYS = Path(".env"), Path("syncengine.yml"), "SYNCENGINE_KEYS"
CUT_OVER_MEANING = (
    "Orders created before the cut-over date are left alone; customers are always synced. You can move it later."
)


def _with_questions(command: Callable[..., None]) -> Callable[..., None]:
    """An option for each question; a secret can also come from the environment, so that no list of processes shows it."""
    for question in reversed(QUESTIONS):
        command = click.option(
            question.option,
            question.name,
            metavar="|".join(question.choices) or "TEXT",
            envvar=question.variable if question.is_secret else None,
            help=f"{question.prompt}.",
        )(command)
    return command


@click.command("init")
@click.option(
    "--sandbox", "is_sandbox", is_flag=True, help="Use the systems of `syncengine sandbox`, with their credentials."
)
@click.option("--sandbox-url", default=SANDBOX_URL, show_default=True, metavar="URL", help="Where the sandbox runs.")
@click.option("--force", is_flag=True, help="Replace syncengine.yml, and these variables in .env, if the files exist.")
@_with_questions
@as_json
def command(is_sandbox: bool, sandbox_url: str, force: bool, as_json: bool, **given: str | None) -> None:
    """Write .env and syncengine.yml for a new installation in this folder.

    Asks for both systems and the first settings; each answer is checked at once, as `syncengine configure` checks it.
    Every answer is also an option, so that scripts need no terminal. The connection begins in observe mode: it plans and
    writes nothing. Secrets and a new encryption key go into .env, which only its owner can read.
    """
    _refuse_existing(force, can_ask=has_terminal() and not as_json)
    presets = sandbox_answers(sandbox_url, given) if is_sandbox else {}
    with _checks() as checks:
        asking = _Asking(
            checks, {**presets, **{name: text for name, text in given.items() if text is not None}}, as_json
        )
        answers = asking.answers(only_given=is_sandbox)
        extras = sandbox_extras(sandbox_url, answers) if is_sandbox else Extras()
        before = ENV.read_text(encoding="utf-8") if ENV.is_file() else ""
        values = {**values_of_env(answers), **_key()}
        env, text = env_text(before, values), configuration(answers, extras)
        checks.files(text, {**values, **os.environ})
    _write(ENV, env, 0o600)
    _write(CONFIGURATION, text, 0o644)
    _finish(answers, is_sandbox=is_sandbox, as_json=as_json)


@contextmanager
def _checks() -> Iterator[Checks]:
    with tempfile.TemporaryDirectory(prefix="syncengine-init-") as folder:
        checks = Checks(Path(folder))
        try:
            yield checks
        finally:
            checks.close()


@dataclass(frozen=True)
class _Asking:
    """checks: of each answer. given: answers that are not asked for, by name of the question."""

    checks: Checks
    given: Mapping[str, str]
    is_quiet: bool

    @property
    def can_ask(self) -> bool:
        return has_terminal() and not self.is_quiet

    def answers(self, *, only_given: bool) -> dict[str, str]:
        """An answer to every question; empty for one that does not apply. only_given: ask nothing."""
        found: dict[str, str] = {}
        for question in QUESTIONS:
            if not question.applies(found):
                found[question.name] = ""
            elif question.name in self.given or only_given or not self.can_ask:
                found[question.name] = self._unasked(question, found, only_given)
            else:
                found[question.name] = self._asked(question, found)
        return found

    def _unasked(self, question: Question, found: Mapping[str, str], only_given: bool) -> str:
        text = self.given.get(question.name, self._default(question, found))
        if not text and question.is_needed and not only_given:
            raise Misconfigured(
                f"{question.option} is missing: {question.prompt}", "Give the option, or run this in a terminal"
            )
        return self.checks.answer(question, text, found) if text or not only_given else ""

    def _asked(self, question: Question, found: Mapping[str, str]) -> str:
        self._explain(question, found)
        while True:
            try:
                return self.checks.answer(question, self._prompted(question, found), found)
            except Misconfigured as error:
                click.secho(f"  {error}", fg="yellow")

    def _prompted(self, question: Question, found: Mapping[str, str]) -> str:
        kind: dict[str, Any] = {"type": click.Choice(question.choices)} if question.choices else {}
        default = self._default(question, found)
        optional = "" if question.is_needed else " (Enter: none)"
        return str(
            click.prompt(
                f"{question.prompt}{optional}",
                default=default or (None if question.is_needed else ""),
                hide_input=question.is_secret,
                show_default=bool(default),
                **kind,
            )
        )

    def _default(self, question: Question, found: Mapping[str, str]) -> str:
        return today(found["time_zone"]) if question.key == "cut_over" else question.default

    def _explain(self, question: Question, found: Mapping[str, str]) -> None:
        if question.key == "cut_over":
            click.echo(CUT_OVER_MEANING)
        if question.key == "eligible_statuses":
            self._show_statuses(found)

    def _show_statuses(self, found: Mapping[str, str]) -> None:
        if found["auth"] == "oauth":
            click.echo("Statuses and their ids: Brightpearl, Settings > Sales > Order statuses.")
            return
        try:
            statuses = self.checks.statuses(found)
        except SyncError as error:
            click.secho(f"  The account's order statuses cannot be listed: {error}", fg="yellow")
            return
        click.echo("Order statuses of the account:")
        for key, name in statuses.items():
            click.echo(f"  {key:>4}  {name}")


def _refuse_existing(force: bool, *, can_ask: bool) -> None:
    """Raises Misconfigured if a file exists, unless `force` is set or a person agrees."""
    existing = " and ".join(str(path) for path in (ENV, CONFIGURATION) if path.exists())
    if not existing or force:
        return
    question = f"This folder already has {existing}. Replace syncengine.yml, and the answers in .env?"
    if not can_ask or not click.confirm(question):
        raise Misconfigured(f"this folder already has {existing}. No changes made", "Use another folder, or --force")


def _key() -> dict[str, str]:
    """A new key, unless this installation has one: what was sealed with that could not be opened any more."""
    env = environment.current()
    home = Path(env.get("SYNCENGINE_HOME", "").strip() or "var")
    key_file = Path(env.get("SYNCENGINE_KEY_FILE", "").strip() or home / "key").expanduser()
    if env.get(KEYS, "").strip() or key_file.exists():
        return {}
    return {KEYS: keys.new()}


def _write(path: Path, text: str, mode: int) -> None:
    """Replace the file in one step; `mode` from the first byte on."""
    draft = path.with_name(f"{path.name}.draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


def _finish(answers: Mapping[str, str], *, is_sandbox: bool, as_json: bool) -> None:
    commands = {
        "syncengine sandbox": "in another shell, if it does not run yet",
        "syncengine up --detach": "starts everything",
        "syncengine authorise shop": "the account's owner grants access, once",
        "syncengine check": "do both systems answer with these credentials?",
        "syncengine sync orders": "reads and plans orders; writes nothing",
        "syncengine observe report": "what would be written",
    }
    if not is_sandbox:
        del commands["syncengine sandbox"]
    if answers["auth"] != "oauth":
        del commands["syncengine authorise shop"]
    if as_json:
        show_json({"files": [str(ENV), str(CONFIGURATION)], "next": list(commands)})
        return
    click.echo(f"Wrote {ENV} (secrets and the encryption key: keep a copy elsewhere) and {CONFIGURATION}. Next:\n")
    for line, purpose in commands.items():
        click.echo(f"  {line:<27}# {purpose}")
