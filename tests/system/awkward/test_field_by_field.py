"""Orders and customers as they must be in SYSPRO, each value worked out by hand from the references.

brightpearl.md sections 3.1, 11 and 12; syspro-transport.md section 9; settings of flows/connections/sandbox.yml.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from sqlalchemy import select

from syncengine.store.models import Effect
from tests.system.awkward.conftest import Cli
from tests.system.awkward.world import PLACED, World, both_gateways

D = Decimal


@both_gateways
def test_an_order_with_everything_arrives_field_by_field(world: World) -> None:
    shop = world.shop
    contact = shop.contact(company="Sample & Sons", email="buyer@sample.example", phone="0117 496 0123")
    order = shop.order(
        contact,
        shop.row("MUG", 3, "24.00", "4.80"),
        shop.row("BOOK", 2, "22.50", price=D("12.50"), discount=D(10), tax_code="T0"),
        shop.text("Engraving: “Für Oma”", "7.50"),
        shop.text("Please ring twice"),
        shop.text("Voucher SPRING", "-5.00", nominal_code="4009"),
        shop.shipping("Next day courier", "4.95"),
        delivery={"full_name": "Reception", "company": "Another Firm Ltd", "line1": "99 Other Street",
                  "line2": "Rear entrance", "line3": "Cardiff", "line4": "", "postal_code": "CF10 1EP"},
        reference="PO/4711", placed_on=datetime(2026, 6, 30, 23, 30, tzinfo=UTC), shipping_method_id=3,
        delivery_date=datetime(2026, 7, 9, 23, 0, tzinfo=UTC),
    )  # fmt: skip

    world.sync()

    found = world.erp.order(order.id)
    assert {name: found[name] for name in EVERYTHING} == {**EVERYTHING, "Customer": "BP310"}
    assert world.erp.stock_lines(order.id) == [("MUG", D(3), D("8.00000")), ("BOOK", D(2), D("11.25000"))]
    assert world.erp.charges(order.id) == [("Engraving: “Für Oma”", D("7.50")), ("Voucher SPRING", D("-5.00"))]
    assert world.erp.freight(order.id) == [D("4.95")]
    assert sorted(world.erp.comments(order.id)) == ["Attn: Reception", "Please ring twice"]
    for line in world.erp.lines(order.id):
        if line["LineType"] == "1":
            assert (line["MWarehouse"], line["MOrderUom"], line["MPriceUom"]) == ("MN", "EA", "EA")
            assert line["MLineShipDate"] == date(2026, 7, 10)
        if line["LineType"] == "5":
            assert (line["NMscProductCls"], line["NMscTaxCode"]) == ("WEB", "T20")


EVERYTHING = {
    "Customer": "", "Currency": "GBP", "OrderDate": date(2026, 7, 1), "ReqShipDate": date(2026, 7, 10),
    "CustomerName": "Another Firm Ltd", "ShipAddress1": "99 Other Street", "ShipAddress2": "Rear entrance",
    "ShipAddress3": "Cardiff", "ShipAddress3Loc": "", "ShipAddress4": "", "ShipAddress5": "United Kingdom",
    "ShipPostalCode": "CF10 1EP", "Email": "buyer@sample.example", "Warehouse": "MN", "SpecialInstrs": "PO/4711",
    "ShippingInstrs": "Next day courier", "OrderStatus": "1", "OrderType": "", "Salesperson": "W1", "Branch": "10",
    "InvTermsOverride": "30", "DiscPct1": D(0),
}  # fmt: skip


@both_gateways
def test_a_customer_arrives_field_by_field(world: World) -> None:
    contact = world.shop.contact(
        "Käthe", "Weiß", currency="EUR", company="Weiß GmbH", email="k@weiss.example", phone="+49 89 1234", tags="3",
        credit_limit=2500, credit_term_days=14, created_on=datetime(2026, 3, 28, 23, 59, tzinfo=UTC),
        address={"line1": "Lindenallee 7", "line2": "Hof", "line3": "München", "line4": "Bayern", "postal_code": "80331",
                 "country": "DE"},
    )  # fmt: skip

    world.sync("customers")

    found = world.erp.customer(f"BP{contact.id}EUR")
    assert {name: found[name] for name in CUSTOMER} == CUSTOMER
    assert world.erp.customers() == ["BP310EUR"]


CUSTOMER = {
    "Name": "Weiß GmbH", "ShortName": "Weiß GmbH", "Contact": "Käthe Weiß", "Currency": "EUR", "UserField1": "310",
    "Email": "k@weiss.example", "Telephone": "+49 89 1234", "Fax": "", "CreditLimit": D(2500), "TermsCode": "14",
    "Branch": "10", "Salesperson": "W1", "BalanceType": "I", "TaxStatus": "N", "DateCustAdded": date(2026, 3, 28),
    "SoldToAddr1": "Lindenallee 7", "SoldToAddr2": "Hof", "SoldToAddr3": "München", "SoldToAddr3Loc": "",
    "SoldToAddr4": "Bayern", "SoldToAddr5": "Germany", "SoldPostalCode": "80331", "ShipToAddr1": "Lindenallee 7",
    "ShipToAddr5": "Germany", "ShipPostalCode": "80331", "CustomerOnHold": "N",
}  # fmt: skip


@pytest.mark.one_gateway
@both_gateways
def test_several_tax_rates_reach_the_charges_and_leave_the_goods_net(world: World) -> None:
    shop = world.shop
    order = shop.order(
        None,
        shop.row("MUG", 1, "8.00", "1.60", tax_code="T20"),
        shop.row("BOOK", 1, "12.50", "0.00", tax_code="T0"),
        shop.text("Installation", "100.00", tax_code="T5"),
        shop.shipping("Post", "3.00", tax_code="T9"),
    )
    world.sync()
    assert world.erp.stock_lines(order.id) == [("MUG", D(1), D(8)), ("BOOK", D(1), D("12.5"))]
    codes = {line["LineType"]: line["NMscTaxCode"] for line in world.erp.lines(order.id)}
    assert (codes["5"], codes["4"]) == ("T5", "T9")


@pytest.mark.one_gateway
@both_gateways
@pytest.mark.parametrize("mode", ["INC", "EXC"])
def test_prices_are_net_whether_or_not_those_of_the_order_include_tax(world: World, mode: str) -> None:
    shop = world.shop
    # Three at 9.99 with 20 % tax are 29.97, 24.975 of it net; Brightpearl keeps rowNet net in both modes.
    order = shop.order(None, shop.row("MUG", 3, "24.9750", "5.00"), price_mode=mode)  # EXC: the same net figures
    world.sync()
    assert world.erp.stock_lines(order.id) == [("MUG", D(3), D("8.32500"))]


@both_gateways
def test_a_price_that_does_not_divide_is_right_to_the_fifth_place(world: World) -> None:
    order = world.shop.order(None, world.shop.row("MUG", 3, "10.00", "2.00"))
    world.sync()
    assert world.erp.stock_lines(order.id) == [("MUG", D(3), D("3.33333"))]


@pytest.mark.one_gateway
@both_gateways
def test_a_gift_is_a_line_at_no_price(world: World) -> None:
    order = world.shop.order(None, world.shop.row("MUG", 1, "8.00"), world.shop.row("BOOK", 1, "0.00"))
    world.sync()
    assert world.erp.stock_lines(order.id) == [("MUG", D(1), D(8)), ("BOOK", D(1), D(0))]


@pytest.mark.one_gateway
@both_gateways
def test_an_order_of_gifts_alone_arrives(world: World) -> None:
    order = world.shop.order(None, world.shop.row("BOOK", 2, "0.00"))
    world.sync()
    assert world.erp.stock_lines(order.id) == [("BOOK", D(2), D(0))]


@both_gateways
def test_shipping_and_text_alone_arrive_without_goods(world: World) -> None:
    order = world.shop.order(None, world.shop.text("Repair", "40.00"), world.shop.shipping("Post", "3.10"))
    world.sync()
    assert world.erp.stock_lines(order.id) == []
    assert world.erp.charges(order.id) == [("Repair", D(40))]
    assert world.erp.freight(order.id) == [D("3.10")]


@pytest.mark.one_gateway
@both_gateways
@pytest.mark.parametrize(
    ("way", "prices", "charges", "comments"),
    [
        # by cost: 2 x 4.00 to 4 x 3.00 is 8 to 12; of 30.00 these are 12.00 and 18.00
        ("spread", ("6.00000", "4.50000"), [], ["Bundle: 2 x Gift set"]),
        ("charge", ("0", "0"), [("Gift set", D(30))], ["Bundle: 2 x Gift set"]),
    ],
)
def test_what_a_bundle_costs_is_shared_by_its_components_or_charged(
    world: World, way: str, prices: tuple[str, str], charges: list[tuple[str, Decimal]], comments: list[str]
) -> None:
    shop = world.shop
    world.configure(settings={"bundles": way})
    parent = shop.row("GIFT-SET-01", 2, "30.00", "6.00", bundle_parent=True, name="Gift set")
    order = shop.order(
        None,
        parent,
        shop.row("MUG", 2, "0.00", cost=D(4), parent_row_id=parent.id),
        shop.row("BOOK", 4, "0.00", cost=D(3), parent_row_id=parent.id),
    )
    world.sync()
    assert world.erp.stock_lines(order.id) == [("MUG", D(2), D(prices[0])), ("BOOK", D(4), D(prices[1]))]
    assert world.erp.charges(order.id) == charges
    assert world.erp.comments(order.id) == comments


@pytest.mark.one_gateway
@both_gateways
def test_each_currency_of_a_contact_has_a_customer_of_its_own(world: World) -> None:
    shop = world.shop
    traveller = shop.contact()
    pounds, euros = shop.order(traveller), shop.order(traveller, currency="EUR")
    world.sync()
    assert (world.erp.order(pounds.id)["Customer"], world.erp.order(pounds.id)["Currency"]) == ("BP310", "GBP")
    assert (world.erp.order(euros.id)["Customer"], world.erp.order(euros.id)["Currency"]) == ("BP310EUR", "EUR")
    assert world.erp.customer("BP310EUR")["Currency"] == "EUR"
    assert world.erp.customers() == ["BP310", "BP310EUR"]


@pytest.mark.one_gateway
@both_gateways
@pytest.mark.parametrize("by", ["channel", "tag"])
def test_guests_go_to_the_house_account_of_their_currency_with_their_names(world: World, by: str) -> None:
    shop = world.shop
    guest = shop.contact("Ann", "Guest", tags="3,7" if by == "tag" else "", currency="EUR")
    order = shop.order(guest, channel_id=5 if by == "channel" else 1)
    world.sync()
    found = world.erp.order(order.id)
    assert (found["Customer"], found["Currency"], found["CustomerName"]) == ("WEBEUR", "EUR", "Ann Guest")
    assert found["ShipAddress1"] == "1 Example Road"
    assert world.erp.customers() == []  # no link, no customer of their own


@pytest.mark.parametrize(
    ("first", "last", "written"),
    [
        ("Łukasz", "Żółciński", "Lukasz Zólcinski"),
        ("Zdeněk", "Řezníček", "Zdenek Rezn\u00edcek"),
        ("Zoe\u0308", "Bronte\u0308", "Zoë Brontë"),  # composed: the same to the eye
        ("Siân", "O'Brien-Weiß", "Siân O'Brien-Weiß"),
        ("<b>Tom</b>", 'O\'Neil & "Best" = 1', '<b>Tom</b> O\'Neil & "Best" = 1'),
    ],
)
def test_names_are_kept_or_spelled_in_windows_1252(world: World, first: str, last: str, written: str) -> None:
    order = world.shop.order(world.shop.contact(first, last))
    world.sync()
    assert world.erp.order(order.id)["CustomerName"] == written
    assert world.erp.customer("BP310")["Name"] == written


def test_names_in_other_scripts_arrive_in_some_spelling_and_the_log_says_which(world: World) -> None:
    order = world.shop.order(world.shop.contact("Ελένη", "Παπαδοπούλου"))
    world.sync()
    written = world.erp.order(order.id)["CustomerName"]
    assert written
    assert written.encode("cp1252")
    with world.store.read() as session:
        effect = session.scalars(select(Effect).where(Effect.natural_key == str(order.id))).one()
        assert any("Ελένη Παπαδοπούλου" in warning for warning in effect.warnings)


@pytest.mark.parametrize(
    ("first", "last", "missing", "written"),
    [("直美", "佐藤", "直 美 佐 藤", "?? ??"), ("Bob 🛠️", "the Builder", "🛠", "Bob ? the Builder")],
)
def test_a_name_that_syspro_cannot_store_is_held_before_the_write_until_a_person_approves_it(
    world: World, cli: Cli, first: str, last: str, missing: str, written: str
) -> None:
    order = world.shop.order(world.shop.contact(first, last))
    world.sync()

    status, reason = world.status(310, "customers")
    assert status == "held"
    assert reason.startswith(f"Name = '{first} {last}', ")
    assert f": SYSPRO's character set has no {missing}, which" in reason
    assert "Correct the text at the source, or approve" in reason
    assert world.status(order.id)[0] == "waiting"
    assert world.erp.customers() == []
    for key in ("310", str(order.id)):
        cli("held", "approve", key, "--yes")
        world.settle()
    assert world.status(order.id)[0] == "done"
    assert world.erp.order(order.id)["CustomerName"] == written


def test_a_held_order_goes_out_once_its_text_is_corrected_at_the_source(world: World) -> None:
    contact = world.shop.contact()
    world.sync("customers")
    order = world.shop.order(contact, delivery={"line1": "110 銀座4丁目"})
    world.sync()
    assert world.status(order.id)[0] == "held"

    world.shop.edit(order, delivery=replace(order.delivery, line1="110 Ginza 4-chome"))
    world.sync()

    assert world.status(order.id)[0] == "done"
    assert world.erp.order(order.id)["ShipAddress1"] == "110 Ginza 4-chome"


@pytest.mark.one_gateway
@both_gateways
def test_an_address_that_is_too_long_runs_over_the_lines_and_loses_no_word(world: World) -> None:
    lines = {
        "line1": "The Old Coach House behind Saint Bartholomew's Church, First Floor",  # 66 characters: two lines
        "line2": "Entrance by the northern courtyard",
        "line3": "Stratford-upon-Avon",
        "line4": "Warwickshire",
    }
    order = world.shop.order(world.shop.contact(address=lines))
    world.sync()
    assert world.erp.address(order.id) == [
        "Robin Sample",
        "The Old Coach House behind Saint",
        "Bartholomew's Church, First Floor",
        "Entrance by the northern courtyard",
        "Stratford-upon-Avon",
        "Warwickshire",
        "United Kingdom",
        "BS1 4QA",
    ]


def test_a_company_name_that_is_too_long_goes_on_in_the_address(world: World) -> None:
    name = "The Extraordinarily Long-Winded Trading Company of Bristol and Bath Limited"
    order = world.shop.order(world.shop.contact(company=name))
    world.sync()
    shown = world.erp.address(order.id)
    assert " ".join(shown[:2]) == name
    assert len(shown[0]) <= 50
    assert shown[2:] == ["1 Example Road", "Bristol", "Avon", "United Kingdom", "BS1 4QA"]
    customer = world.erp.customer("BP310")
    assert f"{customer['Name']} {customer['SoldToAddr1']}" == name


def test_an_address_that_fits_in_no_way_is_a_dead_letter(world: World) -> None:
    lines = {f"line{number}": f"{number} " + "endless words of a very long line " * 3 for number in range(1, 5)}
    order = world.shop.order(world.shop.contact(address=lines), channel_id=5)
    world.sync()
    assert world.erp.orders(order.id) == []
    [(key, field, value, cause)] = world.letters()
    assert key == str(order.id)
    assert field.startswith("ShipAddress")
    assert "endless words" in value
    assert cause


def test_sixty_rows_go_by_the_long_way_and_all_arrive(world: World) -> None:
    shop = world.shop
    rows = [shop.row("MUG" if number % 2 else "BOOK", number, f"{number * 2}.50") for number in range(1, 61)]
    order = shop.order(None, *rows)
    world.sync()
    found = world.erp.stock_lines(order.id)
    assert len(found) == 60
    for number, (code, quantity, price) in enumerate(found, 1):
        net = D(number * 2) + D("0.50")
        assert (code, quantity) == ("MUG" if number % 2 else "BOOK", D(number))
        assert price == (net / number).quantize(D("0.00001"), "ROUND_HALF_UP")
    assert any("postld" in call.path.lower() for call in world.sandbox.calls.latest())


def test_a_long_reference_is_a_comment_and_a_missing_one_is_blank(world: World) -> None:
    shop = world.shop
    long = shop.order(reference="MARKETPLACE-0123456789-0123456789-0123456789")
    none = shop.order(reference="")
    world.sync()
    assert world.erp.order(long.id)["SpecialInstrs"] == ""
    assert world.erp.comments(long.id) == ["Ref: MARKETPLACE-0123456789-0123456789-0123456789"]
    assert world.erp.order(none.id)["SpecialInstrs"] == ""
    assert world.erp.comments(none.id) == []


def test_tables_say_status_source_stock_code_and_salesperson(world: World) -> None:
    world.configure(
        lookups={
            "order_sources": {"2": "MP"}, "order_statuses": {"6": "S", "6:PAID": "4"}, "stock_codes": {"MUG": "BOOK"},
            "salespeople": {"77": "100"}, "shipping_codes": {"2": "2ND"},
        }
    )  # fmt: skip
    order = world.shop.order(channel_id=2, status_id=6, payment_status="PAID", staff_owner_id=77)
    held = world.shop.order(status_id=6)
    world.sync()
    found = world.erp.order(order.id)
    assert (found["OrderType"], found["OrderStatus"], found["Salesperson"]) == ("MP", "4", "100")
    assert found["ShippingInstrsCod"] == "2ND"
    assert world.erp.stock_lines(order.id) == [("BOOK", D(1), D(8))]
    assert world.erp.order(held.id)["OrderStatus"] == "S"


def test_an_order_from_before_the_cut_over_date_is_left_alone_and_its_contact_served(world: World) -> None:
    world.configure(cut_over=PLACED)
    contact = world.shop.contact()
    old = world.shop.order(contact, created_on=datetime(2026, 3, 1, 12, tzinfo=UTC), placed_on=PLACED)
    new = world.shop.order(contact)
    world.sync()
    world.sync("orders", old.id)  # by hand neither
    assert world.erp.orders(old.id) == []
    assert world.erp.order(new.id)["Customer"] == "BP310"
    assert "cut-over" in world.status(old.id)[1]
