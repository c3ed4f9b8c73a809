"""Dispatch notes: SORTDN, SORTDS, SORTDC, SORTNC, SORQDN and SORQDL, and every trap that syspro-objects.md names of them.

Stock in FG: 100 of KB-2040, none of KB-1001, so that its lines go to back order.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
import requests

from syncengine.sandbox import Running
from tests.contract.sandbox_syspro.conftest import (
    EnetClient,
    errors,
    example,
    head,
    parsed,
    stock_line,
)

Control = Callable[..., requests.Response]
NOTE = "000000000001001/0001"
ALL = {"BasisForDispatch": "S", "NonMerchandiseSource": "S", "ValidateOnly": "N", "IgnoreWarnings": "N"}
FREIGHT = (
    "<FreightLine><CustomerPoLine>0001</CustomerPoLine><LineActionType>A</LineActionType>"
    "<FreightValue>5.95</FreightValue><FreightTaxCode>T20</FreightTaxCode></FreightLine>"
)


def site(make_sandbox: Callable[..., Running], **switches: object) -> EnetClient:
    client = EnetClient(make_sandbox(**switches).url)
    client.log_on()
    return client


def part(line: int = 1, quantity: str | None = None, more: str = "") -> str:
    given = "" if quantity is None else f"<DispatchQty>{quantity}</DispatchQty>"
    return f"<MerchandiseLine><SalesOrderLine>{line}</SalesOrderLine>{given}{more}</MerchandiseLine>"


def note(*parts: str, header: str = "", order: str = "1001") -> str:
    head_ = f"<DispatchHeader><SalesOrder>{order}</SalesOrder>{header}</DispatchHeader>"
    return f"<DispatchNote>{head_}<DispatchDetails>{''.join(parts)}</DispatchDetails></DispatchNote>"


def dispatch(client: EnetClient, *notes: str, **parameters: str | None) -> str:
    given = {name: value for name, value in (ALL | parameters).items() if value is not None}
    inside = "".join(f"<{name}>{value}</{name}>" for name, value in given.items())
    params = f"<PostDispatchNotes><Parameters>{inside}</Parameters></PostDispatchNotes>"
    return client.post("SORTDN", params, f"<PostDispatchNotes>{''.join(notes)}</PostDispatchNotes>")


def post(client: EnetClient, code: str, item: str, **parameters: str) -> str:
    inside = "".join(f"<{name}>{value}</{name}>" for name, value in parameters.items())
    return client.post(code, f"<P><Parameters>{inside}</Parameters></P>", f"<P><Item>{item}</Item></P>")


def number_of(reply: str) -> str:
    return parsed(reply).findtext("DispatchNote/DispatchNoteNumber") or ""


def line_of(control: Control, number: int = 1, order: str = "1001") -> tuple[str, ...]:
    """Ordered, to ship, on back order and dispatched."""
    row = control("GET", f"SorDetail/{order}/{number}").json()
    return tuple(plain(row[name]) for name in ("MOrderQty", "MShipQty", "MBackOrderQty", "MQtyDispatched"))


def stock_of(control: Control, code: str = "KB-2040") -> tuple[str, ...]:
    """On hand, allocated, dispatched."""
    (row,) = control("GET", f"InvWarehouse?StockCode={code}&Warehouse=FG").json()
    return tuple(plain(row[name]) for name in ("QtyOnHand", "QtyAllocated", "QtyDispatched"))


def order_of(control: Control, number: str = "1001") -> dict[str, Any]:
    found: dict[str, Any] = control("GET", f"SorMaster/{number}").json()
    return found


def status_of(control: Control, number: str = NOTE) -> str:
    return str({row["DispatchNote"]: row["DispatchNoteStatus"] for row in control("GET", "MdnMaster").json()}[number])


def plain(value: object) -> str:
    return f"{Decimal(str(value)).normalize():f}"


# -- the examples ------------------------------------------------------------------------------------------------------


def test_example_of_a_dispatch_and_its_invoice(
    make_sandbox: Callable[..., Running], control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The example's order has 6 on back order; only the numbers of journals and periods differ."""
    client = site(make_sandbox, syspro_version="7")
    client.import_order(head(), stock_line("KB-1001", "6"))
    control("POST", "stock/KB-1001/FG", on_hand="10")
    document = example("sortdn_xmlin.xml", **{"_>9001<": ">1001<"})
    reply = client.post("SORTDN", example("sortdn_params.xml"), document)

    expected = parsed(example("sortdn_xmlout.xml", **{"_009001": "001001"}))
    found = parsed(reply)
    assert [node.tag for node in found.iter()] == [node.tag for node in expected.iter()]
    for path in ("DispatchNote/Key/SalesOrder", "DispatchNote/DispatchNoteNumber", "DispatchNote/DispatchDetails"):
        assert found.findtext(path) == expected.findtext(path)
    assert found.findtext("StatusofItems/ItemsProcessed") == "000001"
    assert found.find("StatusOfItems") is None  # the trap of the spelling
    assert line_of(control) == ("6", "0", "0", "6")
    assert stock_of(control, "KB-1001") == ("4", "0", "6")

    invoiced = parsed(client.post("SORTNC", "", example("sortnc_xmlin.xml", **{"_000000000009001": "000000000001001"})))
    assert [node.tag for node in invoiced.iter()] == [node.tag for node in parsed(example("sortnc_xmlout.xml")).iter()]
    assert invoiced.findtext("Item/Key/DispatchNote") == NOTE
    assert order_of(control)["LastInvoice"] == invoiced.findtext("Item/Key/InvoiceNumber")


