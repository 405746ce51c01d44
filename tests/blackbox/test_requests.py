"""Resource requests: one device if it can, several if it must, never more than there is."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.blackbox.conftest import Pool
from tests.blackbox.shapes import check_allocation, check_moment
from tests.support.cluster import wait_for
from tests.support.patience import PATIENCE_S
from tests.support.ws import BIG_MB, GPU, Client, Message

HALF = {"cpu": 100, "memory": BIG_MB // 2, "storage": 1000, "gpu": False}
ALL = {"cpu": 100, "memory": BIG_MB, "storage": 1000, "gpu": False}


def shares_of(allocation: Message) -> dict[str, Message]:
    return {share["deviceId"]: share for share in allocation["allocatedDevices"]}


@pytest.mark.across
def test_one_device_that_suffices_gives_everything(pool: Pool) -> None:
    asker = pool.join()
    device = pool.offer(asker)
    requirements = {"cpu": 400, "memory": 4_000_000, "storage": 10_000, "gpu": False}
    asker.request(requirements)
    answer = asker.expect("resource_allocation")
    assert answer.keys() == {"type", "allocation"}
    allocation = answer["allocation"]
    check_allocation(allocation)
    check_moment(allocation["timestamp"], within_s=PATIENCE_S)
    assert allocation["requestingDevice"] == asker.device_id
    assert allocation["requirements"] == requirements
    assert allocation["fulfilled"] is True
    assert allocation["allocatedDevices"] == [
        {
            "deviceId": device.device_id,
            "deviceName": device.device_id,
            "allocatedCpu": 400,
            "allocatedMemory": 4_000_000,
            "allocatedStorage": 10_000,
            "allocatedGpu": False,
        }
    ]


@pytest.mark.across
def test_what_no_single_device_has_is_split_and_adds_up(pool: Pool) -> None:
    asker = pool.join()
    plain = pool.offer(asker)
    with_gpu = pool.offer(asker, **GPU)
    allocation = asker.ask({"cpu": 1001, "memory": 15_000_001, "storage": 12_345_677, "gpu": True})
    check_allocation(allocation)
    shares = shares_of(allocation)
    assert shares.keys() == {plain.device_id, with_gpu.device_id}
    assert sum(share["allocatedCpu"] for share in shares.values()) == 1001
    assert sum(share["allocatedMemory"] for share in shares.values()) == 15_000_001
    assert sum(share["allocatedStorage"] for share in shares.values()) == 12_345_677
    assert [share["deviceId"] for share in shares.values() if share["allocatedGpu"]] == [with_gpu.device_id]
    for share in shares.values():
        assert 0 < share["allocatedCpu"] <= 800
        assert 0 < share["allocatedMemory"] <= BIG_MB


def test_a_split_takes_no_more_devices_than_it_needs(pool: Pool) -> None:
    asker = pool.join()
    for _ in range(4):
        pool.offer(asker)
    allocation = asker.ask({"memory": BIG_MB * 2 - 10})
    assert allocation["fulfilled"] is True
    assert len(allocation["allocatedDevices"]) == 2


def test_a_gpu_is_held_by_one_at_a_time(pool: Pool) -> None:
    asker = pool.join()
    device = pool.offer(asker, **GPU)
    need = {"memory": 1_000_000, "gpu": True}
    first, second = asker.ask(need), asker.ask(need)
    assert [share["allocatedGpu"] for share in first["allocatedDevices"]] == [True]
    assert first["allocatedDevices"][0]["deviceId"] == device.device_id
    assert second["fulfilled"] is False


@pytest.mark.across
def test_what_the_pool_does_not_have_is_not_fulfilled(pool: Pool) -> None:
    asker = pool.join()
    pool.offer(asker)
    allocation = asker.ask({"cpu": 100, "memory": BIG_MB * 50, "storage": 0, "gpu": False})
    check_allocation(allocation)
    assert (allocation["fulfilled"], allocation["allocatedDevices"]) == (False, [])


def test_a_missing_requirement_is_zero(pool: Pool) -> None:
    asker = pool.join()
    pool.offer(asker)
    allocation = asker.ask({"memory": 1_000_000})
    assert allocation["requirements"] == {"cpu": 0, "memory": 1_000_000, "storage": 0, "gpu": False}
    share = allocation["allocatedDevices"][0]
    assert (share["allocatedCpu"], share["allocatedMemory"], share["allocatedStorage"]) == (0, 1_000_000, 0)


def test_cpu_is_percent_of_a_core(pool: Pool) -> None:
    asker = pool.join()
    much = 1000 * BIG_MB  # no other device can take even a small share of it
    pool.offer(asker, cpuCores=4, cpuAvailable=50, memoryTotal=much, memoryAvailable=much)
    assert asker.ask({"memory": much, "cpu": 201})["fulfilled"] is False
    assert asker.ask({"memory": much, "cpu": 200})["fulfilled"] is True


@pytest.mark.across
def test_only_the_requester_hears_the_answer(pool: Pool) -> None:
    asker, bystander = pool.join(), pool.join()
    pool.offer(asker)
    theirs = asker.ask(HALF)
    ours = bystander.ask({"memory": 10**15})
    assert theirs["requestingDevice"] == asker.device_id
    assert [m["allocation"]["id"] for m in bystander.of_kind("resource_allocation")] == [ours["id"]]
    assert [m["allocation"]["id"] for m in asker.of_kind("resource_allocation")] == [theirs["id"]]


@pytest.mark.across
def test_many_requests_at_once_never_get_more_than_there_is(pool: Pool) -> None:
    askers = [pool.join() for _ in range(4)]
    devices = {pool.offer(askers[0]).device_id for _ in range(3)}
    fifth = {"cpu": 50, "memory": BIG_MB // 5, "storage": 10, "gpu": False}
    for _ in range(10):
        for asker in askers:
            asker.request(fifth)
    answers = [asker.expect("resource_allocation")["allocation"] for asker in askers for _ in range(10)]
    assert len({answer["id"] for answer in answers}) == 40
    fulfilled = [answer for answer in answers if answer["fulfilled"]]
    used: Counter[str] = Counter()
    for answer in fulfilled:
        assert sum(share["allocatedMemory"] for share in answer["allocatedDevices"]) == BIG_MB // 5
        for share in answer["allocatedDevices"]:
            used[share["deviceId"]] += share["allocatedMemory"]
    assert all(used[device] <= BIG_MB for device in devices), used
    assert len(fulfilled) == 15, "three devices of five fifths"


@pytest.mark.across
def test_what_a_leaver_held_is_free_again(pool: Pool) -> None:
    holder, waiter = pool.join(), pool.join()
    pool.offer(holder)
    assert holder.ask(ALL)["fulfilled"] is True
    assert waiter.ask(ALL)["fulfilled"] is False
    holder.close()
    wait_for(lambda: waiter.ask(ALL)["fulfilled"], what="the leaver's share")


def test_an_allocation_survives_its_device_reporting_less(pool: Pool) -> None:
    asker = pool.join()
    device = pool.offer(asker)
    assert asker.ask(HALF)["fulfilled"] is True
    device.update({**device.heard[-1]["resources"], "memoryAvailable": BIG_MB // 2})
    device.expect("resource_update")
    assert asker.ask(HALF)["fulfilled"] is False, "available minus reserved: the safe reading"


@pytest.mark.across
def test_a_client_that_opted_in_gives_an_allocation_back(pool: Pool) -> None:
    asker = pool.join(accepts=["acks"])
    pool.offer(asker)
    held = asker.ask(ALL)
    assert asker.ask(ALL)["fulfilled"] is False
    asker.send({"type": "resource_release", "allocationId": held["id"]})
    wait_for(lambda: asker.ask(ALL)["fulfilled"], what="the released share")


def test_nobody_gives_back_what_another_holds(pool: Pool) -> None:
    holder, thief = pool.join(accepts=["acks"]), pool.join(accepts=["acks"])
    pool.offer(holder)
    held = holder.ask(ALL)
    thief.send({"type": "resource_release", "allocationId": held["id"]})
    assert thief.ask(ALL)["fulfilled"] is False
    assert thief.ask(ALL)["fulfilled"] is False


def test_a_plain_client_holds_sixteen_and_the_next_lets_the_oldest_go(pool: Pool) -> None:
    asker = pool.join()
    pool.offer(asker)
    twentieth = {"memory": BIG_MB // 20}
    for _ in range(16):
        assert asker.ask(twentieth)["fulfilled"] is True
    more_than_is_free = {"memory": BIG_MB // 4}
    assert asker.ask(more_than_is_free)["fulfilled"] is True, "with the oldest gone a quarter is free"


def test_a_request_id_comes_back(pool: Pool) -> None:
    asker = pool.join()
    pool.offer(asker)
    asker.request({"memory": 10**15}, requestId="mine")
    assert asker.expect("resource_allocation")["requestId"] == "mine"
    asker.request({}, requestId="bad")
    assert asker.expect_error("BAD_REQUIREMENTS")["requestId"] == "bad"


@pytest.mark.parametrize(
    "requirements",
    [
        {},
        {"cpu": 0, "memory": 0, "storage": 0, "gpu": False},
        {"cpu": -1},
        {"cpu": 100, "memory": -0.5},
        {"cpu": "100"},
        {"cpu": None},
        {"cpu": True},
        {"cpu": [100]},
        {"gpu": "yes"},
        {"gpu": 1},
        {"memory": 10**300},
        [],
        "everything",
    ],
    ids=str,
)
def test_requirements_that_make_no_sense_are_refused(pool: Pool, requirements: object) -> None:
    asker = pool.join()
    asker.request(requirements)
    asker.expect_error("BAD_REQUIREMENTS")
    _still_works(asker)


def _still_works(client: Client) -> None:
    assert client.ask({"memory": 10**15})["fulfilled"] is False
    assert len(client.of_kind("resource_allocation")) == 1, "the refused request got no second answer"
