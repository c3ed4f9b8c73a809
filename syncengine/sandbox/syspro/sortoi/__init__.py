"""SORTOI, the sales order import (syspro-transport.md section 9).

`post.py` takes a document; `draft.py` is an order of it on its way; `checks.py`, with `lines.py` and `changes.py`,
decides whether it is accepted; `booking.py` books it; `reply.py` answers.
"""
