"""The places where the crash harness strikes are functions of the product: a place that is renamed would never be struck."""

from __future__ import annotations

from pathlib import Path

import pytest

import syncengine
from scripts.crashes import points

PRODUCT = Path(syncengine.__file__).parent


@pytest.mark.parametrize(("file", "function"), sorted({**points.COMMITTERS, **points.OF_STOCK}))
def test_every_place_is_a_function_of_the_product(file: str, function: str) -> None:
    texts = [path.read_text(encoding="utf-8") for path in PRODUCT.rglob(file)]
    assert any(f"def {function}(" in text for text in texts)
