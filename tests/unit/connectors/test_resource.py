"""What an implementer gives and what it gets: a Source alone, a Resource, and the registration of both."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from types import ModuleType

import pytest
from marshmallow import Schema, fields

from syncengine import connectors
from syncengine.connectors.base import Operation, Outcome, Resource, Source, Target, Verb, bound, registered
from syncengine.document import Doc
from syncengine.errors import Misconfigured


class ThingSchema(Schema):
    id = fields.String()


class Note(Source):
    """Read only, with nothing but what must be given."""

    name = "toy.note"
    schema = ThingSchema

    def __init__(self, notes: dict[str, Doc]) -> None:
        self.notes = notes

    def read(self, keys: Sequence[str]) -> dict[str, Doc]:
        return {key: self.notes[key] for key in keys if key in self.notes}

    def key_of(self, doc: Doc) -> str:
        return str(doc["id"])


class Letter(Note, Resource):
    """Written, too."""

    name = "toy.letter"

    def write(self, operations: Sequence[Operation]) -> list[Outcome]:
        return [Outcome.done("1") for _ in operations]


class Silent(Resource):
    name = "toy.silent"
    schema = ThingSchema


NOTES: dict[str, Doc] = {"1": {"id": "1"}}


def test_a_source_alone_is_read_with_the_defaults_of_the_rest() -> None:
    note = bound([Note], NOTES)["toy.note"]

    assert isinstance(note, Note)
    assert (note.read(["1", "2"]), note.object_kind, note.feeds) == ({"1": {"id": "1"}}, "toy.note", ())
    assert note.unchanged({"1": {"id": "1"}, "2": {}}) == {"1"}
    assert (note.version(NOTES["1"]), note.created_at(NOTES["1"]), note.touched_at(NOTES["1"])) == ("", None, None)


def test_a_source_alone_refuses_every_write_with_the_remedy() -> None:
    note = bound([Note], NOTES)["toy.note"]
    with pytest.raises(
        Misconfigured, match=r"toy.note is read-only. Name a resource that can be written, or make its class"
    ):
        note.write([Operation(Verb.CREATE, "1", {})])


def test_a_resource_is_made_as_it_is() -> None:
    letter = bound([Letter], NOTES)["toy.letter"]

    assert type(letter) is Letter
    assert letter.write([Operation(Verb.CREATE, "1", {})]) == [Outcome.done("1")]


def test_what_must_be_given_is_named_when_it_is_missing() -> None:
    with pytest.raises(TypeError, match=r"abstract methods '?key_of'?, '?read'?, '?write'?"):
        Silent()  # type: ignore[abstract]


@pytest.fixture
def package() -> Iterator[str]:
    """A package `toys` with a module `note`."""
    module = ModuleType("toys.note")
    module.Note, module.helper = Note, len  # type: ignore[attr-defined]
    sys.modules |= {"toys": ModuleType("toys"), "toys.note": module}
    yield "toys"
    del sys.modules["toys"], sys.modules["toys.note"]


def test_a_class_is_registered_by_its_module_and_name(package: str) -> None:
    assert registered(package, Note, "note.Note") == (Note,)


@pytest.mark.parametrize(
    ("path", "error", "said"),
    [
        ("letter.Letter", ImportError, "toys"),
        ("note.Letter", AttributeError, "Letter"),
        ("note.helper", TypeError, "toys: note.helper is not a Note. Derive the class from Note"),
    ],
)
def test_a_wrong_registration_is_named_at_import(package: str, path: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        registered(package, Note, path)


def test_the_systems_register_what_flows_may_name() -> None:
    found = connectors.resources()

    assert {
        "brightpearl.contact",
        "brightpearl.postal_address",
        "brightpearl.product",
        "brightpearl.sales_order",
        "syspro.customer",
        "syspro.sales_order",
        "syspro.stock_code",
    } <= set(found)
    assert {name for name in ("syspro.customer", "syspro.sales_order") if issubclass(found[name], Target)} == {
        "syspro.customer",
        "syspro.sales_order",
    }
    assert not issubclass(found["syspro.stock_code"], Target)