def test_example_of_a_status(make_sandbox: Callable[..., Running], control: Control) -> None:
    client = site(make_sandbox, syspro_manual_release=True)
    client.import_order(head(), stock_line(qty="6"))
    dispatch(client, note(part(quantity="6"), header="<DispatchStatusPrinted>Y</DispatchStatusPrinted>"))
    assert status_of(control) == "5"
    client.post("SORTDS", "", example("sortds_xmlin.xml", **{"_000000000009001": "000000000001001"}))
    assert status_of(control) == "7"


# -- SORTDN ------------------------------------------------------------------------------------------------------------


def test_a_shipment_in_three_parts(enet: EnetClient, control: Control) -> None:
    enet.import_order(head(), stock_line(qty="10") + FREIGHT)
    for quantity in ("2", "3", "5"):
        dispatch(enet, note(part(quantity=quantity), header="<DispatchStatusPrinted>Y</DispatchStatusPrinted>"))

    numbers = [row["DispatchNote"] for row in control("GET", "MdnMaster").json()]
    assert numbers == [f"000000000001001/{number:04d}" for number in (1, 2, 3)]
    assert line_of(control) == ("10", "0", "0", "10")
    assert stock_of(control) == ("90", "0", "10")
    order = order_of(control)
    assert (order["NumDispatches"], order["DispatchesMade"], order["LiveDispExist"]) == (3, "Y", "Y")
    kinds = [(row["DispatchNote"][-1], row["LineType"]) for row in control("GET", "MdnDetail").json()]
    assert kinds == [("1", "1"), ("1", "4"), ("2", "1"), ("3", "1")]  # freight goes with the first

    for each in numbers:
        post(enet, "SORTNC", f"<DispatchNote>{each}</DispatchNote>")
    invoices = control("GET", "tax/invoices").json()
    assert [(found["net"], found["total"]) for found in invoices] == [
        ("21.95", "26.34"), ("24.00", "28.80"), ("40.00", "48.00"),
    ]  # fmt: skip
    assert (order_of(control)["OrderStatus"], order_of(control)["LiveDispExist"]) == ("9", "N")
    assert stock_of(control) == ("90", "0", "0")


