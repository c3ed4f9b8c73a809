"""The simulated SYSPRO: a company with its initial data, and the call that runs a business object.

e.net and Harmony share it, so that both apply the same rules.
"""

from __future__ import annotations

from syncengine.sandbox.host import Host
from syncengine.sandbox.shop.model import Shop
from syncengine.sandbox.syspro import business_objects, history, seed, warehouse
from syncengine.sandbox.syspro.sessions import Session
from syncengine.sandbox.syspro.state import Company
from syncengine.sandbox.syspro.texts import EnetError
from syncengine.sandbox.syspro.xmlin import parse


class Syspro(Company):
    """A company that runs business objects."""

    def __init__(self, host: Host, shop: Shop) -> None:
        super().__init__(host)
        seed.load(self, shop)
        if shop.awkward:
            history.load(self)

    def call(self, session: Session, klass: str, method: str, object: str, params_xml: str, data_xml: str) -> str:
        """Run one business object.

        Args:
            klass: Query, Setup or Transaction.
            method: Query, Fetch, Add, Update, Delete, Build or Post.
            object: the object code, such as SORTOI.

        Returns:
            The reply document's text.

        Raises:
            EnetError: the call did not run or failed as a whole.
        """
        if object in self.listed("syspro_unlicensed"):
            raise EnetError(f"e.net exception 100000: business object {object} is not licensed")
        run = business_objects.find(klass, method, object, self.switches.text("syspro_version"))
        params = parse(params_xml, "XmlParameters") if params_xml.strip() else None
        document = parse(data_xml, "XmlIn")
        with self.lock:
            warehouse.move_due_orders(self)
            return run(self, session, method, params, document)
