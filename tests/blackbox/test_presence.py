"""Who is in the pool, who hears of it, and in which order."""

from __future__ import annotations

import contextlib
import time

import pytest
from websockets.exceptions import InvalidStatus

from tests.blackbox.conftest import Pool
from tests.blackbox.shapes import check_device
from tests.support.cluster import call, wait_for
from tests.support.ws import Client, Closed, about, joins, lists_exactly, resources

BROADCASTS = ("devices", "device_joined", "device_left", "resource_update")


@pytest.mark.across
def test_a_newcomer_first_hears_who_is_there_itself_included(pool: Pool) -> None:
    earlier = pool.offer()
    newcomer = pool.connect()
    newcomer.register(deviceName="Newcomer", platform="macos")
    first = newcomer.heard[0]
    assert first.keys() == {"type", "devices"}
    listed = {device["id"]: device for device in first["devices"]}
    assert {earlier.device_id, newcomer.device_id} <= listed.keys()
    assert listed[newcomer.device_id]["name"] == "Newcomer"
    assert listed[earlier.device_id]["resources"] == resources()
    for device in first["devices"]:
        check_device(device)


@pytest.mark.across
def test_everybody_else_hears_of_an_arrival_once(pool: Pool) -> None:
    witnesses = [pool.join() for _ in range(3)]
    newcomer = pool.join()
    for witness in witnesses:
        joined = witness.expect("device_joined", joins(newcomer.device_id))
        assert joined.keys() == {"type", "device"}
        check_device(joined["device"])
    newcomer.update(resources())
    for client in (*witnesses, newcomer):
        client.expect("resource_update", about(newcomer.device_id))
        heard = [m for m in client.of_kind("device_joined") if m["device"]["id"] == newcomer.device_id]
        assert len(heard) == (client is not newcomer)


def test_nothing_of_the_time_before_its_list_reaches_a_newcomer(pool: Pool) -> None:
    busy = pool.join()
    for usage in range(1, 21):  # 0 is what a list has of a device that was not measured yet
        busy.update(resources(cpuUsage=usage))
    newcomer = pool.connect()
    newcomer.register()
    assert newcomer.heard[0]["type"] == "devices"
    seen = next(d for d in newcomer.heard[0]["devices"] if d["id"] == busy.device_id)["resources"]["cpuUsage"]
    busy.update(resources(cpuUsage=77))
    newcomer.expect("resource_update", lambda m: m["resources"]["cpuUsage"] == 77)
    later = [m for m in newcomer.of_kind("resource_update") if m["deviceId"] == busy.device_id]
    usages = [m["resources"]["cpuUsage"] for m in later]
    assert usages == sorted(usages)
    assert usages[0] > seen


@pytest.mark.across
def test_a_leave_is_told_at_once_to_all_others(pool: Pool) -> None:
    witnesses = [pool.join() for _ in range(3)]
    leaver = pool.join()
    leaver.close()
    for witness in witnesses:
        left = witness.expect("device_left", about(leaver.device_id))
        assert left.keys() == {"type", "deviceId"}
    assert pool.device(leaver.device_id, witnesses[0].base_url) is None


@pytest.mark.across
def test_after_joins_and_leaves_everybody_gets_a_fresh_list(pool: Pool) -> None:
    witness = pool.join()
    joined = [pool.join() for _ in range(5)]
    ids = [client.device_id for client in joined]
    started = time.monotonic()
    witness.expect("devices", lists_exactly(ids, among=ids))
    joined[0].close()
    witness.expect("devices", lists_exactly(ids[1:], among=ids))
    lists = len(witness.of_kind("devices")) - 1
    assert lists <= time.monotonic() - started + 2, "at most one list a second"


def test_a_burst_of_arrivals_is_one_list_or_two(pool: Pool) -> None:
    witness = pool.join()
    ids = [pool.join().device_id for _ in range(12)]
    started = time.monotonic()
    witness.expect("devices", lists_exactly(ids, among=ids))
    assert len(witness.of_kind("devices")) <= 1 + 1 + (time.monotonic() - started + 2)


@pytest.mark.across
def test_an_update_reaches_everybody_with_the_same_values_and_nothing_else(pool: Pool) -> None:
    sender, *others = [pool.join() for _ in range(4)]
    pool.together(sender, *others)
    reported = resources(cpuUsage=45.5, cpuAvailable=54.5, memoryUsage=8192, gpuUsage=30.0, hasGPU=True)
    sender.update({**reported, "password": "hunter2"}, extra="dropped")
    for client in (sender, *others):
        heard = client.expect("resource_update", about(sender.device_id))
        assert heard == {"type": "resource_update", "deviceId": sender.device_id, "resources": reported}
        types = {key: type(value) for key, value in heard["resources"].items()}
        assert types == {key: type(value) for key, value in reported.items()}


def test_updates_of_a_device_arrive_in_order_and_the_last_one_always(pool: Pool) -> None:
    witness = pool.join()
    sender = pool.join()
    for usage in range(100):
        sender.update(resources(cpuUsage=usage))
    witness.expect("resource_update", lambda m: m["resources"]["cpuUsage"] == 99)
    updates = [m for m in witness.of_kind("resource_update") if m["deviceId"] == sender.device_id]
    usages = [m["resources"]["cpuUsage"] for m in updates]
    assert usages == sorted(set(usages))


def test_an_update_replaces_the_one_before(pool: Pool) -> None:
    sender = pool.offer(hasGPU=True, gpuName="RTX", gpuUsage=5)
    short = {key: value for key, value in resources().items() if key not in ("gpuName", "gpuUsage")}
    sender.update(short)
    heard = sender.expect("resource_update", about(sender.device_id))
    assert heard["resources"] == resources(), "what an update leaves out is null, not what it was"


