"""The store stands still or is away: connected devices stay in the pool, which says that it is stale."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.chaos.crowd import crowd
from tests.chaos.probe import wait_works
from tests.support.cluster import Cluster, call, device_ids, running, wait_for
from tests.support.parts import Parts, running_parts
from tests.support.ws import Client, Message

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]

SILENCE_LIMIT_S = 10
FROZEN_S = SILENCE_LIMIT_S + 4
LONGER_THAN_AMNESTY_S = 12


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with running(tmp_path / "data", gateways=3, RPN_SILENCE_LIMIT_S=SILENCE_LIMIT_S) as cluster:
        yield cluster


def stale(url: str) -> bool:
    answer = call(f"{url}/api/devices")
    assert answer.status == 200
    return answer.headers.get("x-rpn-stale") == "1"


def test_nobody_who_stayed_is_reported_left_when_the_store_stood_still(cluster: Cluster) -> None:
    store = cluster.of_role("store")[0]
    with crowd(cluster.urls) as people:
        people.submit_for(1)
        agents = device_ids(cluster.urls[0]) - {member.device_id for member in people.all}
        store.send_signal(signal.SIGSTOP)
        frozen_at = time.monotonic()
        try:
            wait_for(lambda: all(map(stale, cluster.urls)), what="stale answers")
            people.submit_for(1)
            while time.monotonic() - frozen_at < FROZEN_S:
                time.sleep(0.5)
        finally:
            store.send_signal(signal.SIGCONT)
        took_s = wait_works(cluster.urls)
        print(f"after {FROZEN_S} s without the store everything worked again within {took_s:.1f} s")
        people.submitter.wait_all_done()
        time.sleep(LONGER_THAN_AMNESTY_S)
        people.check_nobody_was_reported_left()
        people.submitter.check_one_outcome_each()
        people.check_sockets_stayed()
        told = {m["deviceId"] for m in people.worker.heard if m["type"] == "device_left"}
        assert not told & agents, "the agent stayed too"
        assert cluster.of_role("store")[0].pid == store.pid


def test_requests_while_the_store_is_away_are_refused_or_answered_later(tmp_path: Path) -> None:
    with running_parts(tmp_path) as parts:
        client = Client(parts.urls[0])
        client.register()
        parts.store.kill()
        wait_for(lambda: stale(parts.urls[0]), what="a stale answer")
        asked = [f"request-{i}" for i in range(5)]
        client.request({"cpu": 1}, requestId=asked[0])  # under way when the outage is noticed
        client.listen(1)
        for request_id in asked[1:]:
            client.request({"cpu": 1}, requestId=request_id)
            client.expect("error", partial(_about, request_id))
        refused = {error["requestId"] for error in client.of_kind("error")}
        assert {error["code"] for error in client.of_kind("error")} == {"STORE_UNAVAILABLE"}
        assert client.device_id in device_ids(parts.urls[0]), "what was known is still shown"
        parts.store.start()
        wait_works(parts.urls)
        answered = {message["requestId"] for message in client.of_kind("resource_allocation")}
        assert refused | answered == set(asked)
        assert not refused & answered, "refused means certainly not done"
        client.close()


def _about(request_id: str, error: Message) -> bool:
    return bool(error["requestId"] == request_id)


def test_the_store_may_be_away_for_a_while(tmp_path: Path) -> None:
    with running_parts(tmp_path) as parts, crowd(parts.urls) as people:
        people.submit_for(1)
        parts.store.kill()
        people.submit_for(5)
        parts.store.start()
        _heals(parts)
        people.submitter.wait_all_done()
        time.sleep(LONGER_THAN_AMNESTY_S)
        people.submitter.check_one_outcome_each()
        people.check_nobody_was_reported_left()
        people.check_sockets_stayed()


def _heals(parts: Parts) -> None:
    took_s = wait_works(parts.urls)
    print(f"everything worked again {took_s:.1f} s after the store came back")
