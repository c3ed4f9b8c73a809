"""Recorded and vendor replies as contracts of the sandbox: key sets, order, null or absent, forms of numbers and dates."""

from __future__ import annotations

import re
from collections.abc import Callable
from xml.etree.ElementTree import Element

import defusedxml.ElementTree as SafeTree
import pytest
import requests

from .conftest import EnetClient, example, head, parsed, stock_line
from .recorded import (
    COMFCH_INVMASTER,
    COMMISSIONS,
    INVQRY_QUANTITIES,
    SORQRY_HEADER,
    form,
    forms,
    leaves,
    without_width,
)

Control = Callable[..., requests.Response]


def written(parent: Element) -> list[tuple[str, str]]:
    """Name and form of each child, with SYSPRO's prefix in place of a namespace."""
    return [
        (re.sub(r"\{(\w+)\}", r"\1:", str(child.tag)), "group" if len(child) else form(child.text or ""))
        for child in parent
    ]


def check(ours: list[tuple[str, str]], recorded: list[tuple[str, str]]) -> None:
    """The same names in the same order; the same form but where one of both is a text that happens to be blank or a code."""
    assert [name for name, _ in ours] == [name for name, _ in recorded]
    fixed = {name: shape for name, shape in recorded if shape != "text"}
    assert {name: shape for name, shape in ours if name in fixed} == fixed


def test_the_header_of_an_order_has_the_109_recorded_elements(enet: EnetClient) -> None:
    enet.import_order(head(), stock_line())
    order = enet.read_order("1001")
    header = Element("header")
    header.extend([child for child in order if child.tag != "SalesOrderLine"])

    check(written(header), forms(SORQRY_HEADER))
    commissions = order.find("Commissions")
    assert commissions is not None
    check(written(commissions), forms(COMMISSIONS))
    assert len(forms(SORQRY_HEADER)) + len(forms(COMMISSIONS)) >= 109


def test_an_item_that_is_fetched_has_the_133_recorded_columns(enet: EnetClient) -> None:
    item = parsed(enet.query("COMFCH", "<Fetch><TableName>InvMaster</TableName><Key>KB-1001</Key></Fetch>"))

    assert len(item) == 133
    check(written(item), forms(COMFCH_INVMASTER))


def test_quantities_of_an_item_are_twenty_wide_and_have_twins(enet: EnetClient) -> None:
    reply = parsed(enet.query("INVQRY", example("invqry_xmlin.xml")))

    for place in (*reply.findall("WarehouseItem"), reply.find("WarehouseTotals")):
        assert place is not None
        quantities = {str(child.tag): child.text or "" for child in place if child.tag in INVQRY_QUANTITIES.split()}
        assert quantities
        assert {form(text) for text in quantities.values()} == {"number:20.6"}
        for name, text in quantities.items():
            assert (place.findtext(f"Edited_{name}") or "").replace(",", "") == f"{float(text):.3f}"


def invoiced(enet: EnetClient, control: Control) -> str:
    enet.import_order(head(), stock_line())
    control("POST", "orders/1001/status", status="8")
    return enet.post("SORTIC", example("sortic_xmlparams.xml"), example("sortic_xmlin.xml").replace("000512", "1001"))


def customer(enet: EnetClient, _: Control) -> str:
    enet.call("Setup/Add", "ARSSCS", example("customer_setup_params.xml"), example("customer_setup_xmlin.xml"))
    return enet.query("ARSQRY", example("arsqry_xmlin.xml").replace("000000000004711", "4711"))


def stock(enet: EnetClient, _: Control) -> str:
    return enet.query("INVQRY", example("invqry_xmlin.xml"))


def found(enet: EnetClient, _: Control) -> str:
    enet.import_order(head(), stock_line())
    return enet.query("COMFND", example("comfnd_sormaster_xmlin.xml"))


def found_stock(enet: EnetClient, _: Control) -> str:
    return enet.query("COMFND", example("comfnd_invwarehouse_xmlin.xml"))


def read(enet: EnetClient, _: Control) -> str:
    lines = (
        "<CommentLine><Comment>c</Comment></CommentLine>"
        "<MiscChargeLine><MiscChargeValue>3.50</MiscChargeValue><MiscProductClass>W</MiscProductClass></MiscChargeLine>"
        "<FreightLine><FreightValue>4.99</FreightValue></FreightLine>"
    )
    enet.import_order(head(), stock_line() + lines)
    return enet.query("SORQRY", example("sorqry_xmlin.xml").replace("000512", "1001"))


@pytest.mark.parametrize(
    ("reply", "name"),
    [
        (invoiced, "sortic_xmlout.xml"),
        (customer, "arsqry_xmlout.xml"),
        (stock, "invqry_xmlout.xml"),
        (found, "comfnd_sormaster_xmlout.xml"),
        (found_stock, "comfnd_invwarehouse_xmlout.xml"),
        (read, "sorqry_xmlout.xml"),
    ],
)
def test_a_reply_has_each_element_of_the_example_in_the_same_form(
    enet: EnetClient, control: Control, reply: Callable[[EnetClient, Control], str], name: str
) -> None:
    """Examples were shortened, and their widths not always kept: elements and forms must be there, more may be."""
    ours: dict[str, set[str]] = {}
    for path, text in leaves(SafeTree.fromstring(reply(enet, control).strip())):
        ours.setdefault(path, set()).add(without_width(form(text)))
    for path, text in leaves(SafeTree.fromstring(example(name).strip())):
        shape = without_width(form(text))
        if path in NOT_THERE.get(name, ()):
            assert path not in ours, f"{path} is there now: take it off the list"
        else:
            assert path in ours, path
            assert shape in ours[path] or "text" in (shape, *ours[path]), path


NOT_THERE = {
    "arsqry_xmlout.xml": (
        "/InvoiceDetail/DocumentType", "/InvoiceDetail/Invoice", "/InvoiceDetail/InvoiceDate", "/InvoiceDetail/DueDate",
        "/InvoiceDetail/CustomerPoNumber", "/InvoiceDetail/CurrencyValue", "/InvoiceDetail/InvoiceBal",
        "/InvoiceDetail/Branch", "/InvoiceDetail/SalesOrder", "/InvoiceDetail/TransDetail/Invoice",
        "/InvoiceDetail/TransDetail/Type", "/InvoiceDetail/TransDetail/Reference", "/InvoiceDetail/TransDetail/TrnValue",
        "/InvoiceDetail/TransDetail/PmtJournal", "/InvoiceDetail/TransDetail/JournalDate",
        "/InvoiceDetail/TransDetail/DiscValue",
    ),
}  # fmt: skip
"""A fresh customer has no invoices; payments do not exist in the sandbox yet."""
