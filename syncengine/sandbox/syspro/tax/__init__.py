"""SYSPRO's own tax: which code a line gets, and what it amounts to.

`codes.py` chooses codes, `calculation.py` computes amounts; `setup_queries.py` (IMPQSO, IMPQTX) and `line_query.py`
(SORRSL) show them. Which code a SORTOI document may enter is decided in `sortoi/tax.py`.
"""
