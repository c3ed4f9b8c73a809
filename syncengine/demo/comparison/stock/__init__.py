"""Compares stock levels with the physical ledger of the day's actor, and each write with what was right when it was made.

It shares nothing with the flow. What is right follows from the ledger, the rule of docs/flows/inventory.md, and the journals of
both simulated systems.
"""

from __future__ import annotations

from syncengine.demo.comparison.stock.judge import Report, compare
from syncengine.demo.comparison.stock.ledger import Demand, Doubt, Ledger, Move, Span
from syncengine.demo.comparison.stock.target import Rule

__all__ = ["Demand", "Doubt", "Ledger", "Move", "Report", "Rule", "Span", "compare"]
