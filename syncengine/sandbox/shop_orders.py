"""The shop's orders."""

from __future__ import annotations

import random

from syncengine.sandbox.shop import Shop


def add_awkward(shop: Shop, chance: random.Random) -> None:
    """Add the labelled awkward orders."""


def add_ordinary(shop: Shop, chance: random.Random, orders: int) -> None:
    """Add ordinary orders."""
