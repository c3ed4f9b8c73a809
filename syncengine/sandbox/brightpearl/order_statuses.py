"""The statuses that orders can have (section 11)."""

from __future__ import annotations

from syncengine.sandbox.brightpearl.calls import Call, text
from syncengine.sandbox.brightpearl.errors import invalid, missing
from syncengine.sandbox.brightpearl.searches import ORDER_TYPES, SHIPPING_STATUSES
from syncengine.sandbox.shop.model import Status


def read(call: Call) -> dict[str, object]:
    """`GET order-status[/{ids}]`."""
    account = call.account
    keys = call.ids(account.statuses) if "ids" in call.path else sorted(account.statuses)
    if not keys:
        raise missing("No Order Statuses Found")
    return {"response": [_status(account.statuses[key]) for key in keys]}


def create(call: Call) -> dict[str, object]:
    """`POST order-status`."""
    body, account = call.json_object(), call.account
    if not body.get("name") or body.get("orderTypeCode") not in ORDER_TYPES:
        raise invalid("ORDC-033", "name and orderTypeCode are required")
    status = Status(
        account.new_id("status"),
        str(body["name"]),
        "open",
        text(body.get("color")) or "#B0B0B0",
        "ineligible",
        body["orderTypeCode"],
    )
    account.statuses[status.id] = status
    return {"response": status.id}


def read_shipping(_: Call) -> dict[str, object]:
    """`GET order-shipping-status`."""
    return {
        "response": [
            {"id": number, "code": code, "description": name} for code, (number, name) in SHIPPING_STATUSES.items()
        ]
    }


def _status(status: Status) -> dict[str, object]:
    return {
        "statusId": status.id,
        "name": status.name,
        "orderTypeCode": status.type_code,
        "sortOrder": status.id * 10,
        "disabled": False,
        "visible": True,
        "color": status.color,
        "remindAfterDays": 0,
        "alertEmails": [],
        "emailContent": "",
        "batchProcess": False,
        "state": status.state,
    }
