"""Warehouses and their locations (section 14.1).

Locations are known from clients alone: the text of a 404 and the form of the default location's answer are assumed.
"""

from __future__ import annotations

from syncengine.sandbox.brightpearl.calls import Call, read_uris
from syncengine.sandbox.brightpearl.errors import missing
from syncengine.sandbox.shop.model import Warehouse

Json = dict[str, object]
_PER_WAREHOUSE = 10


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
    return {"response": min(_locations(call))}


def read_quarantine(call: Call) -> Json:
    """`GET warehouse/{id}/location/quarantine`: its id."""
    return {"response": max(_locations(call))}


def correction_options(call: Call) -> Json:
    """`OPTIONS warehouse/{id}/stock-correction[/{ids}]`: there are no corrections yet, so nothing can be read."""
    _locations(call)
    return read_uris("stock-correction", [])


def _warehouses(call: Call) -> dict[int, Warehouse]:
    return {entry.id: entry for entry in call.account.shop.warehouses}


def _locations(call: Call) -> dict[int, Json]:
    """The locations of a warehouse by id. The first has the warehouse's id, as products name it for their default."""
    warehouse_id = call.key()
    if warehouse_id not in _warehouses(call):
        raise missing("No Warehouses Found")
    first = warehouse_id * _PER_WAREHOUSE + 100
    groupings = {warehouse_id: ("1", "A", "01", ""), first: ("1", "B", "02", ""), first + 1: ("QUARANTINE", "", "", "")}
    return {
        key: {"id": key, "warehouseId": warehouse_id, **dict(zip(_GROUPINGS, grouping, strict=True))}
        for key, grouping in groupings.items()
    }


_GROUPINGS = ("groupingA", "groupingB", "groupingC", "groupingD")
