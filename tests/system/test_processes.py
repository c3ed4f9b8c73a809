"""The product as it runs: worker, realtime worker, beat and Flower on the embedded Redis, against the sandbox."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from syncengine.demo.installation import DemoInstallation, ShopSize
from syncengine.sandbox.shop.generator import generate
from tests import forked

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("processes")]

SHOP = ShopSize(seed=3, contacts=5, products=20, orders=6)
STEPS = ("fetch", "push", "sync", "transform")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoInstallation]:
    before = dict(os.environ)
    site = DemoInstallation(tmp_path_factory.mktemp("site") / "home", "enet", SHOP, None)
    site.url = site.start()  # type: ignore[attr-defined]
    yield site
    site.stop()
    os.environ.clear()
    os.environ.update(before)


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    module, *arguments = words
    return forked.server().run(module, arguments, env=os.environ, cwd=Path.cwd(), timeout_s=90)


def _json(*words: str) -> Any:
    done = _run("syncengine", *words, "--json")
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def _within(seconds: float, what: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := what()) and time.monotonic() < deadline:
        time.sleep(0.3)
    return found


def _sandbox(site: DemoInstallation, path: str) -> Any:
    return requests.get(f"{site.url}/_sandbox/{path}", timeout=10).json()  # type: ignore[attr-defined]


def _flow(name: str) -> dict[str, Any]:
    return next(one for one in _json("status")["flows"] if one["flow"] == name)


def _calm() -> bool:
    flows = {flow["flow"]: flow for flow in _json("status")["flows"]}
    return bool(flows["orders"]["records"]) and not any(flow["due"] for flow in flows.values())


def test_every_flow_has_its_tasks_in_both_workers(site: DemoInstallation) -> None:
    said = _within(
        30,
        lambda: (
            (done := _run("celery", "-A", "syncengine", "inspect", "registered")).stdout.count("pump") == 2 and done
        ),
    )
    assert said
    for flow in ("customers", "orders"):
        for step in STEPS:
            assert said.stdout.count(f"* {flow}.{step}") == 2


def test_a_call_of_the_sync_task_brings_the_orders_into_syspro(site: DemoInstallation) -> None:
    called = _run("celery", "-A", "syncengine", "call", "orders.sync")
    assert called.returncode == 0, called.stderr
    assert _within(60, _calm)
    made = generate(SHOP.seed, contacts=SHOP.contacts, products=SHOP.products, orders=SHOP.orders)
    pushed = [key for key, fate in made.expected.items() if fate in ("pushed", "guest")]
    for order in pushed[:5]:
        assert len(_sandbox(site, f"effects?system=syspro&object=SorMaster&reference={order}")) == 1
    assert _flow("orders")["done"] >= len(pushed) - 1


def test_the_operators_commands_speak_json(site: DemoInstallation) -> None:
    letters = _json("deadletters", "list")
    assert {letter["field"] for letter in letters} >= {"Currency", "orderRows"}
    whole = _json("deadletters", "show", str(letters[0]["id"]))
    assert whole["documents"]
    assert _json("deadletters", "retry", str(letters[0]["id"]), "--yes")["retried"] == 1
    traced = _json("trace", letters[1]["key"])
    assert traced["found"][0]["state"].startswith("dead")
    assert _json("trace", "987654321")["found"] == []
    assert all(one["ok"] for one in _json("check").values())
    assert {one["endpoint"] for one in _json("status")["quotas"]} == {"shop", "erp"}


def test_a_dry_run_shows_fields_and_writes_nothing(site: DemoInstallation) -> None:
    before = _sandbox(site, "effects?system=syspro")
    done = next(
        key for key, fate in generate(3, contacts=5, products=20, orders=6).expected.items() if fate == "pushed"
    )
    planned = _json("sync", "orders", "--id", str(done), "--dry-run")

    assert planned[-1]["key"] == str(done)
    assert _sandbox(site, "effects?system=syspro") == before


def test_a_sync_by_id_is_shown_to_its_end(site: DemoInstallation) -> None:
    done = next(
        key for key, fate in generate(3, contacts=5, products=20, orders=6).expected.items() if fate == "pushed"
    )
    said = _run("syncengine", "sync", "orders", "--id", str(done))
    assert said.returncode == 0, said.stderr
    assert "1 found" in said.stdout


def test_beat_keeps_the_pump_going_and_flower_shows_the_tasks_by_name(site: DemoInstallation) -> None:
    flower = f"http://127.0.0.1:{site.settings.flower_port}"
    api, login = f"{flower}/api/tasks", ("demo", site.flower_password)

    def names() -> set[str]:
        answer = requests.get(api, auth=login, timeout=10)  # an error page on a busy machine
        return {task["name"] for task in answer.json().values()} if answer.ok else set()

    assert _within(30, lambda: {"engine.pump", "orders.sync", "orders.push"} <= names())
    shown = requests.get(api, params={"taskname": "orders.push"}, auth=login, timeout=10).json().values()
    assert any(task["args"].startswith("(main, ") and "records" in task["args"] for task in shown)
    assert [requests.get(f"{flower}/{page}", timeout=10).status_code for page in ("tasks", "workers")] == [401, 401]
    page = requests.get(f"{flower}/tasks", auth=login, timeout=10)
    assert page.status_code == 200
    assert all(f'data-column="{column}"' in page.text for column in ("name", "args", "result", "state"))


def test_health_hears_of_every_lane_by_its_canary(site: DemoInstallation) -> None:
    assert _within(60, lambda: _run("syncengine", "health").returncode == 0)
    says = {part["name"]: part["says"] for part in _json("health")["parts"]}
    assert all("canary arrived" in says[lane] for lane in ("realtime", "scheduled", "backfill"))
    assert says["pump"].startswith("last ran")


def test_a_killed_worker_comes_back_and_goes_on(site: DemoInstallation) -> None:
    pid = site.pid("worker")
    os.kill(pid, signal.SIGKILL)

    assert _within(30, lambda: _running(site).get("worker", pid) != pid)
    assert _run("celery", "-A", "syncengine", "call", "orders.sync").returncode == 0
    assert _within(60, _calm)


def _running(site: DemoInstallation) -> dict[str, int]:
    assert site.supervisor is not None
    return site.supervisor.pids()


def test_stopping_leaves_no_process_behind(site: DemoInstallation, tmp_path: Path) -> None:
    pids = [*_running(site).values()]
    assert len(pids) == 6  # redis, worker, realtime, beat, web, flower
    site.stop()

    def gone() -> bool:
        return not any(
            Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text() for pid in pids
        )

    assert _within(20, gone)
