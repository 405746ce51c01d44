"""`RPN_AUTH=token docker compose up`: nobody gets in without a token, and the cluster's own have theirs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.deploy.engine import Compose, engine_runs
from tests.support.cluster import call, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

OBSERVE = ("--profile", "observe")
ANSWER_LIMIT_S = 10


class Locked(Compose):
    @property
    def url(self) -> str:
        return self.published("lb", 3000)

    def ask(self, path: str, token: str = "") -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.get(self.url + path, headers=headers, timeout=ANSWER_LIMIT_S)

    def admin(self) -> str:
        return self("exec", "-T", "gateway", "cat", "/run/rpn/admin.token").strip()


@pytest.fixture(scope="module")
def locked(clone: Path) -> Iterator[Locked]:
    if not engine_runs():
        pytest.skip("no Docker engine with Compose v2 answers here")
    compose = Locked(clone, project="rpn-locked", net="10.86.0", RPN_AUTH="token")
    try:
        compose(*OBSERVE, "up", "--detach", "--build", "--wait")
        yield compose
    finally:
        compose(*OBSERVE, "down", "--volumes", "--timeout", "5")


def test_without_a_token_nothing_is_seen(locked: Locked) -> None:
    answer = locked.ask("/api/devices")
    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")
    assert locked.ask("/ui/").status_code == 200


def test_the_clusters_agent_joined_with_a_key_of_its_own(locked: Locked) -> None:
    def devices() -> list[str]:
        return [each["id"] for each in locked.ask("/api/devices", locked.admin()).json()["devices"]]

    wait_for(devices, within_s=30, what="the agent in the pool")
    tokens = locked.ask("/api/tokens", locked.admin()).json()["tokens"]
    joined = {each["deviceId"]: each["provesKey"] for each in tokens if each["kind"] == "device"}
    assert [joined[device_id] for device_id in devices()] == [True]


def test_a_machine_more_comes_in_by_what_the_documents_say(locked: Locked) -> None:
    words = ("rpn", "token", "create", "join", "--token-file", "/run/rpn/admin.token")
    assert locked("exec", "-T", "gateway", *words).startswith("rpn_join_")


def test_prometheus_sees_every_gateway(locked: Locked) -> None:
    def all_up() -> bool:
        asked = call(f"{locked.published('prometheus', 9090)}/api/v1/targets?state=active")
        targets = json.loads(asked.body)["data"]["activeTargets"]
        health = [one["health"] for one in targets if one["labels"]["job"] == "rpn-gateway"]
        return health == ["up", "up"]

    wait_for(all_up, within_s=30, what="both gateways are up", every_s=1)


def test_a_pool_that_asks_for_nothing_is_not_published_elsewhere(locked: Locked, clone: Path) -> None:
    careless = Compose(clone, project="rpn-careless", net="10.87.0", RPN_PUBLISH="0.0.0.0:0")
    try:
        words = ["docker", "compose", "up", "--no-build", "init"]
        done = subprocess.run(
            words, cwd=clone, env=careless.environment, capture_output=True, text=True, check=False
        )
        assert "RPN_AUTH=token, or RPN_INSECURE_OPEN=yes" in done.stdout + done.stderr
        state = json.loads(careless("ps", "--all", "--format", "json", "init").splitlines()[0])
        assert state["ExitCode"] == 1
    finally:
        careless("down", "--volumes", "--timeout", "5")
