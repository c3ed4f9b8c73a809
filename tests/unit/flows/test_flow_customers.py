"""Customers as SYSPRO should get them, worked out by hand from brightpearl.md 12 and syspro-objects.md 3."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from syncengine.errors import Rejected
from syncengine.mapping.contract import MissingLookup, Need, Policy, Reference, RuleDecision, RuleVerdict
from tests.unit.flows.flow_fixtures import address, contact, context, flows

ADDRESSES = {"9001": address(9001), "9002": address(9002, addressLine1="Unit 2", countryIsoCode2="DE")}


def customers(doc: dict[str, Any], **more: Any) -> dict[str, Any]:
    read = {"brightpearl.postal_address": more.pop("addresses", ADDRESSES)}
    return dict(flows()["customers"].mapping.apply(doc, context(references=read, **more)))


def test_a_contact_field_by_field() -> None:
    assert customers(contact()) == {
        "GBP": {
            "Customer": "BP310",
            "Name": "Sample Outfitters",
            "ShortName": "Sample Outfitters",
            "UserField1": "310",
            "Contact": "Robin Sample",
            "Currency": "GBP",
            "Branch": "10",
            "Salesperson": "W1",
            "TermsCode": "30",
            "CreditLimit": Decimal(500),  # 499.50, a whole number in SYSPRO
            "BalanceType": "I",
            "TaxStatus": "N",
            "DateCustAdded": date(2024, 7, 1),
            "Telephone": "0117 496 0000",
            "Email": "robin@sample.example",
            "SoldToAddr1": "12 Example Road",
            "SoldToAddr3": "Bristol",
            "SoldToAddr4": "Avon",
            "SoldToAddr5": "United Kingdom",
            "SoldPostalCode": "BS1 4QA",
            "ShipToAddr1": "Unit 2",
            "ShipToAddr3": "Bristol",
            "ShipToAddr4": "Avon",
            "ShipToAddr5": "Germany",
            "ShipPostalCode": "BS1 4QA",
        }
    }


def test_addresses_are_read_beside_the_contact() -> None:
    mapping = flows()["customers"].mapping

    assert list(mapping.references(contact())) == [
        Reference("brightpearl.postal_address", "9001"), Reference("brightpearl.postal_address", "9002"),
    ]  # fmt: skip
    only_default = contact(postAddressIds={"DEF": 9001, "BIL": 0})
    assert list(mapping.references(only_default)) == [Reference("brightpearl.postal_address", "9001")]


def test_there_is_one_customer_for_each_currency_that_an_order_asked_for() -> None:
    made = customers(contact(), parts=("EUR", "GBP"))

    assert {part: (doc["Customer"], doc["Currency"]) for part, doc in made.items()} == {
        "GBP": ("BP310", "GBP"),
        "EUR": ("BP310EUR", "EUR"),
    }


def test_the_end_of_a_code_can_be_a_digit_where_keys_are_numeric() -> None:
    made = customers(
        contact(),
        parts=("EUR",),
        settings={"customer_prefix": ""},
        lookups={"currency_suffixes": {"EUR": "2"}},
    )

    assert [doc["Customer"] for doc in made.values()] == ["310", "3102"]


def test_a_currency_that_nobody_has_named_is_waited_for() -> None:
    doc = contact(financialDetails={"currencyId": 9})
    mapping = flows()["customers"].mapping

    assert mapping.needs(doc, context()) == [Need("lookup:currencies", "9")]
    with pytest.raises(MissingLookup):
        customers(doc)


@pytest.mark.parametrize(
    ("changes", "settings", "parts", "decision"),
    [
        ({"relationshipToAccount": {"isSupplier": True}}, {}, (), RuleDecision(RuleVerdict.SKIP, "it is a supplier")),
        (
            {"relationshipToAccount": {"isStaff": True}},
            {},
            (),
            RuleDecision(RuleVerdict.SKIP, "it is a member of staff"),
        ),
        (
            {"contactTags": "3,7"},
            {},
            (),
            RuleDecision(RuleVerdict.SKIP, "it is a guest, whose orders go to a house account"),
        ),
        ({"contactTags": "3,7"}, {}, ("EUR",), RuleDecision()),
        ({}, {"customers_on_demand": True}, (), RuleDecision(RuleVerdict.SKIP, "no order has asked for it")),
        ({}, {"customers_on_demand": True}, ("GBP",), RuleDecision()),
        ({}, {}, (), RuleDecision()),
    ],
)
def test_rules(
    changes: dict[str, Any], settings: dict[str, Any], parts: tuple[str, ...], decision: RuleDecision
) -> None:
    found = flows()["customers"].mapping.decide(contact(**changes), context(settings=settings, parts=parts))

    assert found == decision


def test_a_contact_without_a_name_or_in_a_foreign_currency_is_refused() -> None:
    nameless = contact(firstName="", lastName=None, organisation={})
    foreign = contact(financialDetails={"currencyId": 4})
    mapping = flows()["customers"].mapping

    with pytest.raises(Rejected, match="the contact has no name"):
        mapping.decide(nameless, context())
    with pytest.raises(Rejected, match="SYSPRO does not have the contact's currency"):
        mapping.decide(foreign, context(lookups={"currencies": {"4": "JPY"}}))


def test_a_contact_whose_own_currency_is_foreign_is_made_in_the_one_that_was_asked_for() -> None:
    foreign = contact(financialDetails={"currencyId": 4})

    made = customers(foreign, lookups={"currencies": {"4": "JPY"}}, parts=("EUR",))

    assert list(made) == ["EUR"]


def test_a_long_name_goes_on_in_the_address() -> None:
    name = "The Extraordinarily Long-Winded Trading Company of Bristol and Bath Limited"

    made = customers(contact(organisation={"name": name}))["GBP"]

    assert made["Name"] == "The Extraordinarily Long-Winded Trading Company of"
    assert (made["SoldToAddr1"], made["SoldToAddr2"], made["SoldToAddr3"]) == (
        "Bristol and Bath Limited", "12 Example Road", "Bristol",
    )  # fmt: skip
    assert made["ShortName"] == "The Extraordinarily"


def test_an_address_that_is_gone_leaves_the_fields_out() -> None:
    made = customers(contact(), addresses={})["GBP"]

    assert "SoldToAddr1" not in made
    assert made["Customer"] == "BP310"


def test_what_syspros_people_own_is_set_once() -> None:
    mapping = flows()["customers"].mapping

    assert mapping.policy("CreditLimit") is Policy.ON_CREATE
    assert mapping.policy("SoldToAddr1") is Policy.SOURCE


def test_telephones_lose_their_blanks_before_they_lose_digits() -> None:
    made = customers(contact(communication={"telephones": {"SEC": "+44 (0) 117 496 0000 12"}}))["GBP"]

    assert made["Telephone"] == "+44(0)117496000012"
