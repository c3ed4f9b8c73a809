"""The judge of tax finds every document that differs, and tells what nobody is shown. All data is made by hand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from syncengine.demo.comparison.tax import Booked, Charged, Explanation, Part, Tolerance, Verdict, judge
from syncengine.demo.comparison.tax.reading import charged as read_charged
from syncengine.demo.tax_shown import tax_problems

D = Decimal

#: 100.00 of goods at 20 %, 50.00 at 5 %, 5.00 of freight at 20 %.
ROWS = [
    Part("goods", "MUG", D(10), D(100), ("T20",), D(20)),
    Part("goods", "BOOK", D(2), D(50), ("T5",), D("2.50")),
    Part("freight", "", D(1), D(5), ("T20",), D(1)),
]
ORDER = Charged("5001", D(155), D("23.50"), ROWS)


def line(kind: Any, key: str, quantity: object, net: object, code: str) -> Part:
    return Part(kind, key, D(str(quantity)), D(str(net)), (code,))


LINES = [line("goods", "MUG", 10, 100, "T20"), line("goods", "BOOK", 2, 50, "T5"), line("freight", "", 1, 5, "T20")]


def booked(lines: list[Part] | None = None, tax: object = "23.50", **changes: Any) -> Booked:
    lines = LINES if lines is None else lines
    net = sum((part.net for part in lines), D(0))
    return replace(Booked("order", "5001", "001001", net, D(str(tax)), lines), **changes)


def invoice(lines: list[Part], tax: object, number: str = "100001", net: object = None) -> Booked:
    found = booked(lines, tax, document="invoice", number=number)
    return found if net is None else replace(found, net=D(str(net)))


def judged(*documents: Booked, order: Charged = ORDER, shown: tuple[Explanation, ...] = (), **options: Any) -> Verdict:
    return judge([order], documents, shown, **options)


def fields(verdict: Verdict) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(each.document, each.number, each.fields) for each in verdict.differences]


# -- orders ------------------------------------------------------------------------------------------------------------


def test_order_that_is_booked_as_charged_passes() -> None:
    verdict = judged(booked())

    assert verdict.passed
    assert (verdict.orders, verdict.invoices, verdict.differences) == (1, 0, [])


def test_wrong_code_is_found_with_its_tax_and_total() -> None:
    """The site booked the book under T20: 10.00 instead of 2.50."""
    lines = [LINES[0], line("goods", "BOOK", 2, 50, "T20"), LINES[2]]
    verdict = judged(booked(lines, "31.00"))

    assert not verdict.passed
    assert fields(verdict) == [("order", "001001", ("codes", "tax", "total"))]
    assert str(verdict.silent[0]) == (
        "order 001001 of 5001 (codes, tax, total): charged net 155.00, tax 23.50, total 178.50 (T20 105.00, T5 50.00); "
        "booked net 155.00, tax 31.00, total 186.00 (T20 155.00)"
    )


def test_wrong_code_of_the_same_rate_is_found_although_no_amount_differs() -> None:
    order = Charged("5001", D(10), D(0), [Part("goods", "MUG", D(1), D(10), ("T0",), D(0))])

    assert fields(judged(booked([line("goods", "MUG", 1, 10, "T9")], 0), order=order)) == [
        ("order", "001001", ("codes",))
    ]


def test_two_codes_exchanged_between_lines_of_one_value_are_found() -> None:
    rows = [Part("goods", "MUG", D(1), D(10), ("T20",), D(2)), Part("goods", "BOOK", D(1), D(10), ("T0",), D(0))]
    lines = [line("goods", "MUG", 1, 10, "T0"), line("goods", "BOOK", 1, 10, "T20")]

    assert fields(judged(booked(lines, 2), order=Charged("5001", D(20), D(2), rows))) == [
        ("order", "001001", ("codes",))
    ]


def test_equal_prices_are_paired_by_quantity() -> None:
    """Otherwise four pieces would be charged four times the rounded tax of one."""
    rows = [
        Part("goods", "MUG", D(1), D("80.4667"), ("T20",), D("16.09")),
        Part("goods", "MUG", D(4), D("321.8667"), ("T20",), D("64.37")),
    ]
    lines = [line("goods", "MUG", 1, "80.47", "T20"), line("goods", "MUG", 4, "321.87", "T20")]
    verdict = judged(
        booked(lines, "80.47", document="invoice"),
        booked(lines, "80.47"),
        order=Charged("5001", D("402.34"), D("80.46"), rows),
    )

    assert verdict.differences == []


def test_net_and_tax_may_both_be_rounded_in_one_direction() -> None:
    """Figures of a generated order with gross prices: net is 0.0132 higher and tax 0.02, total 0.0332."""
    nets, taxes, invoiced = ("105.5667", "71.8667", "2.9167", "-0.8333"), ("21.11", "14.37", "0.58", "-0.17"), "179.53"
    rows = [Part("charge", "", D(1), D(net), ("T20",), D(tax)) for net, tax in zip(nets, taxes, strict=True)]
    lines = [line("charge", "", 1, round(D(net), 2), "T20") for net in nets]
    order = Charged("5001", D("179.51"), D("35.89"), rows)

    assert judged(booked(lines, "35.91"), invoice(lines, "35.91", net=invoiced), order=order).differences == []
    assert fields(judged(booked(lines, "35.95"), order=order)) == [("order", "001001", ("tax", "total"))]


def test_exempt_is_right_only_where_the_row_may_be_exempt() -> None:
    def of(codes: tuple[str, ...]) -> Verdict:
        order = Charged("5001", D(10), D(0), [Part("goods", "MUG", D(1), D(10), codes, D(0))])
        return judged(booked([line("goods", "MUG", 1, 10, "exempt")], 0), order=order)

    assert of(("T2", "exempt")).passed
    assert fields(of(("T0",))) == [("order", "001001", ("codes",))]


def test_net_that_differs_is_found() -> None:
    lines = [line("goods", "MUG", 10, 90, "T20"), *LINES[1:]]

    assert fields(judged(booked(lines, "21.50"))) == [("order", "001001", ("net", "tax", "total"))]


def test_line_that_nobody_was_charged_for_is_found() -> None:
    assert fields(judged(booked([*LINES, line("charge", "", 1, 3, "T20")], "24.10"))) == [
        ("order", "001001", ("net", "codes", "tax", "total"))
    ]


def test_penny_line_without_tax_is_rounding() -> None:
    assert judged(booked([*LINES, line("charge", "", 1, "0.01", "untaxed")])).passed


def test_line_without_value_may_have_any_code() -> None:
    rows = [*ROWS, Part("goods", "GIFT", D(1), D(0), ("T0",), D(0))]
    order = Charged("5001", D(155), D("23.50"), rows)

    assert judged(booked([*LINES, line("goods", "GIFT", 1, 0, "T20")]), order=order).passed


def test_same_item_twice_is_told_apart_by_its_price() -> None:
    rows = [Part("goods", "MUG", D(1), D(10), ("T20",), D(2)), Part("goods", "MUG", D(1), D(6), ("T0",), D(0))]
    order = Charged("5001", D(16), D(2), rows)
    right = [line("goods", "MUG", 1, 6, "T0"), line("goods", "MUG", 1, 10, "T20")]
    wrong = [line("goods", "MUG", 1, 6, "T20"), line("goods", "MUG", 1, 10, "T0")]

    assert judged(booked(right, 2), order=order).passed
    assert fields(judged(booked(wrong, 2), order=order)) == [("order", "001001", ("codes",))]


def test_same_item_twice_at_one_price_under_one_code_is_found() -> None:
    rows = [Part("goods", "MUG", D(1), D(10), (code,), tax) for code, tax in (("T20", D(2)), ("T5", D("0.5")))]
    lines = [line("goods", "MUG", 1, 10, "T20")] * 2

    found = judged(booked(lines, 4), order=Charged("5001", D(20), D("2.50"), rows))
    assert fields(found) == [("order", "001001", ("codes", "tax", "total"))]


@pytest.mark.parametrize(("pence", "passes"), [("0.02", True), ("0.03", False)])
def test_rounding_within_the_tolerance_passes_and_beyond_it_does_not(pence: str, passes: bool) -> None:
    tolerance = Tolerance(amount=D("0.02"), per_row=D(0), per_piece=D(0))

    assert judged(booked(tax=D("23.50") + D(pence)), tolerance=tolerance).passed is passes


def test_tolerance_grows_with_rows_and_pieces() -> None:
    goods = [
        line("goods", "MUG", 12_500, 1, "T20"),
        line("goods", "BOOK", -100, 1, "T20"),
        line("freight", "", 1, 1, "T0"),
    ]

    assert Tolerance().of(goods) == D("0.01") + D("0.015") + D("0.063")


def test_missing_order_is_found() -> None:
    (difference,) = judged().silent
    assert (difference.fields, difference.booked) == (("missing",), None)
    assert str(difference).endswith("(T20 105.00, T5 50.00); booked nothing")


def test_order_that_nobody_placed_is_found() -> None:
    (difference,) = judge([], [booked()]).silent
    assert (difference.fields, difference.charged) == (("unexpected",), None)


def test_only_codes_are_compared_where_amounts_cannot_be_predicted() -> None:
    assert judged(booked(tax=99), fields=("codes",)).passed
    assert not judged(booked(tax=99)).passed


# -- invoices ----------------------------------------------------------------------------------------------------------


def test_invoice_in_part_is_compared_with_its_share() -> None:
    """4 of 10 mugs and the freight: 45.00, 9.00 of tax."""
    part = [line("goods", "MUG", 4, 40, "T20"), LINES[2]]

    assert judged(booked(), invoice(part, "9.00")).passed
    verdict = judged(booked(), invoice(part, "9.50"))
    assert fields(verdict) == [("invoice", "100001", ("tax", "total"))]
    assert str(verdict.silent[0].charged) == "net 45.00, tax 9.00, total 54.00 (T20 45.00)"


def test_invoice_under_another_code_than_its_order_is_found() -> None:
    part = [line("goods", "BOOK", 1, 25, "T20")]

    assert fields(judged(booked(), invoice(part, "5.00"))) == [("invoice", "100001", ("codes", "tax", "total"))]


def test_invoice_total_that_is_not_the_sum_of_its_lines_is_found() -> None:
    assert fields(judged(booked(), invoice([LINES[1]], "2.50", net=40))) == [("invoice", "100001", ("net", "total"))]


def test_invoices_of_a_complete_order_must_add_up_to_it() -> None:
    """One mug is invoiced twice."""
    parts = [
        invoice([line("goods", "MUG", 6, 60, "T20")], 12, "1"),
        invoice([line("goods", "MUG", 5, 50, "T20"), *LINES[1:]], "13.50", "2"),
    ]

    assert fields(judged(booked(complete=True), *parts)) == [("invoices", "", ("net", "tax", "total"))]
    assert judged(booked(), *parts).passed  # not complete: what is left cannot be known


def test_orders_and_invoices_are_counted() -> None:
    verdict = judged(booked(), invoice([LINES[0]], 20), invoice(LINES[1:], "3.50", "100002"))
    assert (verdict.orders, verdict.invoices) == (1, 2)


# -- what people are shown ---------------------------------------------------------------------------------------------

WRONG = booked([LINES[0], line("goods", "BOOK", 2, 50, "T20"), LINES[2]], "31.00")


def test_held_order_is_explained() -> None:
    assert judged(shown=(Explanation("5001", "held", "tax codes"),)).passed


def test_held_order_explains_no_other() -> None:
    assert not judged(shown=(Explanation("5002", "held"),)).passed


@pytest.mark.parametrize(
    "text",
    [
        "Tax is 31.00 in SYSPRO, 23.50 was charged",
        "total: 186.00, not 178.50.",
        "line 2 was charged under T5 and booked under T20",
    ],
)
def test_attention_with_both_figures_explains(text: str) -> None:
    verdict = judged(WRONG, shown=(Explanation("5001", "attention", text),))

    assert verdict.passed
    assert len(verdict.explained) == 1


@pytest.mark.parametrize(
    "text", ["", "Tax differs by 7.50", "Tax is 31.00 in SYSPRO", "T20 was charged", "1231.00 and 123.50"]
)
def test_attention_without_both_figures_does_not(text: str) -> None:
    verdict = judged(WRONG, shown=(Explanation("5001", "attention", text),))

    assert (verdict.passed, verdict.silent, len(verdict.without_figures)) == (False, [], 1)


def test_figures_with_thousands_commas_are_read() -> None:
    order = Charged("5001", D(10_000), D(2_000), [Part("goods", "MUG", D(1), D(10_000), ("T20",), D(2_000))])
    wrong = booked([line("goods", "MUG", 1, 10_000, "T20")], D(1_500))
    shown = Explanation("5001", "attention", "charged 2,000.00, booked 1,500.00")

    assert judged(wrong, order=order, shown=(shown,)).passed


def test_attention_to_one_invoice_does_not_hide_another() -> None:
    wrong = [invoice([LINES[0]], 10, "1"), invoice([LINES[1]], 10, "2")]
    verdict = judged(
        booked(), *wrong, shown=(Explanation("5001", "attention", "invoice 1: 20.00 charged, 10.00 booked"),)
    )

    assert [each.number for each, _ in verdict.explained] == ["1"]
    assert [each.number for each, _ in verdict.without_figures] == ["2"]


# -- the shop's orders -------------------------------------------------------------------------------------------------


def row(key: int, code: str, net: str, tax: str, **more: Any) -> tuple[str, dict[str, Any]]:
    value = {"taxCode": code, "rowNet": {"value": net}, "rowTax": {"value": tax}}
    composition = {"bundleParent": more.get("parent", False), "parentOrderRowId": more.get("of", 0)}
    return str(key), {
        "productId": more.get("product", 2001),
        "productSku": more.get("sku", "MUG"),
        "quantity": {"magnitude": more.get("quantity", "1.0000")},
        "itemCost": {"value": "1.0000"},
        "productPrice": {"value": more.get("price", "1.0000")},
        "rowValue": value,
        "nominalCode": more.get("nominal", "4000"),
        "composition": composition,
    }


def test_rows_of_the_shop_become_parts() -> None:
    rows = dict(
        [
            row(1, "T20", "10.0000", "2.00", quantity="2.0000"),
            row(2, "T2", "3.0000", "0.00", product=1000, sku=""),
            row(3, "DE19", "5.0000", "0.95", product=1000, sku="", nominal="4040"),
        ]
    )
    order = {"id": 5001, "orderRows": rows, "totalValue": {"net": "18.00", "taxAmount": "2.95"}}
    found = read_charged(order, {"DE19": "D19"}, {"T2"})

    assert (found.po, found.net, found.tax) == ("5001", D(18), D("2.95"))
    assert [(part.kind, part.key, part.quantity, part.net, part.tax, part.codes) for part in found.parts] == [
        ("goods", "MUG", D(2), D(10), D(2), ("T20",)),
        ("charge", "", D(1), D(3), D(0), ("T2", "exempt")),
        ("freight", "", D(1), D(5), D("0.95"), ("D19",)),
    ]


def test_components_share_price_tax_and_code_of_their_bundle() -> None:
    rows = dict(
        [
            row(1, "T20", "40.0000", "8.00", parent=True, sku="SET"),
            row(2, "T0", "0.0000", "0.00", of=1, sku="MUG", price="3.0000"),
            row(3, "T5", "0.0000", "0.00", of=1, sku="BOOK", price="0.5000", quantity="2.0000"),
        ]
    )
    order = {"id": 5001, "orderRows": rows, "totalValue": {"net": "40.00", "taxAmount": "8.00"}}

    assert [(part.key, part.net, part.tax, part.codes) for part in read_charged(order, {}, set()).parts] == [
        ("MUG", D(30), D(6), ("T20",)),
        ("BOOK", D(10), D(2), ("T20",)),
    ]


def test_the_demo_fails_for_each_difference_that_nobody_is_shown_with_both_figures() -> None:
    wrong = booked([LINES[0], line("goods", "BOOK", 2, 50, "T20"), LINES[2]], "31.00")
    shown = Explanation("5001", "attention", "Line.TaxCode 2: T20; expected 2: T5")

    assert list(tax_problems(judged(wrong, shown=(shown,)))) == []
    assert [text.partition(":")[0] for text in tax_problems(judged(wrong))] == [
        "a difference of tax that nobody is shown"
    ]
    assert [
        text.partition(":")[0] for text in tax_problems(judged(wrong, shown=(replace(shown, text="differs"),)))
    ] == ["a difference of tax that is shown without both figures"]
