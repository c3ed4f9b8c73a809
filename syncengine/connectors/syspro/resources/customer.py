"""SYSPRO customers: written by ARSSCS, read by COMFND on ArCustomer in bulk. Facts: syspro-objects.md section 3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from syncengine.connectors.base import Operation, Outcome, Resource, Safety, Verb
from syncengine.connectors.syspro import replies
from syncengine.connectors.syspro.documents import Filler, canonical_section, marked, replacements
from syncengine.connectors.syspro.elements import CUSTOMER, CUSTOMER_ONLY_SENT
from syncengine.connectors.syspro.find import rows_where
from syncengine.connectors.syspro.gateways import Gateway
from syncengine.connectors.syspro.replies import Answer, Said
from syncengine.connectors.syspro.resources.outcomes import refusal, sent
from syncengine.connectors.syspro.schemas import CustomerSchema
from syncengine.connectors.syspro.settings import Settings
from syncengine.connectors.syspro.xml import text_of
from syncengine.document import Doc
from syncengine.errors import Rejected

_COLUMNS = tuple(name for name in CUSTOMER if name not in CUSTOMER_ONLY_SENT)


class Customer(Resource):
    """Field names are those of ARSSCS, flat; the key field is `Customer`."""

    name: ClassVar[str] = "syspro.customer"
    schema = CustomerSchema
    safety: ClassVar[Mapping[Verb, Safety]] = {
        Verb.CREATE: Safety.ENFORCED,  # Setup/Add refuses a key that exists (120001)
        Verb.CHANGE: Safety.ABSOLUTE,
    }
    identity: ClassVar[tuple[str, ...]] = ("Name", "Currency")

    def __init__(self, gateway: Gateway, settings: Settings) -> None:
        self._gateway, self._settings = gateway, settings
        self.most_per_read = settings.most_per_read
        self.most_per_write = settings.customers_per_write
        self.settle_s = settings.settle_s

    def read(self, keys: Sequence[str]) -> dict[str, Doc]:
        """Whole customers by code, one COMFND for up to `find_at_once` of them; an unknown code is absent."""
        filler = Filler(self._settings)
        stored = {key: filler.key("Customer", key.strip()) for key in keys}
        rows = rows_where(
            self._gateway,
            "ArCustomer",
            "Customer",
            list(stored.values()),
            [name for name in _COLUMNS if name not in self._settings.unread_columns],
            at_once=self._settings.find_at_once,
        )
        by_code = {filler.key("Customer", text_of(row, "Customer")): row for row in rows}
        return {key: by_code[code] for key, code in stored.items() if code in by_code}

    def find(self, natural_keys: Sequence[str]) -> dict[str, list[Doc]]:
        """The customer's code is its natural key."""
        return {key: [doc] for key, doc in self.read(natural_keys).items()}

    def write(self, operations: Sequence[Operation]) -> list[Outcome]:
        """Setup/Add or Setup/Update; a document that ARSSCS would not take whole is refused before it is sent."""
        outcomes: dict[int, Outcome] = {}
        items: list[tuple[int, Doc, list[str]]] = []
        for position, operation in enumerate(operations):
            filler = Filler(self._settings)
            try:
                item = self._item(operation, filler)
            except Rejected as error:
                outcomes[position] = Outcome.rejected(error)
                continue
            if len(item) > 1:
                written = operation.changes if operation.verb is Verb.CHANGE else None
                items.append((position, item, replacements(operation.doc, filler, written)))
            else:
                outcomes[position] = Outcome.done(key=operation.key)
        if items:
            outcomes.update(self._post(operations, items))
        return [outcomes[position] for position in range(len(operations))]

    def _item(self, operation: Operation, filler: Filler) -> Doc:
        """One Item: its Key first, then the coded fields; for a change those that changed alone."""
        if operation.verb is Verb.CANCEL:
            raise Rejected(
                field="Customer",
                value=operation.key or "",
                reason="a customer cannot be cancelled",
                remedy="Put the customer on hold in SYSPRO instead",
            )
        code = operation.key or operation.doc.get("Customer") or operation.natural_key
        key = filler.section("Key", {"Customer": CUSTOMER["Customer"]}, {"Customer": code})
        if not key:
            raise Rejected(field="Customer", value="", reason="it is blank", remedy="Correct the mapping")
        values = operation.doc
        if operation.verb is Verb.CHANGE:
            values = {name: change.new for name, change in operation.changes.items()}
        fields = filler.section("Item", CUSTOMER, {name: value for name, value in values.items() if name != "Customer"})
        if operation.verb is Verb.CHANGE:
            fields |= {name: "" for name, value in values.items() if value in (None, "") and name in CUSTOMER}
            fields = {name: fields[name] for name in CUSTOMER if name in fields}
        return {"Key": key, **fields}

    def _post(self, operations: Sequence[Operation], items: Sequence[tuple[int, Doc, list[str]]]) -> dict[int, Outcome]:
        method = "Add" if operations[0].verb is Verb.CREATE else "Update"
        parameters = {"SetupArCustomer": {"Parameters": dict(self._settings.arsscs)}}
        document = {"SetupArCustomer": {"Item": [item for _, item, _ in items]}}
        reply = sent(
            lambda: self._gateway.call("Setup", method, "ARSSCS", parameters, document, is_write=True), len(items)
        )
        if isinstance(reply, list):
            return {position: outcome for (position, _, _), outcome in zip(items, reply, strict=True)}
        answers = replies.setups(reply, [item["Key"]["Customer"] for _, item, _ in items], "Customer")
        return {
            position: self._outcome(operations[position], answer, warnings)
            for (position, _, warnings), answer in zip(items, answers, strict=True)
        }

    def _outcome(self, operation: Operation, answer: Answer, warnings: Sequence[str]) -> Outcome:
        said = [*warnings, *answer.warnings]
        if answer.said is Said.DONE:
            code = answer.key or operation.key or operation.doc.get("Customer") or operation.natural_key
            return Outcome.done(key=Filler(self._settings).key("Customer", str(code).strip()), warnings=said)
        return refusal(answer, self._settings, what=f"Customer {operation.natural_key}", warnings=said)

    def key_of(self, doc: Doc) -> str:
        """The customer's code, in its stored form where the site's keys are numeric."""
        return Filler(self._settings).key("Customer", text_of(doc, "Customer"))

    def canonical(self, doc: Doc) -> Doc:
        """Widths, decimals, case and characters of ArCustomer."""
        filler = Filler(self._settings)
        return marked(canonical_section(filler, "Item", CUSTOMER, doc), filler)
