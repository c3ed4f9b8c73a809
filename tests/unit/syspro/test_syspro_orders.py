"""Sales orders between a mapped document, SORTOI's document and SORQRY's reply (sections 9.2, 9.3, 9.6, 10.2)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from syncengine.connectors.base import Change, LineChange, Operation, Verb
from syncengine.connectors.syspro import orders
from syncengine.connectors.syspro.documents import WRITTEN_AS, Filler, replacements
from syncengine.connectors.syspro.order_calls import ALLOW_NEGATIVE, SORTOI, in_order
from syncengine.connectors.syspro.resources.customer import Customer
from syncengine.connectors.syspro.resources.sales_order import SalesOrder
from syncengine.connectors.syspro.xml import parse
from syncengine.document import Doc
from syncengine.errors import Rejected
from tests.unit.syspro.syspro_fixtures import settings

ORDER: Doc = {
    "CustomerPoNumber": "500123",
    "Customer": "web001",
    "OrderDate": date(2026, 3, 4),
    "Currency": "GBP",
    "CustomerName": "Alder & Finch Ltd",
    "ShipAddress1": "Unit 4",
    "ShipAddress2": "",
    "StockLine": [
        {
            "@key": "11",
            "StockCode": "kb-1001",
            "OrderQty": Decimal("2"),
            "OrderUom": "EA",
            "Price": Decimal("24.95"),
            "PriceUom": "EA",
        },
        {"@key": "12", "StockCode": "KB-2040", "OrderQty": 1, "OrderUom": "EA", "Price": "8", "PriceUom": "EA"},
    ],
    "CommentLine": [{"@key": "13", "Comment": "Engrave: happy birthday"}],
    "FreightLine": [{"@key": "14", "FreightValue": Decimal("4.99")}],
}


def created(doc: Doc, **more: Any) -> Doc:
    filler = Filler(settings(**more))
    return orders.create(Operation(Verb.CREATE, "500123", doc=doc), filler, "OrderType")


def refused(doc: Doc, **more: Any) -> Rejected:
    with pytest.raises(Rejected) as raised:
        created(doc, **more)
    return raised.value


def test_a_create_has_the_schemas_order_fixed_decimals_and_numbered_lines() -> None:
    document = created(ORDER)
    assert list(document["OrderHeader"].items()) == [
        ("CustomerPoNumber", "500123"),
        ("OrderActionType", "A"),
        ("Customer", "WEB001"),
        ("OrderDate", "2026-03-04"),
        ("Currency", "GBP"),
        ("CustomerName", "Alder & Finch Ltd"),
        ("ShipAddress1", "Unit 4"),
    ]
    assert list(document["OrderDetails"]) == ["StockLine", "CommentLine", "FreightLine"]
    assert list(document["OrderDetails"]["StockLine"][0].items()) == [
        ("CustomerPoLine", "1"),
        ("LineActionType", "A"),
        ("StockCode", "KB-1001"),
        ("OrderQty", "2.000000"),
        ("OrderUom", "EA"),
        ("Price", "24.95000"),
        ("PriceUom", "EA"),
    ]
    assert document["OrderDetails"]["FreightLine"][0]["CustomerPoLine"] == "4"
    assert document["OrderDetails"]["FreightLine"][0]["FreightValue"] == "4.99"


def test_an_unknown_element_is_refused_with_the_nearest_name() -> None:
    error = refused({**ORDER, "ShippingInstrsCod": "ND24"})
    assert error.field == "ShippingInstrsCod"
    assert "ShippingInstrsCode" in error.reason


def test_an_over_long_text_is_refused_and_never_cut() -> None:
    assert refused({**ORDER, "ShipAddress1": "x" * 41}).field == "ShipAddress1"
    line = {"@key": "1", "StockCode": "A" * 31, "OrderQty": 1, "OrderUom": "EA"}
    assert refused({**ORDER, "StockLine": [line]}).field == "StockLine.StockCode"


def test_a_sites_own_widths_count() -> None:
    assert refused({**ORDER, "SpecialInstrs": "x" * 31}).field == "SpecialInstrs"
    filled = created({**ORDER, "SpecialInstrs": "x" * 31}, widths={"OrderHeader.SpecialInstrs": 50})
    assert filled["OrderHeader"]["SpecialInstrs"] == "x" * 31


@pytest.mark.parametrize(
    ("field", "value"), [("OrderQty", 1.5), ("OrderQty", "many"), ("Price", Decimal("NaN")), ("Price", 10**10)]
)
def test_numbers_that_are_none_or_too_large_are_refused_by_name(field: str, value: Any) -> None:
    line = {"@key": "1", "StockCode": "A", "OrderQty": 1, "OrderUom": "EA", field: value}
    assert refused({**ORDER, "StockLine": [line]}).field == f"StockLine.{field}"


def test_an_order_without_lines_is_refused() -> None:
    empty = {name: value for name, value in ORDER.items() if not name.endswith("Line")}
    assert refused(empty).field == "StockLine"


def test_a_price_without_its_unit_is_refused() -> None:
    line = {"@key": "1", "StockCode": "A", "OrderQty": 1, "OrderUom": "EA", "Price": 1}
    assert refused({**ORDER, "StockLine": [line]}).field == "StockLine.PriceUom"


def test_a_comment_runs_over_into_further_elements_and_no_further() -> None:
    comments = created({**ORDER, "OrderComments": "word " * 50})["OrderHeader"]["OrderComments"]
    assert all(len(piece) <= 100 for piece in comments)
    assert " ".join(comments) == ("word " * 50).strip()
    assert refused({**ORDER, "OrderComments": "x" * 401}).field == "OrderComments"


def test_the_order_source_goes_into_the_chosen_element() -> None:
    assert created({**ORDER, "OrderSourceCode": "WB"})["OrderHeader"]["OrderType"] == "WB"
    assert refused({**ORDER, "OrderSourceCode": "WB", "OrderType": "XX"}).field == "OrderSourceCode"


def test_characters_are_replaced_with_a_warning_or_refused_or_left_by_setting() -> None:
    doc = {**ORDER, "CustomerName": "Łukasz 日本"}
    filler = Filler(settings())
    operation = Operation(Verb.CREATE, "1", doc=doc)
    filled = orders.create(operation, filler, "")
    assert filled["OrderHeader"]["CustomerName"] == "Lukasz ??"
    (warning,) = replacements(operation, filler)
    assert "Łukasz" in warning
    assert refused(doc, characters="reject").field == "CustomerName"
    assert created(doc, characters="send")["OrderHeader"]["CustomerName"] == "Łukasz 日本"


def planned(verb: Verb, doc: Doc, *changed: str, lines: Sequence[LineChange] = (), **more: Any) -> Operation:
    """A write as a plan has it: with the canonical document."""
    changes = {name: Change("", doc[name]) for name in changed}
    return Operation(verb, "1", doc=resource(**more).canonical(doc), changes=changes, lines=lines)


def test_text_that_no_transliteration_carries_is_an_objection_with_field_value_and_remedy() -> None:
    objection = resource().objection(planned(Verb.CREATE, {**ORDER, "CustomerName": "Łukasz 日本"}))
    assert objection is not None
    assert objection.startswith("CustomerName = 'Łukasz 日本': SYSPRO's character set has no 日 本,")
    assert "Correct the text at the source, or approve" in objection


@pytest.mark.parametrize("name", ["Łukasz Żółciński", "Zdeněk", "Ελένη", "Zoe\u0308", "“Für Oma”"])
def test_text_that_can_be_transliterated_is_none(name: str) -> None:
    assert resource().objection(planned(Verb.CREATE, {**ORDER, "CustomerName": name})) is None


def test_a_change_is_only_objected_to_for_what_it_writes() -> None:
    line = {"@key": "13", "Comment": "日本"}
    doc = {**ORDER, "CustomerName": "日本", "CommentLine": [line]}
    change = LineChange("CommentLine", "change", "13", "3", line, {"Comment": Change("a", "日本")})
    assert resource().objection(planned(Verb.CHANGE, doc, "ShipAddress1")) is None
    assert "CustomerName" in (resource().objection(planned(Verb.CHANGE, doc, "CustomerName")) or "")
    assert "CommentLine[13].Comment" in (resource().objection(planned(Verb.CHANGE, doc, lines=[change])) or "")
    assert resource().objection(planned(Verb.CANCEL, doc)) is None


@pytest.mark.parametrize("characters", ["send", "reject"])
def test_the_other_choices_of_characters_hold_nothing(characters: str) -> None:
    doc = {**ORDER, "CustomerName": "日本"}
    assert resource(characters=characters).objection(planned(Verb.CREATE, doc, characters=characters)) is None


def charge(**more: Any) -> Doc:
    return {"@key": "16", "MiscChargeValue": "3.50", "MiscProductClass": "GIFT", "MiscDescription": "Wrap", **more}


def test_an_amended_charge_restates_its_product_class_which_sorqry_does_not_give() -> None:
    """syspro-objects.md section 14 item 7."""
    at_syspro = {"@line": "4", "MiscChargeValue": Decimal("2.00"), "MiscDescription": "Wrap", "MiscTaxCode": "A"}
    change = LineChange("MiscChargeLine", "change", "16", "4", charge(), {"MiscChargeValue": Change("2.00", "3.50")})
    (line,) = changed({}, change, there={"MiscChargeLine": [at_syspro]})["OrderDetails"]["MiscChargeLine"]
    assert line == {
        "CustomerPoLine": "4",
        "LineActionType": "C",
        "MiscChargeValue": "3.50",
        "MiscProductClass": "GIFT",
        "MiscTaxCode": "A",
        "MiscDescription": "Wrap",
    }


def test_a_removed_comment_names_its_text_and_no_cancel_code() -> None:
    removal = LineChange("CommentLine", "remove", "13", "3", {"Comment": "by a clerk"})
    (line,) = changed({}, removal)["OrderDetails"]["CommentLine"]
    assert line == {"CustomerPoLine": "3", "LineActionType": "D", "Comment": "by a clerk"}


@pytest.mark.parametrize(
    ("kind", "line", "missing"),
    [
        ("CommentLine", {"CommentType": "O"}, "Comment"),
        ("MiscChargeLine", {"MiscProductClass": "GIFT"}, "MiscChargeValue"),
        ("MiscChargeLine", {"MiscChargeValue": "1.00"}, "MiscProductClass"),
        ("FreightLine", {"FreightTaxCode": "A"}, "FreightValue"),
    ],
)
def test_a_new_line_without_what_the_schema_wants_is_refused_by_name(kind: str, line: Doc, missing: str) -> None:
    assert refused({**ORDER, kind: [{"@key": "17", **line}]}).field == f"{kind}.{missing}"


def test_a_charge_by_a_standard_code_needs_no_class() -> None:
    lines = created({**ORDER, "MiscChargeLine": [{"@key": "1", "MiscChargeValue": "1", "MiscChargeCode": "WRAP"}]})
    assert "MiscProductClass" not in lines["OrderDetails"]["MiscChargeLine"][0]


def test_a_negative_quantity_is_recognised_in_the_document() -> None:
    line = {"@key": "1", "StockCode": "A", "OrderQty": Decimal(-2), "OrderUom": "EA"}
    assert orders.has_negative_line(created({**ORDER, "StockLine": [line]}))
    assert not orders.has_negative_line(created(ORDER))


@pytest.mark.parametrize("name", ["NonStockedLine", "StockNotTaxable", "StockNotFstTaxable"])
def test_a_flag_that_may_only_be_y_refuses_n(name: str) -> None:
    line = {"@key": "1", "StockCode": "A", "OrderQty": 1, "OrderUom": "EA", name: "N"}
    assert refused({**ORDER, "StockLine": [line]}).field == f"StockLine.{name}"


def test_names_that_sorqry_has_of_its_own_are_read_as_sortois() -> None:
    """syspro-objects.md section 14 item 7."""
    header = "<TaxStatusCode>E</TaxStatusCode><MultShipCode>HQ</MultShipCode><CompanyTaxNo>GB1</CompanyTaxNo>"
    line = (
        "<MCustRequestDat>2026-03-09</MCustRequestDat><MCusSupStkCode>X-1</MCusSupStkCode><MUserDef>UD</MUserDef>"
        "<MDiscValue>   1.50</MDiscValue><MDiscValFlag>U</MDiscValFlag><MFstTaxCode>F</MFstTaxCode>"
    )
    reply = SORQRY.replace("<DiscPct1>", f"{header}<EntInvoice>100245</EntInvoice><DiscPct1>", 1)
    loaded = resource().load(
        orders.from_sorqry(parse(reply.replace("<MShipQty>", f"{line}<MShipQty>", 1)), "OrderType")
    )
    assert (loaded["TaxExemptionStatus"], loaded["MultiShipCode"]) == ("E", "HQ")
    assert (loaded["CompanyTaxNumber"], loaded["InvoiceNumberEntered"]) == ("GB1", "100245")
    stock = loaded["StockLine"][0]
    assert (stock["CustRequestDate"], stock["CustomersPartNumber"]) == (date(2026, 3, 9), "X-1")
    assert (stock["UserDefined"], stock["LineDiscValue"], stock["LineDiscValFlag"]) == ("UD", Decimal("1.50"), "U")
    assert stock["StockFstCode"] == "F"


def test_parameters_go_out_in_the_order_of_the_schema() -> None:
    chosen = settings(sortoi={"WarehouseListToUse": "FG", "FromVersion9": "Y"}).parameters_of(SORTOI)
    names = list(in_order({**chosen, ALLOW_NEGATIVE: "Y"}))
    assert names[:4] == ["InBoxMsgReqd", "Process", "WarehouseListToUse", "TypeOfOrder"]
    assert names[-2:] == [ALLOW_NEGATIVE, "FromVersion9"]


def current() -> Doc:
    return {
        "CustomerPoNumber": "500123",
        "Customer": "WEB001",
        "SalesOrder": "000512",
        "StockLine": [
            {"@line": "1", "StockCode": "KB-1001", "OrderQty": Decimal(2), "OrderUom": "EA", "Price": Decimal("19.95")},
            {"@line": "2", "StockCode": "KB-2040", "OrderQty": Decimal(1), "OrderUom": "EA", "Price": Decimal(8)},
        ],
        "CommentLine": [{"@line": "3", "Comment": "by a clerk"}],
        "FreightLine": [],
    }


def changed(
    changes: dict[str, Change], *lines: LineChange, filler: Filler | None = None, there: Doc | None = None
) -> Doc:
    """The document of a change; `there` is put over the order that SYSPRO has."""
    present = {**current(), **(there or {})}
    operation = Operation(Verb.CHANGE, "500123", doc=ORDER, key="000512", changes=changes, lines=lines, current=present)
    filler = filler or Filler(settings())
    return orders.change(operation, filler, "OrderType", line_cancel_code="WEB", blank="{blank}")


def test_a_change_sends_what_changed_by_syspros_own_line_numbers() -> None:
    document = changed(
        {"ShipAddress2": Change("12 Kiln Street", ""), "ShipAddress1": Change("Unit 4", "Unit 5")},
        LineChange(
            "StockLine", "change", "11", "1", ORDER["StockLine"][0], {"OrderQty": Change(Decimal(2), Decimal(3))}
        ),
        LineChange("StockLine", "remove", "12", "2", ORDER["StockLine"][1]),
        LineChange(
            "StockLine", "add", "15", None, {"@key": "15", "StockCode": "KB-9", "OrderQty": 1, "OrderUom": "EA"}
        ),
    )
    assert document["OrderHeader"] == {
        "CustomerPoNumber": "500123",
        "OrderActionType": "C",
        "Customer": "WEB001",
        "ShipAddress1": "Unit 5",
        "ShipAddress2": "{blank}",
        "SalesOrder": "000512",
    }
    first, second, third = document["OrderDetails"]["StockLine"]
    assert (first["CustomerPoLine"], first["LineActionType"], first["OrderQty"]) == ("1", "C", "3.000000")
    assert first["Price"] == "19.95000"  # SYSPRO's present price: only the quantity changed
    assert second == {"CustomerPoLine": "2", "LineActionType": "D", "LineCancelCode": "WEB", "StockCode": "KB-2040"}
    assert (third["CustomerPoLine"], third["LineActionType"]) == ("4", "A")


@pytest.mark.parametrize("field", ["Currency", "Customer", "OrderStatus"])
def test_what_sortoi_cannot_change_is_refused_and_not_dropped(field: str) -> None:
    with pytest.raises(Rejected) as raised:
        changed({field: Change("A", "B")})
    assert raised.value.field == field


def test_a_field_that_cannot_be_emptied_is_a_warning() -> None:
    filler = Filler(settings())
    changed({"SpecialInstrs": Change("x", None)}, filler=filler)
    assert "SpecialInstrs" in filler.warnings[0]


SORQRY = """<SorDetail Language='05'><SalesOrder>000512</SalesOrder><Customer>WEB001</Customer>
<OrderStatus>1</OrderStatus><CustomerPoNumber>500123</CustomerPoNumber><OrderDate>2026-03-04</OrderDate>
<ReqShipDate>0000-00-00</ReqShipDate><ShippingInstrsCod>ND24</ShippingInstrsCod><OrderType>WB</OrderType>
<DiscPct1>0.00</DiscPct1><ExchangeRate>     1.000000</ExchangeRate><Edited_ExchangeRate>1.000000</Edited_ExchangeRate>
<SalesOrderLine><Merchandise><SalesOrderLine>1</SalesOrderLine><MStockCode>KB-1001</MStockCode>
<MWarehouse>FG</MWarehouse><MOrderQty>       1,002.000000</MOrderQty><MOrderUom>EA</MOrderUom>
<MPrice>       24.95000</MPrice><MDiscPct1>10.00</MDiscPct1><MShipQty>      0.000000</MShipQty></Merchandise></SalesOrderLine>
<SalesOrderLine><CommentLine><SalesOrderLine>3</SalesOrderLine><NComment>Engrave: happy birthday</NComment>
</CommentLine></SalesOrderLine>
<SalesOrderLine><MiscCharge><SalesOrderLine>4</SalesOrderLine><NComment>Coupon</NComment>
<NMscChargeValue>          3.50-</NMscChargeValue><NMscTaxCode>A</NMscTaxCode></MiscCharge></SalesOrderLine>
</SorDetail>"""


class NoGateway:
    """What makes no call needs none."""


def resource(**more: Any) -> SalesOrder:
    return SalesOrder(NoGateway(), settings(**more))  # type: ignore[arg-type]


def test_a_read_order_bears_sortois_names_and_loads_exactly() -> None:
    document = orders.from_sorqry(parse(SORQRY), "OrderType")
    assert "LastInvoice" not in document  # what the reply does not carry is absent
    assert document["FreightLine"] == []
    loaded = resource().load(document)
    assert loaded["OrderDate"] == date(2026, 3, 4)
    assert loaded["RequestedShipDate"] is None
    assert (loaded["ShippingInstrsCode"], loaded["OrderSourceCode"]) == ("ND24", "WB")
    line = loaded["StockLine"][0]
    assert (line["@line"], line["StockCode"], line["OrderQty"]) == ("1", "KB-1001", Decimal(1002))
    assert (line["Price"], line["LineDiscPercent1"]) == (Decimal("24.95"), Decimal(10))
    assert loaded["CommentLine"] == [{"@line": "3", "Comment": "Engrave: happy birthday"}]
    assert loaded["MiscChargeLine"][0]["MiscChargeValue"] == Decimal("-3.50")
    assert loaded["MiscChargeLine"][0]["MiscDescription"] == "Coupon"


def test_a_number_that_is_none_is_named_with_its_place() -> None:
    document = orders.from_sorqry(parse(SORQRY.replace("24.95000", "24,95")), "")
    with pytest.raises(Rejected) as raised:
        resource().load(document)
    assert raised.value.field == "StockLine.0.Price"


def test_the_canonical_order_is_what_syspro_gives_back() -> None:
    doc = {**ORDER, "Salesperson": "", "CustomerName": " Łukasz ", "SpecialInstrs": "a\nb"}
    found = resource().canonical(doc)
    assert (found["Customer"], found["CustomerName"], found["SpecialInstrs"]) == ("WEB001", "Lukasz", "a b")
    assert "Salesperson" not in found  # SYSPRO takes the customer's
    assert found["ShipAddress2"] == ""  # one blank line of an address that is there
    assert found["StockLine"][0]["Price"] == Decimal("24.95000")
    assert found["StockLine"][0]["@key"] == "11"
    assert found[WRITTEN_AS] == {"CustomerName": "Łukasz"}
    assert resource().canonical(found) == found


def test_an_address_that_is_blank_as_a_whole_is_the_customers() -> None:
    assert "ShipAddress1" not in resource().canonical({**ORDER, "ShipAddress1": "", "ShipAddress2": None})


@pytest.mark.parametrize(
    ("status", "change", "cancel"),
    [
        ("1", True, True),
        ("S", True, True),
        ("4", False, False),
        ("8", False, False),
        ("9", False, False),
        ("7", False, False),
    ],
)
def test_status_says_whether_an_order_may_be_changed(status: str, change: bool, cancel: bool) -> None:
    assert (resource().refuses(Verb.CHANGE, {"OrderStatus": status}) is None) is change
    assert (resource().refuses(Verb.CANCEL, {"OrderStatus": status}) is None) is cancel


@pytest.mark.parametrize(
    "doc", [{"OrderStatus": "*"}, {"OrderStatus": "\\"}, {"OrderStatus": "/"}, {"CancelledFlag": "Y"}]
)
def test_cancelled_orders_are_recognised(doc: Doc) -> None:
    assert resource().is_cancelled(doc)
    assert resource().refuses(Verb.CHANGE, doc)


def test_keys_have_one_form() -> None:
    assert resource().key_of({"SalesOrder": "000000000000512"}) == "000512"
    assert resource().key_of({"SalesOrder": "000512"}) == "000512"
    assert resource(numeric_order_keys=False).key_of({"SalesOrder": "000000000000512"}) == "000000000000512"
    customer = Customer(NoGateway(), settings(numeric_customer_keys=True))  # type: ignore[arg-type]
    assert customer.key_of({"Customer": "4711"}) == "000000000004711"
    assert customer.canonical({"Customer": "4711", "CreditLimit": "5000.4"}) == {
        "Customer": "000000000004711",
        "CreditLimit": Decimal(5000),
    }
