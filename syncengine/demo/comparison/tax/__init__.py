"""Compares, for every order and every invoice, what the shop charged with what SYSPRO booked: net, tax codes, tax and total.

`figures.py` has the records, `judge.py` decides and is pure, `reading.py` reads both simulated systems' own data. It asks
neither mapping, flows, connectors nor engine: what explains a difference is the caller's to say.
"""

from syncengine.demo.comparison.tax.figures import Booked, Charged, Difference, Explanation, Figures, Part, Tolerance
from syncengine.demo.comparison.tax.judge import FIELDS, Verdict, judge
from syncengine.demo.comparison.tax.reading import compare_tax, read

__all__ = [
    "FIELDS",
    "Booked",
    "Charged",
    "Difference",
    "Explanation",
    "Figures",
    "Part",
    "Tolerance",
    "Verdict",
    "compare_tax",
    "judge",
    "read",
]
