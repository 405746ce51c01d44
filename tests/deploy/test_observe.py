"""What Prometheus sees of the cluster: every process, and data for every panel of the board."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.deploy.conftest import Started
from tests.deploy.engine import HOUSE
from tests.support.cluster import call, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

BOARD = json.loads((HOUSE / "deploy/grafana/boards/pool.json").read_text())
QUERIES = [
    pytest.param(target["expr"], id=panel["title"])
    for panel in BOARD["panels"]
    for target in panel.get("targets", [])
]


def asked(cluster: Started, path: str) -> Any:
    return call(f"{cluster.published('prometheus', 9090)}/api/v1/{path}").json()["data"]


@pytest.mark.parametrize("service", ["gateway", "scheduler", "lb"])
def test_every_process_is_a_target_that_is_up(cluster: Started, service: str) -> None:
    def all_up() -> bool:
        targets = asked(cluster, "targets?state=active")["activeTargets"]
        health = [one["health"] for one in targets if one["labels"]["job"] == f"rpn-{service}"]
        return health == ["up"] * len(cluster.containers(service))

    wait_for(all_up, within_s=30, what=f"every {service} is up", every_s=1)


@pytest.mark.parametrize("query", QUERIES)
def test_every_panel_has_data(cluster: Started, query: str) -> None:
    query = query.replace("$__rate_interval", "1m")
    wait_for(
        lambda: asked(cluster, f"query?query={quote(query)}")["result"],
        within_s=60,
        what=f"data for {query}",
        every_s=1,
    )


def test_the_alert_rules_are_loaded_and_can_be_evaluated(cluster: Started) -> None:
    (group,) = asked(cluster, "rules")["groups"]
    assert [rule["name"] for rule in group["rules"] if rule["health"] == "err"] == []
