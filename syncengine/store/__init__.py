"""The SQL store: tables, transactions, migrations. The backlog lives here; Redis carries nudges only."""

from syncengine.store.session import Store

__all__ = ["Store"]
