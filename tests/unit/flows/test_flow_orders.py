"""Orders as SYSPRO should get them. The expectations are worked out by hand from brightpearl.md 11, syspro-transport.md 9."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from syncengine.errors import Rejected
from syncengine.mapping.contract import Context, MissingLookup, Need, Policy, Reference, RuleDecision, RuleVerdict
from tests.unit.flows.flow_fixtures import SETTINGS, context, flows, mapped, order, row, text_row

D = Decimal


def lines(made: dict[str, Any], field: str, *names: str) -> list[tuple[Any, ...]]:
    """Lines as tuples: their key, then these fields."""
    return [tuple(line.get(name) for name in ("@key", *names)) for line in made.get(field, [])]


def test_a_plain_order_field_by_field() -> None:
    doc = order("69.50", {"8101": row("50.0000", "2.0000"), "8102": row("19.5000", productSku="MUG-002", tax="T5")})

    assert mapped(doc) == {
        "CustomerPoNumber": "5001",
        "Customer": "BP310",
        "OrderDate": date(2024, 7, 1),  # 23:30 UTC is half past midnight in London
        "Currency": "GBP",
        "CustomerName": "Robin Sample",
        "ShipAddress1": "12 Example Road",
        "ShipAddress2": "Clifton",
        "ShipAddress3": "Bristol",
        "ShipAddress4": "Avon",
        "ShipAddress5": "United Kingdom",
        "ShipPostalCode": "BS1 4QA",
        "Email": "robin@sample.example",
        "Warehouse": "MN",
        "ShippingInstrs": "Next day courier",
        "ShippingInstrsCode": "ND24",
        "SpecialInstrs": "WEB-10001",
        "RequestedShipDate": date(2024, 7, 5),
        "OrderSourceCode": "WB",
        "OrderStatus": "1",
        "StockLine": [
            {
                "@key": "8101",
                "StockCode": "TOTE-001",
                "OrderQty": D("2.000000"),
                "OrderUom": "EA",
                "Price": D("25.00000"),
                "PriceUom": "EA",
                "StockTaxCode": "A",
                "LineShipDate": date(2024, 7, 5),
            },
            {
                "@key": "8102",
                "StockCode": "MUG-002",
                "OrderQty": D("1.000000"),
                "OrderUom": "EA",
                "Price": D("19.50000"),
                "PriceUom": "EA",
                "StockTaxCode": "B",
                "LineShipDate": date(2024, 7, 5),
            },
        ],
    }


def test_the_customer_is_needed_in_the_orders_currency() -> None:
    mapping = flows()["orders"].mapping
    doc = order("10.00", {"1": row("10.0000")}, currency={"orderCurrencyCode": "EUR"})

    assert mapping.needs(doc, context()) == [Need("customers", "310", "EUR", "customers")]
    with pytest.raises(MissingLookup):
        mapping.apply(doc, context())


@pytest.mark.parametrize(
    ("price_mode", "net", "quantity", "price"),
    [
        ("EXC", "10.0000", "3.0000", "3.33333"),  # 3 x 3.33333 = 9.99999, which is 10.00 again
        ("INC", "9.0909", "1.0000", "9.09090"),  # rowNet is net in both price modes
        ("EXC", "0.0000", "1.0000", "0.00000"),  # a gift: SORTOI takes a zero price with AllowZeroPrice
        ("EXC", "1357604.1667", "12500.0000", "108.60833"),
        ("EXC", "7.5000", "1.5000", "5.00000"),
    ],
)
def test_the_price_is_net_for_one_in_five_places(price_mode: str, net: str, quantity: str, price: str) -> None:
    total = str(D(net).quantize(D("0.01")))
    doc = order(total, {"1": row(net, quantity)}, priceModeCode=price_mode)

    assert lines(mapped(doc), "StockLine", "OrderQty", "Price") == [("1", D(quantity + "00"), D(price))]


def test_a_discount_is_in_the_net_price_already_and_not_given_again() -> None:
    doc = order("42.50", {"1": row("42.5000", "2.0000", discountPercentage="15.00", price="25.0000")})

    made = mapped(doc)

    assert lines(made, "StockLine", "Price") == [("1", D("21.25000"))]
    assert "LineDiscPercent1" not in made["StockLine"][0]


def test_free_text_with_a_value_is_a_charge_and_without_one_a_comment() -> None:
    long = "Please engrave the following on the back of the lid in small letters: for a long and happy life together, yours"
    doc = order(
        "16.50",
        {
            "1": row("10.0000"),
            "2": text_row("7.5000", "Engraving: “Für Oma”"),
            "3": text_row("-1.0000", "Voucher SPRING1", nominalCode="4009", tax="T0"),
            "4": text_row("0.0000", long),
        },
    )

    made = mapped(doc)

    assert lines(made, "MiscChargeLine", "MiscChargeValue", "MiscDescription", "MiscTaxCode", "MiscProductClass") == [
        ("2", D("7.50"), "Engraving: “Für Oma”", "A", "WRAP"),
        ("3", D("-1.00"), "Voucher SPRING1", "Z", "WRAP"),
    ]
    assert lines(made, "CommentLine", "Comment") == [
        ("4", "Please engrave the following on the back of the lid in small letters: for a long and happy life"),
        ("4/2", "together, yours"),
    ]


def test_the_rest_of_a_long_description_of_a_charge_follows_as_a_comment() -> None:
    doc = order("5.00", {"1": text_row("5.0000", "word " * 25)})

    made = mapped(doc)

    assert lines(made, "MiscChargeLine", "MiscDescription") == [("1", " ".join(["word"] * 20))]
    assert lines(made, "CommentLine", "Comment") == [("1/text", "word word word word word")]


def test_shipping_is_freight_by_its_nominal_code_or_sku() -> None:
    rows = {
        "1": row("10.0000"),
        "2": text_row("5.9500", "Next day courier", nominalCode="4040"),
        "3": row("4.0000", productSku="POST", tax="T0"),
    }

    made = mapped(order("19.95", rows), settings={"shipping_skus": ["POST"]})

    assert lines(made, "FreightLine", "FreightValue", "FreightTaxCode") == [
        ("2", D("5.95"), "A"),
        ("3", D("4.00"), "Z"),
    ]
    assert lines(made, "StockLine") == [("1",)]


BUNDLE = {
    "1": row("54.0000", "2.0000", bundle=True, productName="Gift Set", productSku="GIFT-SET"),
    "2": row("0.0000", "2.0000", parent=1, cost="6.0000"),
    "3": row("0.0000", "4.0000", parent=1, cost="1.5000", productSku="MUG-002"),
}


def test_the_price_of_a_bundle_is_spread_over_its_components_by_their_cost() -> None:
    made = mapped(order("54.00", BUNDLE))

    # costs 2 x 6.00 and 4 x 1.50: two thirds and one third of 54.00, for 2 and 4 pieces
    assert lines(made, "StockLine", "StockCode", "OrderQty", "Price") == [
        ("2", "TOTE-001", D("2.000000"), D("18.00000")),
        ("3", "MUG-002", D("4.000000"), D("4.50000")),
    ]
    assert lines(made, "CommentLine", "Comment") == [("1/bundle", "Bundle: 2 x Gift Set")]


def test_the_price_of_a_bundle_is_spread_by_list_price_where_there_is_one_else_by_quantity() -> None:
    priced = {**BUNDLE, "2": row("0.0000", "2.0000", parent=1, price="10.0000"), "3": row("0.0000", "4.0000", parent=1)}
    bare = {**BUNDLE, "2": row("0.0000", "2.0000", parent=1), "3": row("0.0000", "4.0000", parent=1)}

    assert lines(mapped(order("54.00", priced)), "StockLine", "Price") == [("2", D("27.00000")), ("3", D("0.00000"))]
    assert lines(mapped(order("54.00", bare)), "StockLine", "Price") == [("2", D("9.00000")), ("3", D("9.00000"))]


def test_a_bundle_may_be_a_line_of_its_own_or_a_charge() -> None:
    as_lines = mapped(order("54.00", BUNDLE), settings={"bundles": "lines"})
    as_charge = mapped(order("54.00", BUNDLE), settings={"bundles": "charge"})

    assert lines(as_lines, "StockLine", "Price") == [("1", D("27.00000")), ("2", D("0.00000")), ("3", D("0.00000"))]
    assert "CommentLine" not in as_lines
    assert lines(as_charge, "StockLine", "Price") == [("2", D("0.00000")), ("3", D("0.00000"))]
    assert lines(as_charge, "MiscChargeLine", "MiscChargeValue", "MiscDescription") == [("1", D("54.00"), "Gift Set")]


def test_a_bundle_without_components_and_a_component_without_its_bundle_are_plain_lines() -> None:
    made = mapped(order("64.00", {"1": row("54.0000", bundle=True), "2": row("10.0000", parent=99)}))

    assert lines(made, "StockLine", "Price") == [("1", D("54.00000")), ("2", D("10.00000"))]


@pytest.mark.parametrize(
    ("channel", "tags", "currency", "account"),
    [(5, "", "GBP", "WEB001"), (5, "", "EUR", "WEB002"), (1, "3, 7", "GBP", "WEB001")],
)
def test_guests_are_told_by_channel_or_tag_and_go_to_the_house_account(
    channel: int, tags: str, currency: str, account: str
) -> None:
    mapping = flows()["orders"].mapping
    doc = order(
        "10.00",
        {"1": row("10.0000")},
        assignment={"current": {"channelId": channel}},
        currency={"orderCurrencyCode": currency},
    )
    read = context(references={"brightpearl.contact": {"310": {"contactId": 310, "contactTags": tags}}})

    assert mapping.needs(doc, read) == []
    made = mapping.apply(doc, read)[""]
    assert (made["Customer"], made["Currency"], made["CustomerName"]) == (account, currency, "Robin Sample")
    assert made["ShipAddress1"] == "12 Example Road"


def test_the_contact_is_read_only_where_guests_are_told_by_a_tag() -> None:
    mapping = flows()["orders"].mapping
    doc = order("10.00", {"1": row("10.0000")})

    contacts = [found for found in mapping.references(doc, SETTINGS) if found.resource == "brightpearl.contact"]
    assert contacts == [Reference("brightpearl.contact", "310")]
    assert list(mapping.references(doc)) == []


def test_the_stock_codes_of_products_are_read_where_their_tax_codes_decide() -> None:
    mapping = flows()["orders"].mapping
    doc = order("20.00", {"1": row("10.0000"), "2": row("10.0000", productSku="MUG-BLUE")})
    holds = {"tax_override": "ignored", "tax_difference": "hold"}

    found = mapping.references(doc, holds, {"stock_codes": {"MUG-BLUE": "MB1"}})
    assert [each.key for each in found] == [row("1")["productSku"], "MB1"]
    assert list(mapping.references(doc, {**holds, "send_tax_codes": False})) == []
    treated = mapping.references(doc, {}, {"tax_treatment": {doc["parties"]["delivery"]["countryIsoCode"]: "O"}})
    assert len(list(treated)) == 2


def test_a_guest_in_a_currency_without_a_house_account_is_rejected() -> None:
    doc = order(
        "10.00", {"1": row("10.0000")}, assignment={"current": {"channelId": 5}}, currency={"orderCurrencyCode": "USD"}
    )

    with pytest.raises(Rejected) as error:
        flows()["orders"].mapping.apply(doc, context())

    assert error.value.field == "Customer"
    assert error.value.remedy == "Add USD to the lookup table house_accounts and retry"


def test_a_guest_whose_house_account_is_blank_is_rejected() -> None:
    doc = order("10.00", {"1": row("10.0000")}, assignment={"current": {"channelId": 5}})

    with pytest.raises(Rejected, match="a value is required, but there is none") as error:
        flows()["orders"].mapping.apply(doc, context(lookups={"house_accounts": {"GBP": " "}}))

    assert error.value.field == "Customer"


@pytest.mark.parametrize(
    ("changes", "decision"),
    [
        ({"orderTypeCode": "SC"}, RuleDecision(RuleVerdict.SKIP, "it is not a sales order")),
        ({"orderStatus": {"orderStatusId": 5}}, RuleDecision(RuleVerdict.CANCEL, "it was cancelled at the source")),
        (
            {"orderStatus": {"orderStatusId": 4}},
            RuleDecision(RuleVerdict.SKIP, "its status is not one of the setting eligible_statuses"),
        ),
        ({}, RuleDecision()),
    ],
)
def test_type_and_status_decide(changes: dict[str, Any], decision: RuleDecision) -> None:
    doc = order("10.00", {"1": row("10.0000")}, **changes)

    assert flows()["orders"].mapping.decide(doc, context()) == decision


def test_nothing_is_eligible_before_a_site_says_so() -> None:
    decision = flows()["orders"].mapping.decide(order("10.00", {"1": row("10.0000")}), Context())

    assert decision.verdict is RuleVerdict.SKIP


@pytest.mark.parametrize(
    ("net", "rows", "changes", "field", "value"),
    [
        ("0.00", {}, {}, "orderRows", None),
        ("-5.00", {"1": row("-5.0000", "-1.0000")}, {}, "orderRows.quantity", D("-1.0000")),
        ("5.00", {"1": row("5.0000", productSku="")}, {}, "orderRows.productSku", "Canvas Tote"),
        ("5.00", {"1": row("5.0000", productSku="  ")}, {}, "orderRows.productSku", "Canvas Tote"),
        ("5.00", {"1": row("5.0000")}, {"currency": {"orderCurrencyCode": "JPY"}}, "Currency", "JPY"),
    ],
)
def test_orders_that_syspro_cannot_take_are_refused_with_the_cause(
    net: str, rows: dict[str, Any], changes: dict[str, Any], field: str, value: Any
) -> None:
    with pytest.raises(Rejected) as error:
        flows()["orders"].mapping.decide(order(net, rows, **changes), context())

    assert (error.value.field, error.value.value) == (field, value)
    assert error.value.remedy


def test_negative_quantities_of_charges_and_zero_quantities_do_no_harm() -> None:
    rows = {"1": row("10.0000"), "2": text_row("-1.0000", "Voucher", quantity="-1.0000"), "3": row("0.0000", "0.0000")}
    doc = order("9.00", rows)

    assert flows()["orders"].mapping.decide(doc, context()).verdict is RuleVerdict.GO
    assert lines(mapped(doc), "StockLine") == [("1",)]


def test_a_negative_quantity_of_a_product_is_sent_where_the_setting_says_that_the_site_takes_it() -> None:
    """OrderQty is "12.6 positive or negative" (syspro-objects.md section 14 item 7)."""
    doc = order("5.00", {"1": row("10.0000"), "2": row("-5.0000", "-1.0000")})
    allowed = {"negative_quantities": True}

    assert flows()["orders"].mapping.decide(doc, context(settings=allowed)).verdict is RuleVerdict.GO
    assert lines(mapped(doc, settings=allowed), "StockLine", "OrderQty", "Price") == [
        ("1", D("1"), D("10")),
        ("2", D("-1"), D("5")),
    ]
    with pytest.raises(Rejected) as refused:
        flows()["orders"].mapping.decide(doc, context())
    assert "only as a credit note" not in str(refused.value)
    assert "set negative_quantities" in refused.value.remedy


@pytest.mark.parametrize(
    ("changed", "field", "said"),
    [
        (
            {"productSku": "LIMITED-EDITION-BLANKET-XL-2025A"},
            "StockLine.StockCode",
            "32 characters, but the target takes 30",
        ),
        ({"quantity": {"magnitude": None}}, "StockLine.OrderQty", "a value is required, but there is none"),
    ],
)
def test_a_row_that_does_not_fit_is_rejected_by_its_field(changed: dict[str, Any], field: str, said: str) -> None:
    with pytest.raises(Rejected) as error:
        mapped(order("10.00", {"1": {**row("10.0000"), **changed}}))

    assert error.value.field == field
    assert said in error.value.reason


def test_an_sku_of_another_name_or_unit_is_looked_up() -> None:
    lookups = {"stock_codes": {"TOTE-001": "T1"}, "stock_uoms": {"TOTE-001": "BX"}}

    made = mapped(order("10.00", {"1": row("10.0000")}), lookups=lookups)

    assert lines(made, "StockLine", "StockCode", "OrderUom", "PriceUom") == [("1", "T1", "BX", "BX")]


def test_an_unknown_tax_code_or_warehouse_is_waited_for_and_tax_may_be_left_to_syspro() -> None:
    doc = order("10.00", {"1": row("10.0000", tax="T99")})

    with pytest.raises(MissingLookup) as missing:
        mapped(doc)
    assert missing.value.need == Need("lookup:tax_codes", "T99")
    assert "StockTaxCode" not in mapped(doc, settings={"send_tax_codes": False})["StockLine"][0]
    with pytest.raises(MissingLookup) as missing:
        mapped(order("10.00", {"1": row("10.0000")}, warehouseId=9))
    assert missing.value.need == Need("lookup:warehouses", "9")
    assert "Warehouse" not in mapped(order("10.00", {"1": row("10.0000")}, warehouseId=0))


@pytest.mark.parametrize(
    ("table", "status"),
    [
        ({"2:UNPAID": "S", "2": "4"}, "S"),
        ({"2": "4", "UNPAID": "S"}, "4"),
        ({"UNPAID": "8"}, "8"),
        ({}, "1"),
    ],
)
def test_status_and_payment_status_choose_the_status_of_the_new_order(table: dict[str, str], status: str) -> None:
    assert mapped(order("10.00", {"1": row("10.0000")}), lookups={"order_statuses": table})["OrderStatus"] == status


def test_a_status_that_sortoi_does_not_take_is_rejected() -> None:
    with pytest.raises(Rejected, match="SYSPRO does not take this status"):
        mapped(order("10.00", {"1": row("10.0000")}), lookups={"order_statuses": {"2": "9"}})


def test_lines_that_do_not_add_up_to_the_total_are_rejected() -> None:
    with pytest.raises(Rejected) as error:
        mapped(order("11.00", {"1": row("10.0000")}))

    assert (error.value.field, error.value.value) == ("totalValue.net", "10.00; expected 11.00")


def test_a_company_has_the_name_and_its_person_a_comment_line() -> None:
    doc = order("10.00", {"1": row("10.0000")}, delivery_party={"companyName": "Sample Outfitters"})

    assert mapped(doc)["CustomerName"] == "Sample Outfitters"
    assert lines(mapped(doc), "CommentLine", "Comment") == [("attention", "Attn: Robin Sample")]
    assert "CommentLine" not in mapped(doc, settings={"comment_attention": False})
    phone = mapped(doc, settings={"comment_attention": False, "comment_telephone": True})
    assert lines(phone, "CommentLine", "Comment") == [("telephone", "Tel: 0117 496 0000")]


def test_a_long_reference_becomes_a_comment_of_its_own() -> None:
    reference = "MARKETPLACE-0123456789-0123456789"  # 33 characters, SpecialInstrs holds 30

    made = mapped(order("10.00", {"1": row("10.0000")}, reference=reference))

    assert "SpecialInstrs" not in made
    assert lines(made, "CommentLine", "Comment") == [("reference", f"Ref: {reference}")]


def test_a_long_name_goes_on_in_the_address_and_long_lines_in_the_next() -> None:
    doc = order(
        "10.00",
        {"1": row("10.0000")},
        delivery_party={
            "companyName": "The Extraordinarily Long-Winded Trading Company of Bristol and Bath",  # 67 characters
            "addressLine1": "The Old Coach House behind the Parish Church Hall",  # 49
            "addressLine2": "",
            "addressLine3": "Stratford",
            "addressLine4": "",
        },
    )

    made = mapped(doc)

    assert made["CustomerName"] == "The Extraordinarily Long-Winded Trading Company of"
    assert [made.get(f"ShipAddress{line}") for line in ("1", "2", "3", "3Locality", "4", "5")] == [
        "Bristol and Bath",
        "The Old Coach House behind the Parish",
        "Church Hall",
        "Stratford",
        None,
        "United Kingdom",
    ]


def test_an_address_that_fits_only_without_the_countrys_name_has_its_code() -> None:
    doc = order(
        "10.00",
        {"1": row("10.0000")},
        delivery_party={
            "addressLine1": "The Old Coach House behind Saint Bartholomew's Parish Church Hall, First Floor",
            "addressLine2": "Entrance by the northern courtyard, please ring twice at the blue door",
            "addressLine3": "Stratford-upon-Avon and Surrounding Villages",
            "addressLine4": "West Yorkshire",
        },
    )

    made = mapped(doc)

    assert [made[f"ShipAddress{line}"] for line in ("1", "2", "3", "3Locality", "4", "5")] == [
        "The Old Coach House behind Saint",
        "Bartholomew's Parish Church Hall, First",
        "Floor, Entrance by the northern",
        "courtyard, please ring twice at the blue",
        "door, Stratford-upon-Avon and",
        "Surrounding Villages, West Yorkshire, GB",
    ]


def test_an_address_that_does_not_fit_at_all_is_rejected_whole() -> None:
    with pytest.raises(Rejected) as error:
        mapped(order("10.00", {"1": row("10.0000")}, delivery_party={"addressLine1": "long " * 60}))

    assert error.value.field == "ShipAddress1"
    assert error.value.reason.startswith("the text does not fit into 6 lines of 40")


def test_sixty_rows_are_sixty_lines_with_keys_of_their_own() -> None:
    rows = {str(8000 + number): row("1.0000", orderRowSequence=str(number * 10)) for number in range(60)}

    made = mapped(order("60.00", rows))

    assert [line["@key"] for line in made["StockLine"]] == [str(8000 + number) for number in range(60)]


def test_prices_with_tax_and_their_rounding_survive_a_hundred_rows() -> None:
    rows = {str(number): row("9.0909", orderRowSequence=str(number)) for number in range(1, 101)}

    made = mapped(order("909.09", rows, priceModeCode="INC"))

    assert sum(round(line["Price"] * line["OrderQty"], 2) for line in made["StockLine"]) == D("909.00")


def test_what_syspros_people_own_is_set_once() -> None:
    mapping = flows()["orders"].mapping

    assert mapping.policy("OrderStatus") is Policy.ON_CREATE
    assert mapping.policy("StockLine.Price") is Policy.HOLD
    assert mapping.policy("ShipAddress1") is Policy.SOURCE
    assert mapping.policy("Customer") is Policy.HOLD
    assert mapping.natural_key({"CustomerPoNumber": "5001"}) == "5001"


def test_descriptions_are_sent_cut_only_where_a_site_wants_them() -> None:
    doc = order("10.00", {"1": row("10.0000", productName="A very long name of a product that has more than fifty")})

    made = mapped(doc, settings={"send_descriptions": True})

    assert made["StockLine"][0]["StockDescription"] == "A very long name of a product that has more than"
