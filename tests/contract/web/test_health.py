"""Health and metrics: who may see what, and that a store that is away is not ready."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from syncengine import clock, settings
from syncengine.engine.core.want import want
from syncengine.errors import DatabaseAway
from syncengine.store.states import Lane
from syncengine.web.app import Parts, create_app
from tests.contract.web.conftest import Site

pytestmark = pytest.mark.one_database


def test_health_needs_no_store_but_readiness_does(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [site.client.get(path).status_code for path in ("/healthz", "/readyz")] == [200, 200]

    def away() -> None:
        raise DatabaseAway("away")

    client = create_app(Parts(settings.load({}), away, lambda: None, lambda flow: None)).test_client()  # type: ignore[arg-type]
    assert [client.get(path).status_code for path in ("/healthz", "/readyz", "/metrics")] == [200, 503, 503]


def test_metrics_are_for_this_host_unless_there_is_a_token(site: Site) -> None:
    def status(**given: object) -> int:
        return site.client.get("/metrics", **given).status_code  # type: ignore[arg-type]

    assert status() == 200
    assert status(environ_base={"REMOTE_ADDR": "10.0.0.7"}) == 403
    assert status(headers={"X-Forwarded-For": "10.0.0.7"}) == 403  # a proxy on this host

    parts = Parts(
        settings.load({"SYNCENGINE_METRICS_TOKEN": "abc"}), lambda: site.engine, lambda: None, lambda flow: None
    )
    client = create_app(parts).test_client()
    answers = [client.get("/metrics", headers={"Authorization": f"Bearer {token}"}) for token in ("abc", "ab", "")]
    assert [answer.status_code for answer in answers] == [200, 403, 403]
    assert client.get("/metrics").status_code == 403


def test_metrics_show_records_and_ages(site: Site) -> None:
    with site.engine.store.write() as session:
        now = clock.now()
        want(session, site.ids["main"], "orders", ["1", "2"], lane=Lane.REALTIME, now=now)
    families = {
        family.name: family
        for family in text_string_to_metric_families(site.client.get("/metrics").get_data(as_text=True))
    }
    due = [
        sample.value
        for sample in families["syncengine_records"].samples
        if sample.labels == {"connection": "main", "flow": "orders", "outcome": "due"}
    ]
    assert due == [2.0]
    assert {"syncengine_oldest_seconds", "syncengine_hooks", "syncengine_endpoint_paused"} <= set(families)


RULES = Path(__file__).parents[3] / "docs" / "prometheus-rules.yml"


def test_every_rule_names_metrics_that_there_are(site: Site) -> None:
    site.client.post("/hooks/brightpearl/main")  # so that each counter has been used
    known = set(re.findall(r"^# TYPE (\w+)", site.client.get("/metrics").get_data(as_text=True), re.MULTILINE))
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    named = {name for rule in rules for name in re.findall(r"\bsyncengine_\w+", rule["expr"])}
    assert {name for name in named if name not in known and name.removesuffix("_bucket") not in known} == set()
    assert all(rule["annotations"]["summary"] for rule in rules)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_prometheus_accepts_the_rules() -> None:
    subprocess.run(["promtool", "check", "rules", str(RULES)], check=True)
