"""The compact stream tells the same as JSON, in fewer bytes, to whoever follows it from its list on."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN

from gateway.compact import FIELDS, WHOLE, Compact
from rpn.codec import encode
from rpn.events import Identity, Report, pack_report
from rpn.messages import ResourceChanged
from rpn.model import NO_RESOURCES
from rpn.replica import Mirrored
from tests.support import make
from tests.support.clock import virtual_time
from tests.support.house import Client, House, opened, settled
from tests.support.wire import URI


def frame(device_id: str, **values: Any) -> bytes:
    """The payload of a `resource_update`."""
    resources = msgspec.structs.replace(NO_RESOURCES, **values)
    return encode(ResourceChanged(device_id=device_id, resources=resources))


def mirrored(device_id: str, **values: Any) -> Mirrored:
    device = Mirrored(device_id, Identity("name", "linux", "10.0.0.1"), "s", "g")
    device.report(pack_report(Report(frame(device_id, **values))))
    return device


class Watcher:
    """A client that follows the stream, as docs/protocol.md says."""

    def __init__(self) -> None:
        self.devices: dict[int, dict[str, Any]] = {}
        self.seen: list[tuple[str, dict[str, Any]]] = []
        """each update: the device, and its resources after it"""

    def hear(self, data: bytes) -> None:
        """Binary frames, as they come from a socket."""
        client = ClientProtocol(URI, state=OPEN, max_size=None)
        client.receive_data(data)
        assert client.parser_exc is None, client.parser_exc
        for event in client.events_received():
            if isinstance(event, Frame) and event.opcode is Opcode.BINARY:
                for item in msgspec.msgpack.decode(bytes(event.data)):
                    self._take(item)

    def _take(self, item: Any) -> None:
        if isinstance(item, list):
            number, mask, *values = item
            device = self.devices[number]
            changed = [name for bit, name in enumerate(FIELDS) if mask >> bit & 1]
            device["resources"] |= dict(zip(changed, values, strict=True))
            self.seen.append((device["id"], dict(device["resources"])))
        elif item["type"] == "devices":
            self.devices = {device["number"]: device for device in item["devices"]}
        elif item["type"] == "device_joined":
            self.devices[item["device"]["number"]] = item["device"]
        elif item["type"] == "device_left":
            self.devices = {n: each for n, each in self.devices.items() if each["id"] != item["deviceId"]}


def test_a_first_update_is_whole_and_the_next_tells_what_changed() -> None:
    voice = Compact()
    assert voice.updated("a", frame("a", cpu_usage=1)) == [0, WHOLE, 1, *[0] * 8, False, None, None]
    assert voice.updated("a", frame("a", cpu_usage=2, gpu_name="x")) == [0, 0b10000000001, 2, "x"]
    assert voice.updated("b", frame("b"))[0] == 1


def test_an_update_that_changes_nothing_is_told_all_the_same() -> None:
    voice = Compact()
    voice.updated("a", frame("a"))
    assert voice.updated("a", frame("a")) == [0, 0]


@pytest.mark.parametrize(("before", "after"), [(1, 1.0), (1.0, 1)])
def test_a_number_of_another_kind_has_changed(before: float, after: float) -> None:
    voice = Compact()
    voice.updated("a", frame("a", cpu_usage=before))
    number, mask, value = voice.updated("a", frame("a", cpu_usage=after))
    assert (number, mask, type(value)) == (0, 1, type(after))


def test_a_device_that_comes_back_has_a_new_number() -> None:
    voice = Compact()
    voice.joined(mirrored("a"))
    voice.left("a")
    assert voice.joined(mirrored("a"))["device"]["number"] == 1
    assert voice.updated("a", frame("a", cpu_usage=5)) == [1, 1, 5]


def test_the_latest_of_a_device_is_whole() -> None:
    voice = Compact()
    assert voice.latest(mirrored("a", cpu_usage=3))[:3] == [0, WHOLE, 3]


def test_nothing_said_is_no_frame() -> None:
    assert Compact().frames([]) == b""


async def watching(house: House) -> Client:
    """An observer of the compact stream."""
    client = await house.connect(subprotocols=["rpn.msgpack"])
    client.say_raw(b'{"type":"observe"}')
    await settled()
    return client


@virtual_time
async def test_a_watcher_sees_what_a_plain_client_sees() -> None:
    async with opened() as house:
        a = await house.device("a")
        client = await watching(house)
        watcher = Watcher()
        for cpu_usage in (1, 2, 2, 3.5):
            a.say(make.update("a", cpu_usage=cpu_usage))
        await settled()
        b = await house.device("b")
        b.say(make.update("b", cpu_usage=7))
        await settled()
        await a.hang_up()
        await settled()
        watcher.hear(b"".join(client.wire.written))
        plain = [m for m in b.wire.messages if m["type"] == "resource_update"]
        assert [resources["cpuUsage"] for device, resources in watcher.seen if device == "a"] == [
            1,
            2,
            2,
            3.5,
        ]
        assert [each for each in watcher.seen if each[0] == "b"] == [("b", m["resources"]) for m in plain]
        assert [device["id"] for device in watcher.devices.values()] == ["b"]


@virtual_time
async def test_who_comes_later_follows_the_same_stream() -> None:
    async with opened() as house:
        a = await house.device("a")
        await watching(house)
        a.say(make.update("a", cpu_usage=1))
        await settled()
        late, watcher = await watching(house), Watcher()
        a.say(make.update("a", cpu_usage=2))
        await settled()
        watcher.hear(b"".join(late.wire.written))
        assert [resources["cpuUsage"] for _, resources in watcher.seen] == [2]
        assert watcher.devices[0]["resources"] == watcher.seen[-1][1]


@virtual_time
async def test_one_who_lagged_learns_the_latest() -> None:
    async with opened() as house:
        a = await house.device("a")
        client, watcher = await watching(house), Watcher()
        a.say(make.update("a", cpu_usage=1))
        await settled()
        client.peer.lagging, client.peer.progress_s = True, asyncio.get_running_loop().time()
        for cpu_usage in (2, 3):
            a.say(make.update("a", cpu_usage=cpu_usage))
            await settled()
        house.hub.catch_up(client.peer)
        a.say(make.update("a", cpu_usage=4))
        await settled()
        watcher.hear(b"".join(client.wire.written))
        assert [resources["cpuUsage"] for _, resources in watcher.seen] == [1, 3, 4]


@virtual_time
async def test_what_is_addressed_to_it_stays_json() -> None:
    async with opened() as house:
        client = await house.connect(subprotocols=["rpn.msgpack"])
        client.say_raw(b'{"type":"heartbeat","deviceId":"a"}')
        assert [m["code"] for m in client.wire.messages] == ["NOT_REGISTERED"]


@virtual_time
async def test_nobody_encodes_it_when_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened() as house:
        a = await house.device("a")
        client = await watching(house)
        await client.hang_up()
        monkeypatch.setattr(Compact, "updated", lambda *_: pytest.fail("it did"))
        a.say(make.update("a", cpu_usage=1))
        await settled()
        assert "resource_update a" in a.wire.heard
