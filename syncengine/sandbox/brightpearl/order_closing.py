"""Invoicing a sales order (section 11.4).

The order is invoiced some time after the answer, and may be closed again until then. Assumed: how a pending order looks
(as before), and the codes of refusals.
"""

from __future__ import annotations

from datetime import timedelta

from syncengine.sandbox.brightpearl.calls import Call, moment
from syncengine.sandbox.brightpearl.errors import invalid
from syncengine.sandbox.brightpearl.order_parts import order_of


def close(call: Call) -> dict[str, object]:
    """`POST sales-order/{id}/close`: perhaps with the tax date."""
    body, account = call.json_object(), call.account
    with account.lock:
        order = order_of(account, call.key())
        if order.type_code != "SO":
            raise invalid("ORDC-042", f"Order {order.id} is not a sales order")
        if order.closed_on:
            raise invalid("ORDC-040", f"Order {order.id} is invoiced")
        if account.statuses[order.status_id].fate == "cancelled":
            raise invalid("ORDC-042", f"Order {order.id} is cancelled")
        given = body.get("taxDate")
        tax_date = moment(given, "taxDate", "ORDC-037") if given else None
        due = account.now() + timedelta(seconds=account.switches.number("brightpearl_close_delay_s"))
        account.closing.setdefault(order.id, (due, tax_date))
        account.close_due_orders()
    return {}