def test_movements_name_the_order_the_note_and_the_date(enet: EnetClient, control: Control) -> None:
    enet.import_order(head(), stock_line(qty="4"))
    header = "<DispatchStatusPrinted>Y</DispatchStatusPrinted><ActualDispatchDate>2026-03-04</ActualDispatchDate>"
    dispatch(enet, note(part(quantity="4"), header=header))

    names = "MovementType TrnType TrnQty EntryDate SalesOrder DispatchNote Customer Reference"
    (row,) = enet.find("InvMovements", names)
    assert (row["MovementType"], row["TrnType"], plain(row["TrnQty"]), row["EntryDate"]) == (
        "S", "S", "-4", "2026-03-04",
    )  # fmt: skip
    assert (row["DispatchNote"], row["Customer"], row["Reference"]) == (NOTE, "WEB001", "500123")


@pytest.mark.parametrize("quantity", [None, "", "0", "0.000000"])
def test_trap_of_the_blank_or_zero_quantity(enet: EnetClient, control: Control, quantity: str | None) -> None:
    """Nothing, or 0, dispatches all there is to ship."""
    enet.import_order(head(), stock_line(qty="10"))
    dispatch(enet, note(part(quantity=quantity)))
    assert line_of(control) == ("10", "0", "0", "10")


def test_a_true_zero_must_be_asked_for(enet: EnetClient, control: Control) -> None:
    enet.import_order(head(), stock_line(qty="10") + stock_line(qty="5"))
    zero = part(1, "0", "<DispatchZeroQty>Y</DispatchZeroQty>")
    dispatch(enet, note(zero, part(2, "5")))
    assert (line_of(control, 1), line_of(control, 2)) == (("10", "10", "0", "0"), ("5", "0", "0", "5"))


def test_trap_of_the_basis_takes_back_orders_and_leaves_ship_quantity(
    make_sandbox: Callable[..., Running], control: Control
) -> None:
    """3 of 5 can be shipped; without a basis the 2 on back order are dispatched, and 3 stay allocated."""
    client = site(make_sandbox)
    control("POST", "stock/KB-2040/FG", on_hand="3")
    client.import_order(head(), stock_line(qty="5"))
    assert line_of(control) == ("5", "3", "2", "0")
    dispatch(client, note(part()), BasisForDispatch=None)
    assert line_of(control) == ("5", "3", "0", "2")
    assert stock_of(control) == ("1", "3", "2")


def test_trap_of_the_charges_leaves_them_on_the_order(enet: EnetClient, control: Control) -> None:
    """Without NonMerchandiseSource the freight is in no note, and never invoiced with one."""
    enet.import_order(head(), stock_line(qty="5") + FREIGHT)
    header = "<DispatchStatusPrinted>Y</DispatchStatusPrinted>"
    dispatch(enet, note(part(quantity="5"), header=header), NonMerchandiseSource=None)
    post(enet, "SORTNC", f"<DispatchNote>{NOTE}</DispatchNote>")
    assert [found["net"] for found in control("GET", "tax/invoices").json()] == ["40.00"]
    assert order_of(control)["OrderStatus"] != "9"


def test_trap_of_the_status_leaves_a_note_that_cannot_be_invoiced(enet: EnetClient, control: Control) -> None:
    enet.import_order(head(), stock_line(qty="5"))
    dispatch(enet, note(part(quantity="5")))
    assert status_of(control) == "3"
    reply = post(enet, "SORTNC", f"<DispatchNote>{NOTE}</DispatchNote>")
    assert errors(parsed(reply)) == [("", f"Dispatch note '{NOTE}' in status '3' cannot be invoiced")]


def test_one_bad_note_stops_all_of_its_document(enet: EnetClient, control: Control) -> None:
    """SORTDN has no ApplyIfEntireDocumentValid: sending it as N changes nothing."""
    enet.import_orders(_order("1"), _order("2"))
    reply = dispatch(enet, note(part(quantity="1")), note(part(9, "1"), order="1002"), ApplyIfEntireDocumentValid="N")
    found = parsed(reply)
    assert [each.findtext("DispatchNoteNumber") for each in found.iter("DispatchNote")] == [None, None]
    assert (found.findtext("StatusofItems/ItemsProcessed"), found.findtext("StatusofItems/ItemsInvalid")) == (
        "000001", "000001",
    )  # fmt: skip
    assert control("GET", "MdnMaster").json() == []


