"""Warehouses and their locations (section 14.1).

Locations are known from clients alone: the text of a 404 and the form of the default location's answer are assumed.
"""

from __future__ import annotations

from syncengine.sandbox.brightpearl import locations
from syncengine.sandbox.brightpearl.calls import Call
from syncengine.sandbox.brightpearl.errors import missing
from syncengine.sandbox.shop.model import Warehouse

Json = dict[str, object]


def read(call: Call) -> Json:
    """`GET warehouse[/{ids}]`."""
    warehouses = _warehouses(call)
    keys = call.ids(warehouses) if "ids" in call.path else sorted(warehouses)
    if not keys:
        raise missing("No Warehouses Found")
    return {
        "response": [
            {
                "id": key,
                "name": warehouses[key].name,
                "typeCode": "2",
                "typeDescription": "Normal warehouse",
                "address": {"addressId": 1},
                "clickAndCollectEnabled": False,
            }
            for key in keys
        ]
    }


def read_locations(call: Call) -> Json:
    """`GET warehouse/{id}/location[/{ids}]`: the default location, a bay, and quarantine."""
    locations = _locations(call)
    keys = call.ids(locations) if "ids" in call.path else sorted(locations)
    if not keys:
        raise missing("No Locations Found")
    return {"response": [locations[key] for key in keys]}


def read_default(call: Call) -> Json:
    """`GET warehouse/{id}/location/default`: its id."""
    return {"response": locations.default(warehouse_of(call).id)}


def read_quarantine(call: Call) -> Json:
    """`GET warehouse/{id}/location/quarantine`: its id."""
    return {"response": locations.quarantine(warehouse_of(call).id)}


def warehouse_of(call: Call) -> Warehouse:
    """The warehouse that the path names.

    Raises:
        ApiError: 404.
    """
    found = _warehouses(call).get(call.key())
    if found is None:
        raise missing("No Warehouses Found")
    return found


def _warehouses(call: Call) -> dict[int, Warehouse]:
    return {entry.id: entry for entry in call.account.shop.warehouses}


def _locations(call: Call) -> dict[int, Json]:
    warehouse_id = warehouse_of(call).id
    groupings = (("1", "A", "01", ""), ("1", "B", "02", ""), ("QUARANTINE", "", "", ""))
    return {
        key: {"id": key, "warehouseId": warehouse_id, **dict(zip(_GROUPINGS, grouping, strict=True))}
        for key, grouping in zip(locations.of(warehouse_id), groupings, strict=True)
    }


_GROUPINGS = ("groupingA", "groupingB", "groupingC", "groupingD")
