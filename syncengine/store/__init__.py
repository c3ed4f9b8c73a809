"""The SQL store: tables, transactions, migrations. It holds the backlog; Redis carries only nudges."""

from syncengine.store.session import Store

__all__ = ["Store"]