def test_two_notes_of_a_document_cannot_take_the_same_goods(enet: EnetClient, control: Control) -> None:
    enet.import_order(head(), stock_line(qty="5"))
    assert errors(parsed(dispatch(enet, note(part(quantity="3")), note(part(quantity="3")))))
    dispatch(enet, note(part(quantity="3")), note(part(quantity="2")))
    assert line_of(control) == ("5", "0", "0", "5")


def test_validation_alone_makes_no_note(enet: EnetClient, control: Control) -> None:
    enet.import_order(head(), stock_line(qty="5"))
    found = parsed(dispatch(enet, note(part(quantity="5")), ValidateOnly="Y"))
    assert found.findtext("StatusofItems/ItemsProcessed") == "000001"
    assert (found.findtext("DispatchNote/DispatchNoteNumber"), control("GET", "MdnMaster").json()) == (None, [])


def test_the_same_reference_makes_a_second_note(enet: EnetClient, control: Control) -> None:
    """No reference is unique by SYSPRO's rules."""
    enet.import_order(head(), stock_line(qty="5"))
    for _ in range(2):
        dispatch(enet, note(part(quantity="1"), header="<UserDefined2>7001</UserDefined2>"))
    assert [row["UserField2"] for row in control("GET", "MdnMaster").json()] == ["7001", "7001"]


@pytest.mark.parametrize(("over_length", "kept"), [("truncate", "1Z999AA10123456"), ("reject", None)])
def test_a_tracking_number_of_more_than_15_characters(
    make_sandbox: Callable[..., Running], control: Control, over_length: str, kept: str | None
) -> None:
    client = site(make_sandbox, syspro_over_length=over_length)
    client.import_order(head(), stock_line(qty="5"))
    dispatch(client, note(part(quantity="1"), header="<UserDefined1>1Z999AA10123456784</UserDefined1>"))
    assert [row["UserField1"] for row in control("GET", "MdnMaster").json()] == ([kept] if kept else [])


def test_what_cannot_be_dispatched_is_refused(enet: EnetClient, control: Control) -> None:
    enet.import_order(head(), stock_line(qty="5") + FREIGHT)
    wrong = {
        "more than can be shipped": note(part(quantity="6")),
        "an unknown line": note(part(9, "1")),
        "a charge": note(part(2, "1")),
        "an unknown order": note(part(), order="4711"),
        "no lines": note(),
        "charges in the document": note(part(quantity="1"), "<FreightLine/>"),
        "a negative quantity": note(part(quantity="-1")),
    }
    refused = {what for what, document in wrong.items() if errors(parsed(dispatch(enet, document)))}
    assert refused == set(wrong)
    control("POST", "orders/1001/status", status="4")
    assert errors(parsed(dispatch(enet, note(part(quantity="1"))))) == [
        ("", "Sales order '001001' in status '4' cannot be dispatched")
    ]
    assert control("GET", "MdnMaster").json() == []


def test_over_and_under_dispatch(enet: EnetClient, control: Control) -> None:
    enet.import_order(head(), stock_line(qty="5") + stock_line(qty="5"))
    over = part(1, "7", "<OverOrUnderDispatch>O</OverOrUnderDispatch>")
    under = part(2, "2", "<OverOrUnderDispatch>U</OverOrUnderDispatch>")
    dispatch(enet, note(over, under))
    assert (line_of(control, 1), line_of(control, 2)) == (("7", "0", "0", "7"), ("5", "0", "0", "2"))


