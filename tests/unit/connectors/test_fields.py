"""What `syncengine fields` and the reference show: every field of every resource, from the connectors' own tables."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from syncengine import connectors
from syncengine.cli import commands
from syncengine.connectors.fields import fields_of
from syncengine.mapping.conversions import fitting
from syncengine.mapping.shapes import ValueKind

RESOURCES = connectors.resources()


@pytest.mark.parametrize("name", sorted(RESOURCES))
def test_every_declared_note_length_and_requirement_is_of_a_field(name: str) -> None:
    kind = RESOURCES[name]
    paths = {field.path for field in fields_of(kind)}

    assert {*kind.field_notes, *kind.lengths(), *kind.required_fields} - paths == set()
    assert kind.required_fields


def test_lengths_and_choices_come_from_the_elements_that_are_written() -> None:
    fields = {field.path: field for field in fields_of(RESOURCES["syspro.sales_order"])}

    assert (fields["CustomerPoNumber"].length, fields["CustomerPoNumber"].is_required) == ("30", True)
    assert (fields["StockLine.Price"].kind, fields["StockLine.Price"].length) == ("decimal", "10.5")
    assert fields["OrderComments"].length == "4 x 100"
    assert fields["StockLine.NonStockedLine"].note == "one of Y"
    assert fields["StockLine"].kind == "list of groups"


def test_a_field_of_a_source_takes_nothing() -> None:
    assert {field.fits for field in fields_of(RESOURCES["brightpearl.sales_order"])} == {""}


@pytest.mark.parametrize(
    ("kind", "takes"),
    [
        (ValueKind.DECIMAL, "text, integer, decimal"),
        (ValueKind.DATE, "text with format:, date, datetime with zone:"),
        (ValueKind.TEXT, "text, integer, decimal, date, datetime with zone: and format:"),
        (ValueKind.BOOLEAN, "text, boolean"),
        (ValueKind.LIST, "list of the same form"),
        (ValueKind.ANY, "any"),
    ],
)
def test_what_fits_a_field_is_what_the_compiler_accepts(kind: ValueKind, takes: str) -> None:
    assert fitting(kind) == takes


def test_the_command_lists_resources_and_the_fields_of_one() -> None:
    run = CliRunner()

    listed = json.loads(run.invoke(commands, ["fields", "--json"]).output)
    fields = json.loads(run.invoke(commands, ["fields", "syspro.customer", "--json"]).output)["fields"]
    shown = run.invoke(commands, ["fields", "syspro.customer"]).output

    assert [row["resource"] for row in listed] == sorted(RESOURCES)
    assert {row["use"] for row in listed} == {"source", "source or target"}
    assert next(field for field in fields if field["path"] == "Name")["length"] == "50"
    assert "TermsCode" in shown
    assert "decimal  text, integer, decimal" in shown


def test_an_unknown_resource_is_refused_with_the_closest_one() -> None:
    result = CliRunner().invoke(commands, ["fields", "syspro.customr"])

    assert "did you mean syspro.customer?" in str(result.exception)
