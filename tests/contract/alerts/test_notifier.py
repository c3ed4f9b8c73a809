"""Alerts are sent once, repeated, and ended; to every sink, whatever happens to another sink."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis

from syncengine.alerts import Severity, Sign, Sinks, book, in_use, notifier, without_store
from syncengine.alerts.without_store import StoreAway
from syncengine.connectors.base import Connector
from syncengine.engine.core.engine import Engine
from syncengine.engine.watch.watcher import Watcher
from syncengine.errors import Misconfigured, Transient
from syncengine.store import Store, migrate
from syncengine.store.models import Alert
from syncengine.vault import Vault
from tests.conftest import KEY
from tests.contract.alerts.sink import Inbox

START = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)
DOWN = Sign("breaker", "erp", Severity.CRITICAL, "erp is down: the connection was refused", "See whether erp runs")
LATE = Sign("oldest due", "main: orders", Severity.WARNING, "orders of main is late", "Run doctor")
CALM_S = {"breaker": 60.0, "oldest due": 60.0}


def _at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


class Desk:
    """A book and its sinks."""

    def __init__(self, store: Store, client: redis.Redis | None, *urls: str) -> None:
        self.store, self.client, self.sinks = store, client, Sinks(urls)

    def see(self, seconds: float, *signs: Sign, calm_s: dict[str, float] | None = None) -> None:
        """One look at that time."""
        with self.store.write() as session:
            book.write(session, signs, CALM_S if calm_s is None else calm_s, _at(seconds))
        notifier.notify(self.store, self.sinks, self.client, repeat_s=3600, now=_at(seconds))

    def alerts(self) -> list[Alert]:
        with self.store.read() as session:
            return list(reversed(book.listed(session, ended_after=START)))


def test_an_alert_is_told_once_then_repeated_and_its_end_is_told(
    store: Store, client: redis.Redis, inbox: Inbox
) -> None:
    desk = Desk(store, client, inbox.url)
    for seconds in (0, 15, 30):
        desk.see(seconds, DOWN)
    assert inbox.titles == ["syncengine: erp is down: the connection was refused"]
    assert inbox.received[0]["type"] == "failure"
    assert "What to do: See whether erp runs" in inbox.messages[0]
    assert "since 2026-03-02 03:00:00 UTC" in inbox.messages[0]

    desk.see(3600, DOWN)
    assert len(inbox.received) == 2
    assert "sent before, and still ongoing" in inbox.messages[1]

    desk.see(3630)  # calm, but not for long enough
    assert len(inbox.received) == 2
    desk.see(3675)
    desk.see(3690)
    assert inbox.titles[2:] == ["syncengine: over: erp is down: the connection was refused"]
    assert inbox.received[2]["type"] == "success"
    assert "from 2026-03-02 03:00:00 UTC to 2026-03-02 04:00:00 UTC" in inbox.messages[2]
    (alert,) = desk.alerts()
    assert (alert.notified_at, alert.resolved_at, alert.end_notified_at) == (_at(3600), _at(3675), _at(3675))


def test_a_sink_that_joins_later_is_not_sent_the_end_of_what_it_was_never_sent(
    store: Store, client: redis.Redis, inbox: Inbox, other: Inbox
) -> None:
    Desk(store, client, inbox.url).see(0, DOWN, LATE)
    both = Desk(store, client, inbox.url, other.url)
    both.see(100)

    assert inbox.titles == ["syncengine: 2 alerts", "syncengine: 2 alerts over"]
    assert other.titles == []
    assert all(alert.end_notified_at is not None for alert in both.alerts())

    client.flushdb()  # Redis has lost who knows of it: better an end too many than none
    both.see(200, DOWN)
    client.flushdb()
    both.see(1000)
    assert len(inbox.titles) == 4
    assert len(other.titles) == 2


def test_what_comes_and_goes_stays_one_alert_whose_count_rises(store: Store, client: redis.Redis, inbox: Inbox) -> None:
    desk = Desk(store, client, inbox.url)
    for seconds, count in ((0, 1), (60, 2), (120, 7), (180, 3)):
        desk.see(seconds, Sign(**{**_fields(DOWN), "count": count}))
        desk.see(seconds + 15)
    (alert,) = desk.alerts()
    assert alert.count == 7
    assert len(inbox.received) == 1


def test_after_its_end_the_same_sign_opens_a_new_alert(store: Store, client: redis.Redis, inbox: Inbox) -> None:
    desk = Desk(store, client, inbox.url)
    for seconds, signs in ((0, [DOWN]), (100, []), (200, [DOWN])):
        desk.see(seconds, *signs)
    assert [alert.resolved_at for alert in desk.alerts()] == [_at(100), None]
    assert len(inbox.received) == 3


def test_a_rule_that_cannot_look_ends_no_alert(store: Store, client: redis.Redis, inbox: Inbox) -> None:
    desk = Desk(store, client, inbox.url)
    desk.see(0, DOWN, LATE)
    desk.see(600, calm_s={"oldest due": 60.0})
    assert [(alert.rule, alert.resolved_at is None) for alert in desk.alerts()] == [
        ("breaker", True),
        ("oldest due", False),
    ]


def test_many_alerts_at_once_are_one_message_the_worst_first(store: Store, client: redis.Redis, inbox: Inbox) -> None:
    desk = Desk(store, client, inbox.url)
    many = [Sign(**{**_fields(LATE), "subject": f"main: {n}", "text": f"flow {n} is late"}) for n in range(12)]
    desk.see(0, *many, DOWN)
    assert inbox.titles == ["syncengine: 13 alerts"]
    assert inbox.messages[0].startswith("CRITICAL erp is down")
    assert "and 3 more: `syncengine alerts list`" in inbox.messages[0]


def test_a_sink_that_is_down_is_asked_again_and_the_others_are_not_told_twice(
    store: Store, client: redis.Redis, inbox: Inbox, other: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(store, client, inbox.url, other.url)
    other.refuse = True
    with caplog.at_level(logging.DEBUG):
        desk.see(0, DOWN)
        desk.see(15, DOWN)
    assert len(inbox.received) == 1
    assert desk.alerts()[0].notified_at is None
    warnings = [line.getMessage() for line in caplog.records if line.levelno >= logging.WARNING]
    assert warnings == ["sink 2 (JSON) did not receive 1 alerts and is tried again: it answered 503"] * 2
    assert "S3CRET" not in caplog.text

    other.refuse = False
    desk.see(30, DOWN)
    assert (len(inbox.received), len(other.received)) == (1, 1)
    assert desk.alerts()[0].notified_at == _at(30)
    desk.see(3600, DOWN)  # an hour after the first was sent, not after the second
    assert (len(inbox.received), len(other.received)) == (2, 1)


def test_the_end_of_what_was_counted_names_the_highest_figure_that_people_were_told_too(
    store: Store, client: redis.Redis, inbox: Inbox
) -> None:
    desk = Desk(store, client, inbox.url)
    for seconds, count in ((0, 31), (15, 26)):
        sign = Sign("dead letters", "main: orders", Severity.WARNING, f"{count} dead letters of orders", "Look", count)
        desk.see(seconds, sign, calm_s={"dead letters": 0.0})
    desk.see(30, calm_s={"dead letters": 0.0})

    assert inbox.titles == [
        "syncengine: 31 dead letters of orders",
        "syncengine: over: 26 dead letters of orders (26 at the end, 31 at most)",
    ]
    assert inbox.messages[1].startswith("OVER 26 dead letters of orders (26 at the end, 31 at most)")


def test_the_highest_count_is_told_wherever_the_text_names_the_last_one(
    store: Store, client: redis.Redis, inbox: Inbox
) -> None:
    desk = Desk(store, client, inbox.url)
    for seconds, count in ((0, 3), (15, 1)):
        text = f"of orders, {count} have an unknown outcome"
        sign = Sign("in doubt", "main: orders", Severity.WARNING, text, "Look", count)
        desk.see(seconds, sign, calm_s={"in doubt": 0.0})
    desk.see(30, calm_s={"in doubt": 0.0})

    assert inbox.titles[-1] == "syncengine: over: of orders, 1 have an unknown outcome (1 at the end, 3 at most)"


def test_a_count_that_never_fell_is_not_named_again(store: Store, client: redis.Redis, inbox: Inbox) -> None:
    desk = Desk(store, client, inbox.url)
    for seconds, count in ((0, 10), (15, 12)):
        text = f"{count} dead letters of orders"
        desk.see(seconds, Sign("dead letters", "main: orders", Severity.WARNING, text, "Look", count))
    desk.see(100, calm_s={"dead letters": 0.0})

    assert inbox.titles[-1] == "syncengine: over: 12 dead letters of orders"


def test_the_end_is_told_to_those_alone_who_were_told_of_the_beginning(
    store: Store, client: redis.Redis, inbox: Inbox, other: Inbox
) -> None:
    desk = Desk(store, client, inbox.url, other.url)
    other.refuse = True
    desk.see(0, DOWN)
    other.refuse = False
    inbox.refuse = True
    desk.see(100, calm_s={"breaker": 0.0})
    desk.see(115)
    assert (len(inbox.received), other.received) == (1, [])
    inbox.refuse = False
    desk.see(130)
    desk.see(145)
    assert inbox.titles[1:] == ["syncengine: over: erp is down: the connection was refused"]
    assert other.received == []
    assert desk.alerts()[0].end_notified_at == _at(130)


def test_of_what_nobody_was_told_the_end_is_not_told(store: Store, client: redis.Redis, inbox: Inbox) -> None:
    desk = Desk(store, client, inbox.url)
    inbox.refuse = True
    desk.see(0, DOWN)
    desk.see(100)
    inbox.refuse = False
    desk.see(115, LATE)
    assert inbox.titles == ["syncengine: orders of main is late"]


def test_an_endpoint_that_is_down_for_a_moment_again_and_again_is_told_a_few_times(
    store: Store, client: redis.Redis, inbox: Inbox
) -> None:
    desk = Desk(store, client, inbox.url)
    for round_ in range(15):  # 30 s of every 2 minutes, for half an hour
        for second in range(0, 120, 15):
            desk.see(round_ * 120 + second, *([DOWN] if second < 30 else []))
    assert [alert.resolved_at for alert in desk.alerts()] == [_at(75), None]
    assert len(inbox.received) == 3

    last_seen = 14 * 120 + 15
    desk.see(last_seen + 600)
    assert len(inbox.received) == 4
    for again in (800, 1600, 3000):  # the third alert within the hour is over after an hour alone
        desk.see(last_seen + again, DOWN)
        desk.see(last_seen + again + 599)
    assert len(inbox.received) == 5
    desk.see(last_seen + 3000 + 3600)
    assert len(inbox.received) == 6


def test_what_a_person_ends_is_over_at_once_however_often_it_comes_back(
    store: Store, client: redis.Redis, inbox: Inbox
) -> None:
    desk, shut = Desk(store, client, inbox.url), Sign("ceiling", "main: orders", Severity.CRITICAL, "shut", "open it")
    for round_ in range(4):
        desk.see(round_ * 60, shut, calm_s={"ceiling": 0.0})
        desk.see(round_ * 60 + 30, calm_s={"ceiling": 0.0})
    assert len(inbox.received) == 8


def test_a_plugin_that_fails_keeps_no_other_sink_from_being_told(
    store: Store, client: redis.Redis, inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(store, client, "json://127.0.0.1:9/", inbox.url)

    def fail(**_: object) -> bool:
        raise KeyError("json://T0KEN@127.0.0.1")

    desk.sinks.all()[0]._plugin.notify = fail  # type: ignore[method-assign, assignment]
    desk.see(0, DOWN)
    desk.see(15, DOWN)
    assert len(inbox.received) == 1
    assert "did not receive 1 alerts and is tried again: its plugin failed (KeyError)" in caplog.text
    assert "T0KEN" not in caplog.text


def test_an_emptied_redis_tells_twice_and_passes_nothing_over(
    store: Store, client: redis.Redis, inbox: Inbox, other: Inbox
) -> None:
    desk = Desk(store, client, inbox.url, other.url)
    other.refuse = True
    desk.see(0, DOWN)
    client.flushall()
    other.refuse = False
    desk.see(15, DOWN)
    client.flushall()
    desk.see(30, DOWN)
    assert (len(inbox.received), len(other.received)) == (2, 1)


def test_without_a_sink_alerts_are_kept_and_told_when_there_is_one(
    store: Store, client: redis.Redis, inbox: Inbox
) -> None:
    Desk(store, client).see(0, DOWN)
    assert Desk(store, client).alerts()[0].notified_at is None
    Desk(store, client, inbox.url).see(15, DOWN)
    assert len(inbox.received) == 1


def test_an_address_that_apprise_does_not_know_is_named_by_its_place_and_never_shown(
    store: Store, client: redis.Redis, inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    urls = (inbox.url, "slakc://T0KEN/abc")
    with caplog.at_level(logging.DEBUG):
        with pytest.raises(Misconfigured, match="SYNCENGINE_ALERT_URLS: apprise does not support address 2") as caught:
            Sinks(urls).all()
        Desk(store, client, *urls).see(0, DOWN)
    assert len(inbox.received) == 1
    assert "SYNCENGINE_ALERT_URLS: apprise does not support address 2" in caplog.text
    assert "T0KEN" not in f"{caught.value} {caplog.text} {caught.traceback}"


def _fields(sign: Sign) -> dict[str, object]:
    return {name: getattr(sign, name) for name in ("rule", "subject", "severity", "text", "remedy", "count")}


def test_a_store_that_is_away_is_told_once_it_lasts_and_so_is_its_end(client: redis.Redis, inbox: Inbox) -> None:
    away = StoreAway(Sinks([inbox.url]), client)
    why = "the database cannot be used now: connection refused"
    for seconds in (0, 15, 30):
        away.is_away(why, repeat_s=3600, now=_at(seconds))
    away.is_there()  # a restart is not worth an alert
    assert inbox.received == []

    for seconds in (100, 115, 160, 175, 190):
        away.is_away(why, repeat_s=3600, now=_at(seconds))
    assert inbox.titles == [f"syncengine: {why}"]
    assert "since 2026-03-02 03:01:40 UTC" in inbox.messages[0]
    away.is_away(why, repeat_s=3600, now=_at(3760))
    assert len(inbox.received) == 2

    inbox.refuse = True
    away.is_there()
    inbox.refuse = False
    away.is_there()
    away.is_there()
    assert inbox.titles[2:] == ["syncengine: over: the database was away"]


def test_the_watcher_tells_of_a_store_that_is_away_and_goes_on_when_it_is_back(
    client: redis.Redis, inbox: Inbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(without_store, "LASTING_S", 0.0)
    migrate.upgrade(f"sqlite:///{tmp_path}/store.db")
    store = Store(f"sqlite:///{tmp_path}/store.db")
    engine = Engine(store, Vault(store, [KEY]), {}, connect=_no_connector, send=print)
    watcher = Watcher(engine, Sinks([inbox.url]), client=client)
    (tmp_path / "store.db").rename(tmp_path / "elsewhere.db")
    store.close()
    (tmp_path / "store.db").mkdir()
    with pytest.raises(Transient):
        watcher.watch()
    assert inbox.titles == ["syncengine: the database cannot be used now: unable to open database file"]

    (tmp_path / "store.db").rmdir()
    (tmp_path / "elsewhere.db").rename(tmp_path / "store.db")
    assert watcher.watch() == "0 signs, 0 of 1 sinks notified"
    assert inbox.titles[1:] == ["syncengine: over: the database was away"]
    store.close()


def _no_connector(endpoint: object) -> Connector:
    raise AssertionError(f"nothing is called here, yet {endpoint} is connected")


def test_hosts_whose_watcher_uses_other_sinks_are_named(client: redis.Redis) -> None:
    ours, former = Sinks(["json://127.0.0.1/a"]), Sinks(["json://127.0.0.1/b"])
    in_use.note(client, "a", former, _at(0))
    in_use.note(client, "b", ours, _at(0))
    in_use.note(client, "stopped", former, _at(-3600))

    assert in_use.other_hosts(client, ours, _at(60)) == ["a"]
    assert "127.0.0.1" not in str(client.hgetall(in_use.KEY))