def test_goods_that_are_not_there_are_refused_or_warned_of(
    make_sandbox: Callable[..., Running], control: Control
) -> None:
    client = site(make_sandbox)
    client.import_order(head(), stock_line(qty="5"))
    control("POST", "stock/KB-2040/FG", on_hand="3")
    assert errors(parsed(dispatch(client, note(part(quantity="5")), IgnoreWarnings="Y")))
    control("POST", "stock/negative", warehouse="FG", allowed=True)
    assert errors(parsed(dispatch(client, note(part(quantity="5")))))
    dispatch(client, note(part(quantity="5")), IgnoreWarnings="Y")
    assert stock_of(control) == ("-2", "0", "5")


def test_lots_and_serial_numbers_must_be_given(enet: EnetClient, running: Running, control: Control) -> None:
    enet.import_order(head(), stock_line(qty="2"))
    items = running.sandbox.syspro.table("InvMaster")
    items.update(items.get("KB-2040") or {}, TraceableType="T", SerialMethod="M")
    refused = errors(parsed(dispatch(enet, note(part(quantity="2")))))
    assert [text for _, text in refused] == [
        "Lot is needed for stock code 'KB-2040'", "Serial numbers are needed for stock code 'KB-2040'",
    ]  # fmt: skip
    more = "<Lot>L7</Lot>" + "".join(f"<Serials><SerialNumber>{name}</SerialNumber></Serials>" for name in ("A", "B"))
    dispatch(enet, note(part(quantity="2", more=more)))
    (line,) = control("GET", "MdnDetail").json()
    assert (line["Lot"], line["Serials"]) == ("L7", "A,B")


@pytest.mark.parametrize(("form", "header", "number"), [
    ("number", "", "000000000000001"),
    ("manual", "<DispatchNoteNumber>GON-7001</DispatchNoteNumber>", "GON-7001"),
])  # fmt: skip
def test_notes_are_numbered_as_the_site_has_it(
    make_sandbox: Callable[..., Running], form: str, header: str, number: str
) -> None:
    client = site(make_sandbox, syspro_dispatch_numbers=form)
    client.import_order(head(), stock_line(qty="5"))
    assert number_of(dispatch(client, note(part(quantity="1"), header=header))) == number
    again = errors(parsed(dispatch(client, note(part(quantity="1"), header=header))))
    assert [found for found, _ in again] == (["120001"] if form == "manual" else [])


def test_a_site_without_dispatch_notes_refuses_them(make_sandbox: Callable[..., Running], control: Control) -> None:
    client = site(make_sandbox, syspro_dispatch_notes=False)
    client.import_order(head(), stock_line(qty="5"))
    assert errors(parsed(dispatch(client, note(part(quantity="1"))))) == [("", "Dispatch notes are not in use")]


def test_stock_may_be_relieved_by_the_invoice(make_sandbox: Callable[..., Running], control: Control) -> None:
    client = site(make_sandbox, syspro_dispatch_relieves=False)
    client.import_order(head(), stock_line(qty="5"))
    reply = dispatch(client, note(part(quantity="5"), header="<DispatchStatusPrinted>Y</DispatchStatusPrinted>"))
    assert parsed(reply).find("JnlKey") is None
    assert stock_of(control) == ("100", "0", "5")
    post(client, "SORTNC", f"<DispatchNote>{NOTE}</DispatchNote>")
    assert stock_of(control) == ("95", "0", "0")


# -- SORTDS, SORTDC and SORTNC -----------------------------------------------------------------------------------------


def test_a_note_is_held_and_released_with_authority(enet: EnetClient, control: Control) -> None:
    enet.import_order(head(), stock_line(qty="5"))
    dispatch(enet, note(part(quantity="5")))

    def change(new: str, more: str = "") -> list[tuple[str, str]]:
        item = f"<DispatchNote>{NOTE}</DispatchNote><NewDispatchStatus>{new}</NewDispatchStatus>{more}"
        return errors(parsed(post(enet, "SORTDS", item)))

    assert change("7")  # not from 3
    assert change("5", "<DispatchStatus>5</DispatchStatus>")  # another status than the one expected
    assert change("S") == []
    assert change("5")  # no authority
    assert change("5", "<CreditAuthority>ABC</CreditAuthority>") == []
    assert change("7") == []
    assert status_of(control) == "7"


