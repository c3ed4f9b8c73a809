"""The two files that `syncengine init` writes, as texts made from the answers."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dotenv import dotenv_values

from syncengine.cli._init_questions import (
    BRIGHTPEARL,
    CONNECTION,
    ERP,
    LOOKUPS,
    SHOP,
    STOCK_SETTING,
    STOCK_TABLE,
    SYSPRO,
    SYSTEMS,
    Answers,
    Question,
)
from syncengine.engine.setup.installation import CONNECTION_ENTRIES
from syncengine.errors import Misconfigured

FLOWS = ("customers", "orders", "order_tax")
HEADER = (
    "# Written by `syncengine init`. All variables: docs/reference/environment.md. Only the owner may read this file.\n"
)
_TOP = """\
# Written by `syncengine init`. Apply it with `syncengine configure`, or start with `syncengine up`.
# Every entry is explained in docs/reference/settings.md; settings and lookup tables of the flows in docs/flows.md.
# ${NAME} is a variable of .env or the environment.

endpoints:
"""


@dataclass(frozen=True)
class Extras:
    """What the answers do not hold: more settings of endpoints, and settings and lookup tables of the connection."""

    endpoints: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    lookups: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def values_of_env(answers: Answers) -> dict[str, str]:
    """The variables of `.env` with their values; a question without an answer has none."""
    asked = [*BRIGHTPEARL, *SYSPRO]
    return {
        question.variable: answers[question.name] for question in asked if question.variable and answers[question.name]
    }


def env_text(before: str, values: Mapping[str, str]) -> str:
    """`.env` with these values: lines of these variables are replaced, all others stay. Raises Misconfigured."""
    lines = (before or HEADER).splitlines()
    left = dict(values)
    for number, line in enumerate(lines):
        name = line.partition("=")[0].removeprefix("export ").strip()
        if name in left:
            lines[number] = f"{name}={_quoted(name, left.pop(name))}"
    lines += [f"{name}={_quoted(name, value)}" for name, value in left.items()]
    text = "\n".join(lines) + "\n"
    arrived = dotenv_values(stream=io.StringIO(text), interpolate=False)
    if wrong := [name for name, value in values.items() if arrived.get(name) != value]:
        raise Misconfigured(
            f"{wrong[0]} cannot be written to .env", "Set it in the environment, or choose a value without quotes"
        )
    return text


def _quoted(name: str, value: str) -> str:
    if "\n" in value or "\r" in value:
        raise Misconfigured(f"{name} has several lines", "Give it in one line")
    if dotenv_values(stream=io.StringIO(f"{name}={value}"), interpolate=False).get(name) == value:
        return value  # docker compose takes quotes as a part of the value, so they are written only where needed
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def configuration(answers: Answers, extras: Extras) -> str:
    """syncengine.yml."""
    return _TOP + "".join(f"{line}\n" for line in (*_endpoints(answers, extras), *_connection(answers, extras)))


def _endpoints(answers: Answers, extras: Extras) -> Iterator[str]:
    for name, questions in ((SHOP, BRIGHTPEARL), (ERP, SYSPRO)):
        given = [question for question in questions if answers[question.name]]
        yield f"  {name}:"
        yield f"    system: {SYSTEMS[name]}"
        yield "    settings:"
        yield from (
            f"      {question.key}: {_reference(question, answers)}" for question in given if not question.is_secret
        )
        more = {"cost_currency": answers["home_currency"]} if name == SHOP and answers[STOCK_TABLE.name] else {}
        more |= extras.endpoints.get(name, {})
        yield from (f"      {key}: {_scalar(value)}" for key, value in more.items())
        if secrets := [question for question in given if question.is_secret]:
            yield "    secrets:                          # go into the vault, encrypted"
            yield from (f"      {question.key}: {_reference(question, answers)}" for question in secrets)
        else:
            yield f"    # no secrets: `syncengine authorise {name}` stores the tokens"


def _reference(question: Question, answers: Answers) -> str:
    return f"${{{question.variable}}}" if question.variable else _scalar(answers[question.name])


def _connection(answers: Answers, extras: Extras) -> Iterator[str]:
    yield from ("", "connections:", "  main:", f"    left: {SHOP}", f"    right: {ERP}")
    yield "    mode: observe   # plans and writes nothing; live writes (docs/operate/observe-and-go-live.md)"
    yield f"    cut_over: {answers['cut_over']}   # orders created before it are left alone"
    stock = ", inventory" if STOCK_TABLE.key in lookups_of(answers, extras) else ""
    yield f"    flows: [{', '.join(FLOWS)}{stock}]"
    if answers["complete_by_status"] == "yes":
        yield "    quiet_s: 0      # an order is complete once it has one of eligible_statuses"
    yield "    settings:"
    yield from (f"      {name}: {_scalar(value)}" for name, value in settings_of(answers, extras).items())
    yield "    lookups:                            # an order that needs a missing entry waits for it"
    yield from (f"      {name}: {_scalar(table)}" for name, table in lookups_of(answers, extras).items())


def settings_of(answers: Answers, extras: Extras) -> dict[str, Any]:
    """The connection's settings as the file has them."""
    answered = {
        question.key: value_of(question, answers[question.name])
        for question in (*CONNECTION, STOCK_SETTING)
        if question.key not in CONNECTION_ENTRIES and answers[question.name]
    }
    return {**extras.settings, **answered}


def lookups_of(answers: Answers, extras: Extras) -> dict[str, Mapping[str, str]]:
    """The connection's lookup tables as the file has them."""
    stock = [STOCK_TABLE] if answers[STOCK_TABLE.name] else []
    answered = {question.key: pairs(question, answers[question.name]) for question in (*LOOKUPS, *stock)}
    return {**answered, **extras.lookups, **{name: entries for name, entries in answered.items() if entries}}


def value_of(question: Question, text: str) -> Any:
    """The answer as a setting: ids become a list, everything else is text."""
    if not question.key.endswith("_statuses"):
        return text
    ids = [part.strip() for part in text.replace(" ", ",").split(",") if part.strip()]
    if wrong := [part for part in ids if not (part.isascii() and part.isdigit())]:
        raise Misconfigured(
            f"{question.option}: {wrong[0]!r} is not an id", "Write numbers separated by commas, such as 2,3"
        )
    return [int(part) for part in ids]


def pairs(question: Question, text: str) -> dict[str, str]:
    """`1=GBP,2=EUR` as a table. Raises Misconfigured."""
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, sign, value = (piece.strip() for piece in part.partition("="))
        if not sign or not key or not value or key in found:
            raise Misconfigured(
                f"{question.option}: {part!r} is not KEY=VALUE, or its key occurs twice", "Write 1=GBP,2=EUR"
            )
        found[key] = value
    return found


def _scalar(value: Any) -> str:
    """A value in YAML's flow style; `$${` keeps a text from being taken as a variable."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_scalar(str(key))}: {_scalar(item)}' for key, item in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_scalar, value))}]"
    if isinstance(value, str):
        plain = re.fullmatch(r"[A-Za-z][\w./-]*", value, re.ASCII) and value not in ("true", "false", "null")
        return value if plain else json.dumps(value.replace("${", "$${"), ensure_ascii=False)
    return json.dumps(value) if isinstance(value, bool | int | float) else str(value)
