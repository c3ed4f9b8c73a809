"""A wrong file in `flows.d` disables its flow alone: every command works, says so, and no record is lost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from syncengine import clock
from syncengine.alerts import Severity
from syncengine.cli import commands
from syncengine.engine.doctor import Level, Patient, examine
from syncengine.engine.people import dead_letter_bulk, held
from syncengine.engine.setup import bootstrap
from syncengine.engine.watch import health
from syncengine.engine.watch.health import Pace
from syncengine.engine.watch.rule import View
from syncengine.engine.watch.rules.safeguards import flow_disabled
from syncengine.errors import Misconfigured
from syncengine.store import Store
from syncengine.store import models as m
from syncengine.store.states import Status, Why
from tests.contract.configure.test_flows_folder import Place, place

__all__ = ["place"]

pytestmark = pytest.mark.one_database

SAYS = "the flow orders is disabled: flows.d/orders.yml:5: source: there is no resource 'brightpearl.sales_oder'"
Syncengine = Callable[..., Result]


@pytest.fixture
def syncengine(place: Place, monkeypatch: pytest.MonkeyPatch) -> Syncengine:
    """Runs a command where orders and customers are configured, with a record of each, and orders' file is wrong."""
    for name, value in place.env.items():
        monkeypatch.setenv(name, value)
    file = place.own_orders("home/flows.d")
    place.configure()
    now = clock.now() - timedelta(hours=1)
    with place.store.read() as session:
        connection_id = session.query(m.ConnectionRow.id).scalar()
    mine = {
        "connection_id": connection_id,
        "parts": [],
        "needed": False,
        "lane": 1,
        "created_at": now,
        "updated_at": now,
    }
    with place.store.write() as session:
        for flow, status, why, done in (
            ("orders", Status.HELD, Why.RULE, 1), ("orders", Status.OPEN, Why.NONE, 0),
            ("orders", Status.DEAD, Why.REJECTED, 1), ("customers", Status.DONE, Why.NONE, 1),
        ):  # fmt: skip
            record = m.Record(
                flow=flow, key=f"{flow}-{status}", status=status, why=why, wanted=1, done=done, not_before=now, **mine
            )
            session.add(record)
            session.flush()
            if status is Status.DEAD:
                letter = {
                    "connection_id": connection_id,
                    "flow": flow,
                    "key": record.key,
                    "kind": "dead",
                    "stage": "push",
                }
                session.add(m.Failure(record_id=record.id, cause="refused", opened_at=now, **letter))
    file.write_text(
        file.read_text(encoding="utf-8").replace("brightpearl.sales_order\n", "brightpearl.sales_oder\n", 1)
    )

    def run(*words: str, code: int | None = None) -> Result:
        done = CliRunner().invoke(commands, list(words))
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        assert code is None or done.exit_code == code, done.output
        return done

    return run


def _records(store: Store) -> list[Any]:
    with store.read() as session:
        return session.execute(m.Record.__table__.select()).all()


READING = (
    "status", "trace orders-held", "trace customers-done", "held list", "deadletters list", "lookups list",
    "endpoints list", "alerts list", "observe report", "ceilings list", "health", "trace left:orders-held",
    "held list --flow orders", "deadletters list --flow orders", "deadletters show 1",
)  # fmt: skip


def test_every_command_that_reads_works(syncengine: Syncengine, place: Place) -> None:
    before = _records(place.store)
    for words in READING:
        done = syncengine(*words.split())
        assert done.exit_code in (0, 1), (words, done.output)
        assert "Traceback" not in done.output, words
        assert SAYS in done.stderr, words
        assert _records(place.store) == before, words


def test_status_and_configure_name_file_line_and_remedy(syncengine: Syncengine) -> None:
    for words in (("status",), ("configure", "--dry-run")):
        out = " ".join(syncengine(*words, code=0).output.split())
        assert SAYS in out
        assert "Correct the file, then restart the processes" in out
        assert SAYS in json.loads(syncengine(*words, "--json", code=0).stdout)["disabled"]["orders"]