def test_status_changes_came_with_version_8(make_sandbox: Callable[..., Running]) -> None:
    client = site(make_sandbox, syspro_version="7")
    assert post(client, "SORTDS", "<DispatchNote>x</DispatchNote>").startswith("ERROR: e.net exception 100000")


@pytest.mark.parametrize(("goes_to", "line"), [("back", ("5", "1", "4", "0")), ("ship", ("5", "5", "0", "0"))])
def test_a_cancelled_note_brings_its_goods_back(
    make_sandbox: Callable[..., Running], control: Control, goes_to: str, line: tuple[str, ...]
) -> None:
    client = site(make_sandbox, syspro_cancelled_dispatch_goes_to=goes_to)
    client.import_order(head(), stock_line(qty="5"))
    dispatch(client, note(part(quantity="4")))
    assert stock_of(control) == ("96", "1", "4")

    found = parsed(post(client, "SORTDC", f"<DispatchNote>{NOTE}</DispatchNote>"))
    assert (found.tag, found.findtext("StatusOfItems/ItemsProcessed")) == ("canceldispatchnotes", "000001")
    assert (status_of(control), line_of(control)) == ("*", line)
    assert stock_of(control)[0] == "100"
    assert (order_of(control)["NumDispatches"], order_of(control)["LiveDispExist"]) == (1, "N")
    assert errors(parsed(post(client, "SORTDC", f"<DispatchNote>{NOTE}</DispatchNote>")))


def test_one_line_of_a_note_is_cancelled(enet: EnetClient, control: Control) -> None:
    enet.import_order(head(), stock_line(qty="5") + stock_line(qty="3"))
    dispatch(enet, note(part(1, "5"), part(2, "3")))
    post(enet, "SORTDC", f"<DispatchNote>{NOTE}</DispatchNote><DispatchLine>0002</DispatchLine>")
    assert (status_of(control), line_of(control, 1)[3], line_of(control, 2)[3]) == ("3", "5", "0")
    assert stock_of(control)[0] == "95"


def test_an_invoiced_note_cannot_be_cancelled(enet: EnetClient, control: Control) -> None:
    enet.import_order(head(), stock_line(qty="5"))
    dispatch(enet, note(part(quantity="5"), header="<DispatchStatusPrinted>Y</DispatchStatusPrinted>"))
    post(enet, "SORTNC", f"<DispatchNote>{NOTE}</DispatchNote>")
    reply = post(enet, "SORTDC", f"<DispatchNote>{NOTE}</DispatchNote>")
    assert errors(parsed(reply)) == [("", f"Dispatch note '{NOTE}' in status '9' cannot be cancelled")]


def test_sortnc_invoices_the_good_items_although_others_fail(enet: EnetClient, control: Control) -> None:
    """The trap of ApplyIfEntireDocumentValid, which is N by default here."""
    enet.import_order(head(), stock_line(qty="5"))
    dispatch(enet, note(part(quantity="5"), header="<DispatchStatusPrinted>Y</DispatchStatusPrinted>"))
    item = f"<DispatchNote>{NOTE}</DispatchNote></Item><Item><DispatchNote>none</DispatchNote>"
    reply = parsed(post(enet, "SORTNC", item))
    assert (reply.findtext("StatusOfItems/ItemsProcessed"), reply.findtext("StatusOfItems/ItemsInvalid")) == (
        "000001", "000001",
    )  # fmt: skip
    assert status_of(control) == "9"