def test_a_heartbeat_is_heard_by_nobody(pool: Pool) -> None:
    witness = pool.join()
    sender = pool.join()
    sender.heartbeat()
    sender.update(resources())
    for client in (sender, witness):
        client.expect("resource_update", about(sender.device_id))
        ours = [m for m in client.heard if m["type"] != "devices" and sender.device_id in str(m)]
        assert [m["type"] for m in ours] == ["device_joined"] * (client is witness) + ["resource_update"]


def test_who_has_not_registered_hears_nothing(pool: Pool) -> None:
    stranger = pool.connect()
    pool.offer()
    stranger.heartbeat()
    stranger.expect_error("NOT_REGISTERED")
    assert [message["type"] for message in stranger.listen()] == ["error"]


def test_an_observer_hears_the_pool_and_is_no_device(pool: Pool) -> None:
    observer = pool.connect()
    observer.plain = False
    observer.send({"type": "observe"})
    observer.expect("devices")
    device = pool.offer()
    observer.expect("device_joined", joins(device.device_id))
    observer.expect("resource_update", about(device.device_id))
    device.close()
    observer.expect("device_left", about(device.device_id))
    assert pool.device(observer.device_id, observer.base_url) is None


def test_an_agent_that_receives_none_hears_no_broadcast(pool: Pool) -> None:
    agent = pool.connect()
    agent.register(receives="none", accepts=["acks"], answered=False)
    other = pool.join()
    wait_for(lambda: pool.device(agent.device_id, other.base_url), what="the agent's join")
    other.update(resources())
    other.expect("resource_update", about(other.device_id))
    other.close()
    allocation = agent.ask({"memory": 10**15})
    assert allocation["fulfilled"] is False
    assert not [m for m in agent.of_kind(*BROADCASTS) if m["type"] != "devices"]
    assert len(agent.of_kind("devices")) <= 1


@pytest.mark.across
def test_a_newer_connection_takes_a_device_over_unnoticed(pool: Pool) -> None:
    witness = pool.join()
    older = pool.offer(witness)
    witness.forget()
    newer = pool.join(older.device_id, deviceName="Newer")
    assert older.expect_close() == (1008, "superseded")
    newer.update(resources(cpuUsage=1))
    witness.expect("resource_update", lambda m: m["resources"]["cpuUsage"] == 1)
    told = witness.of_kind("device_joined", "device_left")
    assert len([m for m in told if older.device_id in str(m)]) == 1, "only its first arrival"
    device = pool.device(older.device_id, newer.base_url)
    assert device is not None
    assert device["name"] == "Newer"


@pytest.mark.across
def test_the_older_connection_can_change_nothing_any_more(pool: Pool) -> None:
    witness = pool.join()
    older = pool.offer(witness)
    newer = pool.connect(older.device_id)
    newer.send({"type": "register", "deviceId": older.device_id, "deviceName": "Newer", "platform": "linux"})
    _insist(older, resources(cpuUsage=13))
    newer.expect("devices")
    _insist(older, resources(cpuUsage=14))
    newer.update(resources(cpuUsage=1))
    witness.expect("resource_update", lambda m: m["resources"]["cpuUsage"] == 1)
    usages = [m["resources"]["cpuUsage"] for m in witness.of_kind("resource_update")]
    assert 14 not in usages
    assert pool.device(older.device_id, witness.base_url)


def _insist(client: Client, report: dict[str, object]) -> None:
    """Report on a connection that may be closed by now."""
    with contextlib.suppress(Closed):
        client.update(report)


def test_registering_again_changes_the_name(pool: Pool) -> None:
    client = pool.join()
    listed = client.register(deviceName="Renamed", platform="android")
    mine = next(device for device in listed if device["id"] == client.device_id)
    assert (mine["name"], mine["platform"]) == ("Renamed", "android")


@pytest.mark.across
def test_a_cut_connection_that_comes_back_in_time_was_never_away(pool: Pool) -> None:
    witness = pool.join()
    device = pool.offer(witness)
    witness.forget()
    device.cut()
    again = pool.join(device.device_id)
    again.update(resources(cpuUsage=2))
    witness.expect("resource_update", lambda m: m["resources"]["cpuUsage"] == 2)
    told = [m for m in witness.of_kind("device_joined", "device_left") if device.device_id in str(m)]
    assert len(told) == 1, "only its first arrival"


@pytest.mark.slow
def test_a_cut_connection_that_stays_away_leaves_after_its_grace(pool: Pool) -> None:
    witness = pool.join()
    device = pool.join()
    witness.forget()
    cut_at = time.monotonic()
    device.cut()
    witness.expect("device_left", about(device.device_id))
    assert time.monotonic() - cut_at > 3


def test_a_page_of_another_site_gets_no_socket(pool: Pool) -> None:
    for origin in ("http://evil.example", "null"):
        with pytest.raises(InvalidStatus) as refused:
            pool.connect(origin=origin)
        assert refused.value.response.status_code == 403
        assert refused.value.response.body is not None
        assert b'"ORIGIN"' in refused.value.response.body


def test_our_own_page_gets_a_socket(pool: Pool) -> None:
    client = Client(pool.url, origin=pool.url)
    pool.clients.append(client)
    client.register()


def test_a_name_of_128_characters_and_any_script_is_fine(pool: Pool) -> None:
    client = pool.connect("ä" * 120 + pool.join().device_id[-8:])
    client.register(deviceName="工作站 💻 " + "x" * 120)
    call(f"{client.base_url}/api/devices").json()
    assert pool.device(client.device_id, client.base_url)
