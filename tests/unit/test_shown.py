"""Values and refusals as people read them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from syncengine.cli.trace import detail
from syncengine.errors import Rejected
from syncengine.redaction import quoted, safe_text


@pytest.mark.parametrize(
    ("value", "alone", "in_a_sentence"),
    [
        (None, "", "nothing"),
        ("", "", "nothing"),
        ("MUG", "MUG", "'MUG'"),
        (Decimal("-1.0000"), "-1.0000", "-1.0000"),
        (True, "true", "true"),
        (datetime(2026, 11, 28, 19, 42, 10, 654884, UTC), "2026-11-28 19:42:10 UTC", "2026-11-28 19:42:10 UTC"),
        (
            [{"qty": Decimal("2.0"), "code": "MUG"}],
            '[{"qty": "2.0", "code": "MUG"}]',
            '[{"qty": "2.0", "code": "MUG"}]',
        ),
    ],
)
def test_no_value_is_shown_as_python_writes_it(value: Any, alone: str, in_a_sentence: str) -> None:
    assert (safe_text(value), quoted(value)) == (alone, in_a_sentence)


def test_a_refusal_names_its_value_as_people_write_it() -> None:
    texts = {"reason": "the quantity is negative", "remedy": "Correct it"}
    assert str(Rejected(field="orderRows.quantity", value=Decimal("-1.0000"), **texts)) == (
        "orderRows.quantity = -1.0000: the quantity is negative. Correct it"
    )
    assert str(Rejected(field="orderRows", value=None, reason="the order has no rows", remedy="Add one")) == (
        "orderRows: the order has no rows. Add one"
    )


def test_the_remedy_of_a_refusal_is_never_cut_off() -> None:
    remedy = "Shorten it in the source, or let it run over in the mapping"
    error = Rejected(field="ShipAddress1", value="a" * 150, reason="it is too long: " + "b" * 100, remedy=remedy)
    assert str(error).endswith(f". {remedy}")
    assert len(str(Rejected(field="x", value=Decimal(10) ** 5000, reason="r" * 9000, remedy="y"))) < 1000


def test_a_detail_is_a_line_with_times_in_utc_and_nothing_said_twice() -> None:
    assert (
        detail(
            {
                "reason": "over the limit; Price was changed on both sides",
                "conflicts": ["Price was changed on both sides", "Qty was changed on both sides"],
                "until": datetime(2026, 11, 28, 19, 42, 10, 654884, UTC),
                "left": [],
            }
        )
        == "over the limit; Price was changed on both sides; Qty was changed on both sides; 2026-11-28 19:42:10 UTC"
    )