@pytest.mark.parametrize(
    ("warnings", "is_invoiced", "text"), [("N", False, None), ("W", True, True), ("Y", True, None)]
)
def test_invoicing_warns_of_periods_that_differ(
    make_sandbox: Callable[..., Running], control: Control, warnings: str, is_invoiced: bool, text: object
) -> None:
    client = site(make_sandbox, syspro_periods_differ=True)
    client.import_order(head(), stock_line(qty="5"))
    dispatch(client, note(part(quantity="5"), header="<DispatchStatusPrinted>Y</DispatchStatusPrinted>"))
    reply = parsed(post(client, "SORTNC", f"<DispatchNote>{NOTE}</DispatchNote>", IgnoreWarnings=warnings))
    assert (status_of(control) == "9", bool(reply.findtext("Item/Key/WarningDescription")) or None) == (
        is_invoiced, text,
    )  # fmt: skip


# -- reading -----------------------------------------------------------------------------------------------------------


def test_a_note_is_read_with_its_lines_but_not_those_of_the_order(enet: EnetClient, control: Control) -> None:
    enet.import_order(head(), stock_line(qty="5") + FREIGHT)
    header = "<UserDefined1>TRK1</UserDefined1><UserDefined2>7001</UserDefined2>"
    dispatch(enet, note(part(quantity="4"), header=header + "<DispatchComments>two boxes</DispatchComments>"))

    found = parsed(enet.query("SORQDN", f"<Query><Key><DispatchNote>{NOTE}</DispatchNote></Key></Query>"))
    named = (
        "DispatchNote",
        "SalesOrder",
        "Customer",
        "CustomerPoNumber",
        "DispatchNoteStatus",
        "UserField1",
        "UserField2",
    )
    assert [found.findtext(name) for name in named] == [
        NOTE, "000000000001001", "WEB001", "500123", "3", "TRK1", "7001",
    ]  # fmt: skip
    assert (found.tag, found.findtext("DispatchComments1")) == ("DispatchNoteDetail", "two boxes")
    (goods,) = found.findall("DispatchNoteLine/Merchandise")
    assert (goods.findtext("MStockCode"), plain(goods.findtext("MShipQty")), goods.findtext("MWarehouse")) == (
        "KB-2040", "4", "FG",
    )  # fmt: skip
    assert (goods.find("SalesOrderLine"), len(found.findall("DispatchNoteLine/Freight"))) == (None, 1)
    unknown = enet.query("SORQDN", "<Query><Key><DispatchNote>none</DispatchNote></Key></Query>")
    assert unknown == "ERROR: Dispatch note 'none' not found"


def test_notes_are_listed_by_order_and_status(enet: EnetClient, control: Control) -> None:
    enet.import_orders(_order("1"), _order("2"))
    for number in ("1001", "1001", "1002"):
        dispatch(enet, note(part(quantity="1"), order=number))
    control("POST", "dispatches/cancel", note=NOTE)

    def listed(order: str, option: str = "") -> list[str | None]:
        chosen = f'<Filter><SalesOrder FilterType="S" FilterValue="{order}"/></Filter>' if order else ""
        found = parsed(enet.query("SORQDL", f"<Query><Option>{option}</Option>{chosen}</Query>"))
        return [each.findtext("DispatchNote") for each in found.findall("DispatchNoteItem")]

    assert listed("1001") == [NOTE, NOTE[:-1] + "2"]
    assert listed("000000000001001", "<IncludeDispatchCancelled>N</IncludeDispatchCancelled>") == [NOTE[:-1] + "2"]
    assert len(listed("")) == 3


@pytest.mark.parametrize("is_known", [True, False])
def test_notes_may_be_found_in_their_table(make_sandbox: Callable[..., Running], is_known: bool) -> None:
    client = site(make_sandbox, syspro_find_dispatch_notes=is_known)
    client.import_order(head(), stock_line(qty="5"))
    dispatch(client, note(part(quantity="4"), header="<UserDefined2>7001</UserDefined2>"))
    where = "<Expression><Column>UserField2</Column><Condition>EQ</Condition><Value>7001</Value></Expression>"
    columns = "<Columns><Column>DispatchNote</Column></Columns>"
    query = f"<Query><TableName>MdnMaster</TableName>{columns}<Where>{where}</Where></Query>"
    reply = client.query("COMFND", query)
    assert (NOTE in reply) is is_known
    assert reply.startswith("ERROR:") is not is_known


