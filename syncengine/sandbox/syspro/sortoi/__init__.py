"""SORTOI, the sales order import (syspro-transport.md section 9).

`post.py` imports a document; `draft.py` is one order of it; `checks.py`, with `lines.py` and `changes.py`, decides
whether it is accepted; `booking.py` books it; `reply.py` answers.
"""
