"""A scheduler or a gateway that is gone, or only stands still, is replaced by those that are there."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest

from tests.chaos.crowd import crowd
from tests.chaos.probe import wait_works
from tests.support.cluster import wait_for
from tests.support.parts import Parts, running_parts
from tests.support.ws import BIG_MB, Client, fresh_id, resources

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]

STILL_S = 2.0
"""in which a second word about the same would come"""


@pytest.mark.parametrize("which", [0, 1], ids=["first", "second"])
def test_a_standby_takes_over_from_a_killed_scheduler(tmp_path: Path, which: int) -> None:
    with running_parts(tmp_path, schedulers=2) as parts, crowd(parts.urls) as people:
        people.submit_for(1)
        parts.schedulers[which].kill()
        took_s = _time_to_allocate(parts)
        print(f"allocated again {took_s:.2f} s after kill -9 of a scheduler")
        people.submit_for(2)
        people.submitter.wait_all_done()
        people.submitter.check_one_outcome_each()


def _time_to_allocate(parts: Parts) -> float:
    started = time.monotonic()
    client = Client(parts.urls[0])
    client.register()
    client.ask({"memory": 10**15})
    client.close()
    return time.monotonic() - started


def test_a_leader_that_stood_still_does_no_harm_when_it_goes_on(tmp_path: Path) -> None:
    with running_parts(tmp_path, schedulers=2) as parts, crowd(parts.urls) as people:
        for scheduler in parts.schedulers * 2:
            scheduler.freeze()
            try:
                people.submit_for(4)
            finally:
                scheduler.thaw()
            people.submit_for(1)
        people.submitter.wait_all_done()
        people.submitter.check_one_outcome_each()
        people.check_nobody_was_reported_left()
        wait_works(parts.urls)


def test_requests_are_never_oversold_across_takeovers(tmp_path: Path) -> None:
    with running_parts(tmp_path, schedulers=2) as parts:
        device = Client(parts.urls[0], device_id=fresh_id("device"))
        askers = [Client(url) for url in parts.urls for _ in range(2)]
        for client in (device, *askers):
            client.register()
        device.update(resources())
        for asker in askers:
            asker.expect("resource_update")
        for i in range(12):
            for asker in askers:
                asker.request({"memory": BIG_MB // 10})
            if i in (3, 7):
                parts.schedulers[i // 4].kill()
                parts.schedulers[i // 4].start()
        answers = [asker.expect("resource_allocation")["allocation"] for asker in askers for _ in range(12)]
        used: Counter[str] = Counter()
        for answer in answers:
            for share in answer["allocatedDevices"]:
                used[share["deviceId"]] += share["allocatedMemory"]
        assert used[device.device_id] == BIG_MB, "ten tenths, not more and not fewer"
        for client in (device, *askers):
            client.close()


def test_devices_of_a_dead_gateway_are_reported_left_once(tmp_path: Path) -> None:
    with running_parts(tmp_path) as parts:
        witness = Client(parts.urls[0])
        witness.register()
        lost = [Client(parts.urls[1]) for _ in range(20)]
        for client in lost:
            client.register()
        ids = {client.device_id for client in lost}

        def left() -> list[str]:
            _stay(witness, 0.5)
            return [m["deviceId"] for m in witness.of_kind("device_left") if m["deviceId"] in ids]

        parts.gateways[1].kill()
        wait_for(lambda: ids <= set(left()), what="everybody left")
        _stay(witness, STILL_S)
        assert Counter(left()) == Counter(dict.fromkeys(ids, 1))
        witness.close()
        parts.gateways[1].start()
        wait_works(parts.urls)


def _stay(client: Client, for_s: float) -> None:
    """Heartbeat for so long."""
    until = time.monotonic() + for_s
    while time.monotonic() < until:
        client.heartbeat()
        client.listen(0.5)
