"""Objects that a Setup business object writes, one item each: customers, suppliers, stock codes. Facts: syspro-objects.md 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from syncengine.connectors import base
from syncengine.connectors.base import Operation, Outcome, Safety, Verb
from syncengine.connectors.syspro import replies
from syncengine.connectors.syspro.business import BusinessCall, BusinessObject
from syncengine.connectors.syspro.documents import Filler, canonical_section, marked, replacements
from syncengine.connectors.syspro.replies import Answer, Said
from syncengine.connectors.syspro.resources.outcomes import refusal, sent
from syncengine.connectors.syspro.resources.source import SysproSource
from syncengine.connectors.syspro.settings import Settings
from syncengine.document import Doc
from syncengine.errors import Rejected

if TYPE_CHECKING:
    from syncengine.connectors.syspro.gateways import Gateway

_Item = tuple[int, Doc, list[str]]
"""An operation's place in the batch, its Item, and the warnings of filling it."""


class SetupResource(SysproSource, base.Resource):
    """An object that Setup/Add creates and Setup/Update changes; its key is its natural key.

    Must be given: `name`, `schema`, `table`, `key_field`, `elements` (with the key), `setup`, and `identity`.
    """

    setup: ClassVar[BusinessObject]
    """The Setup business object."""

    instead_of_cancelling: ClassVar[str] = "Put it on hold in SYSPRO instead"
    """What people do, since no Setup object cancels anything."""

    safety: ClassVar[Mapping[Verb, Safety]] = {
        Verb.CREATE: Safety.ENFORCED,  # Setup/Add refuses a key that exists (120001)
        Verb.CHANGE: Safety.ABSOLUTE,
    }

    def __init__(self, gateway: Gateway, settings: Settings) -> None:
        super().__init__(gateway, settings)
        self.settle_s = settings.settle_s

    @classmethod
    def business_objects(cls) -> tuple[BusinessObject, ...]:
        """Its Setup object, and `uses`."""
        return (cls.setup, *cls.uses)

    def find(self, natural_keys: Sequence[str]) -> dict[str, list[Doc]]:
        """The key is the natural key."""
        return {key: [doc] for key, doc in self.read(natural_keys).items()}

    def write(self, operations: Sequence[Operation]) -> list[Outcome]:
        """Setup/Add or Setup/Update; a document that SYSPRO would not take whole is refused before it is sent."""
        outcomes: dict[int, Outcome] = {}
        items: list[_Item] = []
        for position, operation in enumerate(operations):
            filler = Filler(self._settings)
            try:
                item = self._item(operation, filler)
            except Rejected as error:
                outcomes[position] = Outcome.rejected(error)
                continue
            if len(item) > 1:
                items.append((position, item, replacements(operation, filler)))
            else:
                outcomes[position] = Outcome.done(key=operation.key)
        if items:
            outcomes.update(self._post(operations, items))
        return [outcomes[position] for position in range(len(operations))]

    def _item(self, operation: Operation, filler: Filler) -> Doc:
        """One Item: its Key first, then the coded fields; for a change those that changed alone."""
        name, elements = self.key_field, self.elements
        if operation.verb is Verb.CANCEL:
            raise Rejected(
                field=name,
                value=operation.key or "",
                reason="SYSPRO cannot cancel it",
                remedy=self.instead_of_cancelling,
            )
        code = operation.key or operation.doc.get(name) or operation.natural_key
        key = filler.section("Key", {name: elements[name]}, {name: code})
        if not key:
            raise Rejected(field=name, value="", reason="it is blank", remedy="Correct the mapping")
        values = operation.doc
        if operation.verb is Verb.CHANGE:
            values = {field: change.new for field, change in operation.changes.items()}
        fields = filler.section("Item", elements, {field: value for field, value in values.items() if field != name})
        if operation.verb is Verb.CHANGE:
            fields |= {field: "" for field, value in values.items() if value in (None, "") and field in elements}
            fields = {field: fields[field] for field in elements if field in fields}
        return {"Key": key, **fields}

    def _post(self, operations: Sequence[Operation], items: Sequence[_Item]) -> dict[int, Outcome]:
        call = BusinessCall(
            self.setup,
            "Add" if operations[0].verb is Verb.CREATE else "Update",
            {"Item": [item for _, item, _ in items]},
            self._settings.parameters_of(self.setup),
            is_write=True,
        )
        reply = sent(lambda: self._gateway.call(call), len(items))
        if isinstance(reply, list):
            return {position: outcome for (position, _, _), outcome in zip(items, reply, strict=True)}
        answers = replies.setups(reply, [item["Key"][self.key_field] for _, item, _ in items], self.key_field)
        return {
            position: self._outcome(operations[position], answer, warnings)
            for (position, _, warnings), answer in zip(items, answers, strict=True)
        }

    def _outcome(self, operation: Operation, answer: Answer, warnings: Sequence[str]) -> Outcome:
        name, all_warnings = self.key_field, [*warnings, *answer.warnings]
        if answer.said is Said.DONE:
            code = answer.key or operation.key or operation.doc.get(name) or operation.natural_key
            return Outcome.done(key=Filler(self._settings).key(name, str(code).strip()), warnings=all_warnings)
        return refusal(
            answer, self._settings, self.setup, what=f"{name} {operation.natural_key}", warnings=all_warnings
        )

    def canonical(self, doc: Doc) -> Doc:
        """Widths, decimals, case and characters of its table."""
        filler = Filler(self._settings)
        return marked(canonical_section(filler, "Item", self.elements, doc), filler)
