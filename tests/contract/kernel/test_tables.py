"""Lookup tables are held against the system once a day, and a difference is an alert until it is corrected."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import pytest

from syncengine import clock
from syncengine.alerts import Severity, Sinks
from syncengine.connectors.base import SiteFinding, TableComparison
from syncengine.connectors.site import Basis, EntryDifference
from syncengine.engine.core import lookups, table_checks
from syncengine.engine.doctor import Level, sites
from syncengine.engine.traffic import endpoints
from syncengine.engine.upkeep import tables
from syncengine.engine.watch.rule import Thresholds
from syncengine.engine.watch.watcher import Watcher, evaluate
from syncengine.errors import AuthenticationFailed, Transient
from syncengine.store import models as m
from tests.contract.kernel.world import Fake, Plain, World, by_name, flow

DAY_S = 86_400.0


class Knowing(Fake):
    """A system that has rates by code, and a setup."""

    compared_tables = ("rates",)

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.rates = {"T20": "20", "T5": "5"}
        self.unavailable = ""
        self.fault: Exception | None = None
        self.asked: list[tuple[dict[str, str], date, dict[str, Any]]] = []
        self.said: Sequence[SiteFinding] = ()

    def compare_table(
        self, table: str, entries: Mapping[str, str], on: date, settings: Mapping[str, Any]
    ) -> TableComparison:
        assert table == "rates"
        self.asked.append((dict(entries), on, dict(settings)))
        if self.fault is not None:
            raise self.fault
        wrong = [
            EntryDifference(key, value, self.rates[key]) for key, value in entries.items() if self.rates[key] != value
        ]
        return TableComparison([key for key in entries if self.rates[key] == entries[key]], wrong, {}, self.unavailable)

    def site(self, settings: Mapping[str, Any]) -> Sequence[SiteFinding]:
        if self.fault is not None:
            raise self.fault
        return self.said


@pytest.fixture
def world(make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> World:
    """A flow with a table of rates, and a right system that has its own."""
    world = make_world(flow("things", Plain(by_name), lookups={"rates": {"T20": "20"}}))
    erp, connect = Knowing(world.resources), world.engine._connect
    monkeypatch.setattr(
        world.engine, "_connect", lambda endpoint: erp if endpoint.name == "right-1" else connect(endpoint)
    )
    return world


def _erp(world: World) -> Knowing:
    connector = world.engine.connection(world.connection_id).connectors["right"]
    assert isinstance(connector, Knowing)
    return connector


def _set(world: World, key: str, value: str) -> None:
    lookups.put(world.engine, "main", "rates", key, value, by="ann")


def _signs(world: World) -> list[str]:
    found, _ = evaluate(world.engine, Thresholds(), clock.now(), up_s=0.0)
    Watcher(world.engine, Sinks(()), Thresholds()).watch()
    return [sign.text for sign in found if sign.rule == "table"]


def _shown(world: World) -> dict[str, tuple[Level, str]]:
    found = sites.examine(world.engine, ["left-1", "right-1"])
    return {finding.part: (finding.level, finding.says) for finding in found}


def test_a_table_is_compared_once_a_day(world: World) -> None:
    assert _shown(world) == {
        "main rates": (Level.OK, "assumed: not compared with the system yet, which workers do once a day")
    }
    assert tables.run(world.engine) == "1 compared, 0 postponed"
    for _ in range(3):
        world.time.pass_(3600)
        assert tables.run(world.engine) == "0 compared, 0 postponed"
    world.time.pass_(DAY_S)
    tables.run(world.engine)

    assert [(entries, on) for entries, on, _ in _erp(world).asked] == [
        ({"T20": "20"}, date(2026, 3, 2)), ({"T20": "20"}, date(2026, 3, 3)),
    ]  # fmt: skip
    assert _signs(world) == []
    assert _shown(world) == {"main rates": (Level.OK, "confirmed 0 seconds ago: T20")}


def test_a_difference_is_an_alert_until_the_table_is_corrected(world: World) -> None:
    _erp(world).rates["T20"] = "21"
    tables.run(world.engine)

    text = "1 of the values of rates in main differ from the system's: T20 is declared as 20, the system has 21"
    assert _signs(world) == [text]
    with world.store.read() as session:
        alert = session.query(m.Alert).one()
    assert (alert.severity, "KEY@2026-04-01" in alert.remedy) == (Severity.WARNING, True)
    assert _shown(world)["main rates"][0] is Level.WARN

    _set(world, "T20@2026-03-01", "21")
    tables.run(world.engine)  # at the next run, not after a day
    assert len(_erp(world).asked) == 2
    assert _signs(world) == []


@pytest.mark.one_database
def test_entries_of_the_future_are_compared_on_their_day(world: World) -> None:
    _set(world, "T20@2026-03-03", "21")
    tables.run(world.engine)
    world.time.pass_(DAY_S)
    tables.run(world.engine)

    assert [entries for entries, _, _ in _erp(world).asked] == [{"T20": "20"}, {"T20": "21"}]


@pytest.mark.one_database
def test_a_system_that_cannot_be_asked_is_not_asked_again_for_a_day(world: World) -> None:
    _erp(world).unavailable = "RATE is not licensed"
    tables.run(world.engine)
    _set(world, "T5", "5")
    for _ in range(3):
        world.time.pass_(3600)
        tables.run(world.engine)

    assert len(_erp(world).asked) == 1
    assert _signs(world) == []
    assert _shown(world) == {
        "main rates": (Level.OK, "assumed: RATE is not licensed; asked 3 hours ago, and again after a day")
    }
    world.time.pass_(DAY_S)
    tables.run(world.engine)
    assert len(_erp(world).asked) == 2


@pytest.mark.one_database
def test_a_date_that_cannot_be_read_is_an_alert_without_a_call(world: World) -> None:
    _set(world, "T20@2026-4-1", "21")
    tables.run(world.engine)

    assert _erp(world).asked == []
    assert "the entry 'T20@2026-4-1' of a dated table has no valid date. Write T20@2026-04-01" in _signs(world)[0]


@pytest.mark.one_database
def test_an_error_of_the_endpoint_postpones_the_comparison(world: World) -> None:
    _erp(world).fault = Transient("the answer was cut")
    assert tables.run(world.engine) == "0 compared, 1 postponed"
    _erp(world).fault = None
    assert tables.run(world.engine) == "1 compared, 0 postponed"


@pytest.mark.one_database
def test_an_endpoint_at_rest_is_not_asked(world: World) -> None:
    until = clock.now() + timedelta(hours=1)
    endpoints.pause(world.engine, "right-1", until=until, because="upgrade", by="ann")
    assert tables.run(world.engine) == "0 compared, 0 postponed"
    assert _erp(world).asked == []


@pytest.mark.one_database
def test_a_table_that_is_emptied_ends_its_alert(world: World) -> None:
    _set(world, "T5", "6")
    tables.run(world.engine)
    assert len(_signs(world)) == 1
    lookups.remove(world.engine, [lookups.entry_of(world.engine, "main", "rates", "T5")], by="ann")
    tables.run(world.engine)
    assert _signs(world) == []


@pytest.mark.one_database
def test_settings_that_the_systems_setup_speaks_of(world: World) -> None:
    _erp(world).said = [
        SiteFinding("size", Basis.CONFIRMED, "the system says 3"),
        SiteFinding("shape", Basis.ASSUMED, "the system does not say; assumed: round"),
        SiteFinding("colour", Basis.CONTRADICTED, "declared is red, but the system says blue", "Set colour: blue"),
    ]
    found = {finding.part: finding for finding in sites.examine(world.engine, ["right-1"])}

    assert found["main size"].says == "confirmed: the system says 3"
    assert found["main shape"].says == "assumed: the system does not say; assumed: round"
    assert (found["main colour"].level, found["main colour"].remedy) == (
        Level.WARN, "Set colour: blue, then run `syncengine configure`",
    )  # fmt: skip
    assert [part for part in (f.part for f in sites.examine(world.engine, [])) if part != "main rates"] == []


@pytest.mark.one_database
def test_a_setup_that_cannot_be_read_now_is_said_so(world: World) -> None:
    _erp(world).fault = AuthenticationFailed("refused")
    found = {finding.part: finding for finding in sites.examine(world.engine, ["right-1"])}

    assert (found["main settings"].level, found["main settings"].says) == (
        Level.WARN,
        "right-1 cannot be read now: refused",
    )


@pytest.mark.one_database
def test_the_check_is_sealed(world: World) -> None:
    tables.run(world.engine)
    with world.store.read() as session:
        slot = session.query(m.Slot).filter(m.Slot.name.startswith("table-check:")).one()
        assert slot.value is not None
        assert b"T20" not in slot.value
        assert table_checks.last(world.engine, session, world.connection_id, "rates") is not None
