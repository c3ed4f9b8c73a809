"""Checks of answers to `syncengine init`, the same as those of `syncengine configure`; none of them needs an installation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from syncengine import clock, connectors, keys
from syncengine.cli._init_files import pairs, value_of
from syncengine.cli._init_questions import BRIGHTPEARL, LOOKUPS, SHOP, STOCK_TABLE, SYSPRO, SYSTEMS, Answers, Question
from syncengine.connectors.base import Connector, Endpoint
from syncengine.engine.setup import bootstrap, checks, configure
from syncengine.engine.setup.installation import CONNECTION_ENTRIES
from syncengine.errors import Misconfigured
from syncengine.flows import SHIPPED
from syncengine.flows.loader import load_flows
from syncengine.flows.settings import check_connection
from syncengine.store import Store
from syncengine.vault import Vault

_STAND_IN = "https://example.com"  # for settings without an answer so far: a text and an address


class _AnswersVault(Vault):
    """Has the answers instead of stored secrets."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, (keys.new(),))
        self.secrets: dict[str, str] = {}

    def read(self, endpoint_id: int, name: str) -> str | None:  # noqa: ARG002 - one endpoint is called
        """The answer."""
        return self.secrets.get(name)


class Checks:
    """The checks, with an empty store in `folder` that no check reads or writes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._flows = load_flows([SHIPPED], connectors.resources())
        self._store = Store(f"sqlite:///{folder / 'empty.db'}")
        self._vault = _AnswersVault(self._store)

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def answer(self, question: Question, text: str, answers: Answers) -> str:
        """The answer as it is kept. answers: the earlier ones. Raises Misconfigured."""
        text = text.strip() if not question.is_secret else text
        if not text and question.is_needed:
            raise Misconfigured(f"{question.option}: an answer is needed")
        if not text:
            return ""
        if question.choices and text not in question.choices:
            raise Misconfigured(f"{question.option}: {text!r} is not one of {', '.join(question.choices)}")
        if question.part and not question.is_secret:
            self._connector(question.part, {**answers, question.name: text}).close()
        elif question in (*LOOKUPS, STOCK_TABLE):
            pairs(question, text)
        elif not question.part:
            return self._of_connection(question, text, answers)
        return text

    def _of_connection(self, question: Question, text: str, answers: Answers) -> str:
        if question.key == "cut_over":
            return _cut_over(text, answers["time_zone"])
        if question.key in CONNECTION_ENTRIES:  # not a setting of a flow
            return text
        if question.key == "home_currency" and not re.fullmatch(r"[A-Za-z]{3}", text):
            raise Misconfigured(
                f"{question.option}: {text!r} is not a currency", "Write its three letters, such as GBP"
            )
        check_connection(self._flows.values(), {question.key: value_of(question, text)}, lambda _: question.option)
        return text.upper() if question.key == "home_currency" else text

    def statuses(self, answers: Answers) -> Mapping[str, str]:
        """The order statuses of the account by id; one call. Raises SyncError if the account does not answer."""
        self._vault.secrets = {
            question.key: answers[question.name]
            for question in BRIGHTPEARL
            if question.is_secret and answers[question.name]
        }
        connector = self._connector(SHOP, answers, limit_per_minute=0)
        try:
            return connector.listed("order statuses")
        finally:
            connector.close()

    def files(self, configuration: str, env: Mapping[str, str]) -> None:
        """Whether `configure` accepts the file as it is. Raises Misconfigured."""
        path = self._folder / "syncengine.yml"
        path.write_text(configuration, encoding="utf-8")
        checks.check(self._store, self._vault, self._flows, configure.read_file(path, env), call_s=None)

    def _connector(self, part: str, answers: Answers, **more: Any) -> Connector:
        settings = {**_stand_ins(part), **_settings(part, answers), **more}
        endpoint = Endpoint(0, part, SYSTEMS[part], settings)
        return connectors.connect(endpoint, bootstrap.services(self._store, self._vault, None))


def _settings(part: str, answers: Answers) -> dict[str, Any]:
    questions = BRIGHTPEARL if part == SHOP else SYSPRO
    return {
        question.key: answers[question.name]
        for question in questions
        if not question.is_secret and answers.get(question.name)
    }


def _stand_ins(part: str) -> dict[str, Any]:
    """Values for settings that are required and not answered yet."""
    return {
        setting.name: _STAND_IN
        for setting in connectors.settings_of(SYSTEMS[part])
        if setting.default is None or setting.needed_if
    }


def _cut_over(text: str, zone: str) -> str:
    """A day (at its midnight in the account's time zone) or a time with its zone, as the file has it. Raises Misconfigured."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Misconfigured(f"--cut-over: {text!r} is not a date", "Write 2026-01-31") from None
    return (found if found.tzinfo else found.replace(tzinfo=ZoneInfo(zone))).isoformat()


def today(zone: str) -> str:
    """Today's date in a time zone."""
    return clock.now().astimezone(ZoneInfo(zone)).date().isoformat()