def test_a_command_for_that_flow_says_it(syncengine: Syncengine, place: Place) -> None:
    engine = bootstrap.engine(place.settings(), send=lambda _: None, redis_client=None)
    with pytest.raises(Misconfigured, match=r"the flow orders is disabled: flows\.d/orders\.yml:5: .*Correct the file"):
        engine.flow("orders")
    assert engine.flow("customers").name == "customers"
    engine.close()


def test_decisions_on_many_records_name_it_and_stop_no_other(syncengine: Syncengine, place: Place) -> None:
    engine = bootstrap.engine(place.settings(), send=lambda _: None, redis_client=None)
    with place.store.read() as session:
        found = held.listed(session, engine)
        [says] = held.if_approved(session, engine, found).values()
        letters = session.query(m.Failure).all()
    assert SAYS in str(says)
    [stays] = dead_letter_bulk.forecast(engine, letters).stays
    assert (stays.state, SAYS in stays.why) == ("not planned", True)
    engine.close()


def test_doctor_health_and_an_alert_name_it(syncengine: Syncengine, place: Place) -> None:
    found = {finding.part: finding for finding in examine(Patient(place.settings(), None, None), offline=True)}
    assert found["flow orders"].level is Level.FAIL
    assert "flows.d/orders.yml:5" in found["flow orders"].says
    assert found["connection main"].level is Level.OK
    engine = bootstrap.engine(place.settings(), send=lambda _: None, redis_client=None)
    vital = next(vital for vital in health.vitals(engine, stalled_s=120.0) if vital.name == "main: orders")
    assert (vital.pace, SAYS in vital.says) == (Pace.STALLED, True)
    with place.store.read() as session:
        view = View(engine, session, clock.now(), None, None, None, {}, frozenset())  # type: ignore[arg-type]
        [sign] = flow_disabled(view)
    assert (sign.severity, SAYS in sign.text, sign.subject) == (Severity.CRITICAL, True, "orders")
    engine.close()


def test_configure_applies_the_rest_and_keeps_the_flow(syncengine: Syncengine, place: Place) -> None:
    path = place.root / "home" / "syncengine.yml"
    path.write_text(path.read_text(encoding="utf-8").replace("quiet_s: 30", "quiet_s: 40"), encoding="utf-8")
    assert "~ quiet_s: 30 -> 40" in syncengine("configure", "--yes", code=0).output
    with place.store.read() as session:
        row = session.query(m.ConnectionRow).one()
        assert (row.quiet_s, row.flows) == (40.0, ["customers", "orders"])
        assert "orders" in session.query(m.Installed).one().own_flows
    place.own_orders("home/flows.d", batch=7)  # corrected
    assert place.orders().batch == 7


def test_a_connection_does_not_begin_with_a_flow_that_is_wrong(place: Place) -> None:
    file = place.own_orders("home/flows.d")
    file.write_text("flow: orders\nreplaces: true\n", encoding="utf-8")
    with pytest.raises(Misconfigured, match=r"syncengine\.yml:16: the flow orders is disabled: flows\.d/orders\.yml:"):
        place.configure()


@pytest.mark.parametrize("text", ["flow orders: [", "\x00", "replaces: true\n"])
def test_a_flow_that_replaced_a_shipped_one_never_falls_back_to_it(place: Place, text: str) -> None:
    shutil.move(place.own_orders("home/flows.d"), place.root / "home" / "flows.d" / "mine.yml")
    place.configure()
    (place.root / "home" / "flows.d" / "mine.yml").write_text(
        text, encoding="utf-8"
    )  # nobody can read which flow it was
    known = bootstrap.installed_flows(place.settings(), place.store)
    assert "orders" not in known
    assert "flows.d/mine.yml:" in str(known.broken["orders"].error)
    assert "customers" in known


def test_a_file_that_forgets_that_it_replaces_disables_the_flow(place: Place) -> None:
    file: Path = place.own_orders("home/flows.d")
    place.configure()
    file.write_text(file.read_text(encoding="utf-8").replace("replaces: true", ""), encoding="utf-8")
    known = bootstrap.installed_flows(place.settings(), place.store)
    assert "orders" not in known
    assert "add replaces: true" in str(known.broken["orders"])
