"""The business objects of the company, and the function that runs each."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree.ElementTree import Element  # a type only: parsing is defusedxml's

from syncengine.sandbox.syspro import back_orders, customers, orders, posts, queries, stock
from syncengine.sandbox.syspro import find as finding
from syncengine.sandbox.syspro.dispatch import posts as dispatch
from syncengine.sandbox.syspro.dispatch import queries as dispatch_queries
from syncengine.sandbox.syspro.dispatch.sortdn import sortdn
from syncengine.sandbox.syspro.inventory import posts as inventory
from syncengine.sandbox.syspro.sessions import Session
from syncengine.sandbox.syspro.sortoi import post as sortoi
from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.tax import line_query, setup_queries
from syncengine.sandbox.syspro.texts import EnetError

#: company, session, method, XmlParameters, XmlIn -> reply
Run = Callable[[Company, Session, str, Element | None, Element], str]

_OBJECTS: dict[tuple[str, str], Run] = {
    ("Query", "SORQRY"): orders.sorqry,
    ("Query", "SORQSO"): queries.sorqso,
    ("Query", "ARSQRY"): customers.arsqry,
    ("Query", "INVQRY"): stock.invqry,
    ("Query", "SORQDN"): dispatch_queries.sorqdn,
    ("Query", "SORQDL"): dispatch_queries.sorqdl,
    ("Query", "COMFND"): finding.comfnd,
    ("Query", "COMFCH"): finding.comfch,
    ("Query", "COMQER"): queries.comqer,
    ("Query", "IMPQSO"): setup_queries.impqso,
    ("Query", "IMPQTX"): setup_queries.impqtx,
    ("Setup", "ARSSCS"): customers.arsscs,
    ("Transaction", "SORTOI"): sortoi.post,
    ("Transaction", "SORTOX"): posts.sortox,
    ("Transaction", "SORTOS"): posts.sortos,
    ("Transaction", "SORTBO"): back_orders.sortbo,
    ("Transaction", "SORTIC"): posts.sortic,
    ("Transaction", "SORTDN"): sortdn,
    ("Transaction", "SORTDS"): dispatch.sortds,
    ("Transaction", "SORTDC"): dispatch.sortdc,
    ("Transaction", "SORTNC"): dispatch.sortnc,
    ("Transaction", "INVTMA"): inventory.invtma,
    ("Transaction", "INVTMR"): inventory.invtmr,
    ("Transaction", "INVTME"): inventory.invtme,
    ("Transaction", "INVTMO"): inventory.invtmo,
    ("Transaction", "INVTMI"): inventory.invtmi,
}
_BUILDS: dict[str, Run] = {"SORRSL": line_query.sorrsl}
_METHODS = {"Query": ("Query", "Fetch"), "Setup": ("Add", "Update", "Delete"), "Transaction": ("Post",)}


#: Objects that only the catalogue of this version has (syspro-objects.md section 2).
_SINCE_8 = ("SORTDS",)


def find(klass: str, method: str, object: str, version: str = "8") -> Run:
    """The function that runs an object by this class and method.

    Raises:
        EnetError: the object is not registered here, or has no such method. The text is not public; exception 100000 is.
    """
    run = _OBJECTS.get((klass, object)) if method in _METHODS.get(klass, ()) else None
    if (klass, method) == ("Transaction", "Build"):
        run = _BUILDS.get(object)
    if run is None or (object in _SINCE_8 and version != "8"):
        raise EnetError(f"e.net exception 100000: business object {object} is not registered for {klass}.{method}")
    return run


def is_write(klass: str, method: str) -> bool:
    """Whether a call of this class and method may change anything."""
    return klass == "Setup" or (klass == "Transaction" and method == "Post")