# -- people ------------------------------------------------------------------------------------------------------------


def test_people_dispatch_invoice_and_cancel(enet: EnetClient, control: Control) -> None:
    enet.import_order(head(), stock_line(qty="5"))
    first = control("POST", "orders/1001/dispatch", lines={"1": "2"}, tracking="TRK1").json()["note"]
    assert (first["DispatchNote"], first["DispatchNoteStatus"], first["UserField1"]) == (NOTE, "7", "TRK1")
    second = control("POST", "orders/1001/dispatch", printed=False).json()["note"]
    assert (second["DispatchNoteStatus"], line_of(control)) == ("3", ("5", "0", "0", "5"))

    assert len(control("POST", "dispatches/invoice", note=NOTE).json()["invoices"]) == 1
    assert control("POST", "dispatches/cancel", note=NOTE).status_code == 400
    control("POST", "dispatches/cancel", note=second["DispatchNote"])
    assert (line_of(control), stock_of(control)[0]) == (("5", "0", "3", "0"), "98")
    assert control("POST", "orders/1001/dispatch").status_code == 400  # nothing can be shipped


def test_harmony_serves_dispatch_notes_by_its_generic_form(running: Running, control: Control) -> None:
    client = EnetClient(running.url)
    client.log_on()
    client.import_order(head(), stock_line(qty="5"))
    headers = {"X-Api-Key": "harmony-sandbox-key"}
    base = f"{running.url}/api/harmony/2.0"
    document = {
        "DispatchNote": {
            "DispatchHeader": {"SalesOrder": "1001"},
            "DispatchDetails": {"MerchandiseLine": [{"SalesOrderLine": "1", "DispatchQty": "2"}]},
        }
    }
    body = {"XmlParameters": {"Parameters": {"BasisForDispatch": "S"}}, "XmlIn": document}
    reply = requests.post(f"{base}/Transaction/Post/SORTDN", json=body, headers=headers, timeout=10).json()
    assert reply["DispatchNote"]["DispatchNoteNumber"] == NOTE
    key = {"XmlIn": {"Key": {"DispatchNote": NOTE}}}
    read = requests.post(f"{base}/Query/Query/SORQDN", json=key, headers=headers, timeout=10).json()
    assert plain(read["DispatchNoteLine"]["Merchandise"]["MShipQty"]) == "2"


def _order(po: str) -> str:
    return f"<Orders><OrderHeader>{head(po)}</OrderHeader><OrderDetails>{stock_line(qty='5')}</OrderDetails></Orders>"


def test_people_dispatch_a_day_of_orders_and_every_second_in_part(enet: EnetClient, control: Control) -> None:
    """An order of 5, and one of 4 with 3 of a code that is out of stock: goods arrive first."""
    enet.import_order(head(), stock_line(qty="5"))
    enet.import_order(head("500124"), stock_line(qty="4") + stock_line("KB-1001", "3"))
    done = control("POST", "day", dispatches=True, every_in_part=2).json()
    assert ([len(done[name]) for name in ("invoices", "notes")], done["in_part"]) == ([0, 2], ["001002"])
    assert [line_of(control, *place) for place in ((1, "1001"), (1, "1002"), (2, "1002"))] == [
        ("5", "0", "0", "5"), ("4", "0", "2", "2"), ("3", "0", "1", "2"),
    ]  # fmt: skip
    again = control("POST", "day", dispatches=True, every_in_part=2).json()
    assert (len(again["notes"]), again["in_part"]) == (1, [])
    assert line_of(control, 1, "1002") == ("4", "0", "0", "4")
    assert control("POST", "dispatches/invoice", order="1002").json()["invoices"]
