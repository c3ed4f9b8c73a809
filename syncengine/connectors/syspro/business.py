"""SYSPRO's business objects as a resource declares them, and one call of one as a value that both gateways take.

Facts: syspro-transport.md sections 2 to 4, syspro-objects.md section 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from syncengine.connectors.syspro.errors import Call
from syncengine.document import Doc


@dataclass(frozen=True, slots=True)
class Route:
    """A call's address in the Harmony interface: verb, path behind the base, JSON body (None for none)."""

    verb: str
    path: str
    body: Any = None


@dataclass(frozen=True, slots=True)
class BusinessObject:
    """What is known of one business object.

    name: its code, `ARSSCS`. An endpoint's setting of that name in lower case adds to its parameters and replaces them.
    category: `Query`, `Setup` or `Transaction`.
    root: the root element of its XmlIn, and of its XmlParameters.
    parameters: what is sent as XmlParameters by default. Empty: it has none.
    reply_root: the root of its reply. Default: `root` in lower case, as most have it.
    remedies: what people do about a refusal, by patterns of its text, before what is said of all objects.
    route: its address in the Harmony interface, None for a call that goes the generic way. Default: all calls do.
    """

    name: str
    category: str
    root: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    reply_root: str = ""
    remedies: Mapping[str, str] = field(default_factory=dict)
    route: Callable[[BusinessCall], Route | None] = lambda _: None

    @property
    def setting(self) -> str:
        """The endpoint's setting that holds parameters of this object."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class BusinessCall:
    """One call of a business object, the same for both gateways.

    method: Query; Add, Update or Delete of a Setup; Build or Post of a Transaction.
    content: what is under the root of XmlIn. An element that may repeat is a list, also if there is only one.
    parameters: what is under `Parameters` of XmlParameters; empty where there is none.
    is_write: whether the call changes something; a validation by Post does not.
    """

    object: BusinessObject
    method: str
    content: Doc
    parameters: Mapping[str, str] = field(default_factory=dict)
    is_write: bool = False

    @property
    def path(self) -> str:
        """`/Setup/Add`: the call's verb of e.net."""
        return f"/{self.object.category}/{self.method}"

    @property
    def document(self) -> Doc:
        """The XmlIn document."""
        return {self.object.root: self.content}

    @property
    def parameters_document(self) -> Doc:
        """The XmlParameters document; `{}` for none."""
        return {self.object.root: {"Parameters": dict(self.parameters)}} if self.parameters else {}

    @property
    def reply_root(self) -> str:
        """The root of its reply, where the gateway's answer has none."""
        return self.object.reply_root or self.object.root.lower()

    @property
    def shown(self) -> Call:
        """The call as error texts show it."""
        return Call(self.object.name, self.method, self.is_write)


def find_in(table: str) -> BusinessObject:
    """COMFND, the generic find, in one table. Its reply has the table's name."""
    return BusinessObject("COMFND", "Query", "Query", reply_root=table)
