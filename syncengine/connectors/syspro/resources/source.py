"""What all SYSPRO objects have in common: by default they are rows of one table, read by COMFND for many keys in one call.

A resource class declares what differs. docs/new-entity.md shows one that is written too, by `setup.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from syncengine.connectors import base
from syncengine.connectors.base import Operation
from syncengine.connectors.declared import DeclaredSetting
from syncengine.connectors.syspro.business import BusinessObject
from syncengine.connectors.syspro.documents import Filler, loss
from syncengine.connectors.syspro.elements import Section, lengths
from syncengine.connectors.syspro.find import rows_where
from syncengine.connectors.syspro.settings import Settings, SettingsReader
from syncengine.connectors.syspro.xml import text_of
from syncengine.document import Doc

if TYPE_CHECKING:
    from syncengine.connectors.syspro.gateways import Gateway


class SysproSource(base.Source):
    """A kind of object that is read by key from one table.

    Must be given: `name`, `schema`, and either `table`, `key_field` and `elements`, or `read` and `key_of`.
    """

    table: ClassVar[str] = ""
    """The SQL name of its table, case-sensitive: `ArCustomer`."""

    key_field: ClassVar[str] = ""
    """The table's column of the key, which is also the field of a document that holds it."""

    elements: ClassVar[Section] = {}
    """The fields that are read and written, in the order of the business object's schema. Default: none."""

    only_sent: ClassVar[tuple[str, ...]] = ()
    """Elements that are written but are not columns of the table. Default: none."""

    numeric_keys: ClassVar[Mapping[str, str]] = {}
    """Elements with this object's key, each with the endpoint's setting (a flag, false by default) that says that the site
    stores them as 15 digits. Default: keys are stored as they are."""

    settings: ClassVar[tuple[DeclaredSetting, ...]] = ()
    """Settings of its own, which `options` reads. Default: none."""

    uses: ClassVar[tuple[BusinessObject, ...]] = ()
    """The business objects that it calls beside COMFND, so that an endpoint can set their parameters. Default: none."""

    def __init__(self, gateway: Gateway, settings: Settings) -> None:
        self._gateway, self._settings = gateway, settings
        self.most_per_read = settings.most_per_read

    @classmethod
    def business_objects(cls) -> tuple[BusinessObject, ...]:
        """All business objects of which an endpoint can set parameters."""
        return cls.uses

    @classmethod
    def options(cls, given: SettingsReader) -> Any:  # noqa: ARG003
        """Settings of its own, read and checked once; the result is `Settings.options[name]`. Default: it has none.

        Raises Misconfigured.
        """
        return None

    @classmethod
    def lengths(cls) -> Mapping[str, str]:
        """Widths of `elements`; see `Source.lengths`."""
        return lengths(cls.elements)

    def read(self, keys: Sequence[str]) -> dict[str, Doc]:
        """Whole rows by key, one COMFND for up to `find_at_once` of them; an unknown key is absent."""
        filler = Filler(self._settings)
        stored = {key: filler.key(self.key_field, key.strip()) for key in keys}
        unread = (*self.only_sent, *self._settings.unread_columns)
        rows = rows_where(
            self._gateway,
            self.table,
            self.key_field,
            list(stored.values()),
            [name for name in self.elements if name not in unread],
            at_once=self._settings.find_at_once,
        )
        by_key = {self.key_of(row): row for row in rows}
        return {key: by_key[own] for key, own in stored.items() if own in by_key}

    def objection(self, operation: Operation) -> str | None:
        """Text that SYSPRO's character set cannot carry, not even transliterated; see `Target.objection`."""
        return loss(operation)

    def key_of(self, doc: Doc) -> str:
        """The key, in its stored form where the site's keys are numeric."""
        return Filler(self._settings).key(self.key_field, text_of(doc, self.key_field))
