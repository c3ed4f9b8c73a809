"""The connector's documents against element tables of the references, which are written apart from it.

Traffic of whole orders is validated by tests/system/awkward/test_documents_sent.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from syncengine.connectors.base import Operation, Verb
from syncengine.connectors.syspro import orders, xml
from syncengine.connectors.syspro.documents import Filler
from syncengine.connectors.syspro.elements import Element, Kind, Section
from syncengine.connectors.syspro.order_calls import SORTOI
from syncengine.connectors.syspro.order_elements import ORDER_HEADER, ORDER_LINES
from syncengine.connectors.syspro.resources.customer import CUSTOMER
from syncengine.document import Doc
from tests.syspro_documents import CUSTOMER as KNOWN_CUSTOMER
from tests.syspro_documents import HEADER, LINES, Rule, complaints
from tests.unit.syspro.syspro_fixtures import settings

ONLY_ON_CHANGE = ("NewCustomerPoNumber", "CancelReasonCode", "OrderActionType")
PARAMETERS = xml.build({"SalesOrders": {"Parameters": dict(settings().parameters_of(SORTOI))}})


def widest(element: Element) -> Any:
    """The largest value that the connector lets through."""
    if element.choices:
        return element.choices[-1]
    if element.kind is Kind.DATE:
        return date(2026, 3, 4)
    if element.kind is Kind.NUMBER:
        return Decimal("9" * element.width + "." + "9" * element.places)
    return "X" * element.width


def filled(section: Section, leave_out: tuple[str, ...] = ()) -> Doc:
    return {name: widest(element) for name, element in section.items() if name not in leave_out}


def test_an_order_with_every_element_at_its_widest_is_valid() -> None:
    lines = ("CustomerPoLine", "LineActionType", "LineCancelCode")
    doc = filled(ORDER_HEADER, ONLY_ON_CHANGE) | {
        kind: [{"@key": kind, **filled(section, lines)}] for kind, section in ORDER_LINES.items()
    }
    document = orders.create(Operation(Verb.CREATE, "1", doc=doc), Filler(settings()), "")

    assert {*document["OrderHeader"]} == {*ORDER_HEADER} - {*ONLY_ON_CHANGE} | {"OrderActionType"}
    assert complaints("SORTOI", PARAMETERS, xml.build({"SalesOrders": {"Orders": [document]}})) == []


@pytest.mark.parametrize(
    ("ours", "known"),
    [
        (ORDER_HEADER, HEADER),
        *((section, LINES[kind]) for kind, section in ORDER_LINES.items()),
        (CUSTOMER, KNOWN_CUSTOMER),
    ],
)
def test_names_order_and_widths_are_those_of_the_references(ours: Section, known: Mapping[str, Rule]) -> None:
    names = [name for name in ours if ours is not CUSTOMER or name != "Customer"]
    assert names == [name for name in known if name in names]
    for name in names:
        element, rule = ours[name], known[name]
        if element.kind is Kind.NUMBER:
            assert (name, (element.width, element.places)) == (name, rule.digits)
        elif element.choices:
            assert (name, {*element.choices}) == (name, {*rule.choices})
        elif element.kind is not Kind.DATE:
            assert element.width <= rule.length, name


BROKEN = {
    "a misspelled element": ("<Warehouse>FG</Warehouse>", "<WareHouse>FG</WareHouse>", "WareHouse does not exist"),
    "a wrong order": ("<StockCode>A</StockCode>", "", "the order is"),
    "a missing unit": ("<PriceUom>EA</PriceUom>", "", "PriceUom is missing"),
    "a decimal comma": ("<OrderQty>1.000000", "<OrderQty>1,5", "not a number"),
    "too many digits": ("<Price>2.00000", "<Price>2.000001", "not a number"),
    "a date of another form": ("<OrderDate>2026-03-04", "<OrderDate>04/03/2026", "not CCYY-MM-DD"),
    "a text too long": ("<Customer>WEB001", f"<Customer>{'C' * 16}", "15 are allowed"),
    "a character of another set": ("<Customer>WEB001", "<Customer>日", "outside Windows-1252"),
    "a charge without class": ("<MiscProductClass>W</MiscProductClass>", "", "MiscProductClass is missing"),
    "a comment without text": ("<Comment>c</Comment>", "", "Comment is missing"),
}
VALID = (
    "<SalesOrders><Orders><OrderHeader><CustomerPoNumber>1</CustomerPoNumber><OrderActionType>A</OrderActionType>"
    "<Customer>WEB001</Customer><OrderDate>2026-03-04</OrderDate><Warehouse>FG</Warehouse></OrderHeader><OrderDetails>"
    "<StockLine><CustomerPoLine>1</CustomerPoLine><LineActionType>A</LineActionType><StockCode>A</StockCode>"
    "<OrderQty>1.000000</OrderQty><OrderUom>EA</OrderUom><Price>2.00000</Price><PriceUom>EA</PriceUom></StockLine>"
    "<CommentLine><CustomerPoLine>2</CustomerPoLine><LineActionType>A</LineActionType><Comment>c</Comment></CommentLine>"
    "<MiscChargeLine><CustomerPoLine>3</CustomerPoLine><LineActionType>A</LineActionType>"
    "<MiscChargeValue>-1.00</MiscChargeValue><MiscProductClass>W</MiscProductClass></MiscChargeLine>"
    "</OrderDetails></Orders></SalesOrders>"
)


def test_the_validator_takes_a_valid_document() -> None:
    assert complaints("SORTOI", PARAMETERS, VALID) == []


@pytest.mark.parametrize("fault", BROKEN)
def test_the_validator_finds_each_kind_of_fault(fault: str) -> None:
    old, new, complaint = BROKEN[fault]
    document = VALID.replace(old, new, 1)
    if fault == "a wrong order":
        document = document.replace("<PriceUom>EA</PriceUom>", f"<PriceUom>EA</PriceUom>{old}")
    assert [found for found in complaints("SORTOI", "", document) if complaint in found]
