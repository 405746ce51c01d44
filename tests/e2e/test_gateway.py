"""One real gateway at a real socket: who gets in, and why connections are closed."""

from __future__ import annotations

import asyncio
import json

import msgspec
import pytest
from websockets import Subprotocol
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode

from tests.e2e.conftest import Opened

MIB = 1024 * 1024


async def test_every_broken_rule_has_its_close_code_and_nobody_else_notices(pool_of: Opened) -> None:
    async with pool_of(1) as pool:
        bystander = await pool.talk(0, "bystander")
        large, binary, crooked = [await pool.talk() for _ in range(3)]
        await large.connection.send(json.dumps({"type": "heartbeat", "deviceId": "x" * MIB}))
        await binary.connection.send(b"\x00\x01")
        frame = Frame(Opcode.TEXT, b'{"type":"\xff"}').serialize(mask=True)
        crooked.connection.transport.write(frame)
        assert [(await each.closed())[0] for each in (large, binary, crooked)] == [1009, 1003, 1007]
        await bystander.say("heartbeat")
        assert bystander.heard[0]["type"] == "devices"
        assert len(bystander.heard) == 1


async def test_a_message_of_exactly_a_mebibyte_is_read(pool_of: Opened) -> None:
    async with pool_of(1) as pool:
        talker = await pool.talk()
        text = json.dumps({"type": "heartbeat", "deviceId": ""})
        await talker.connection.send(text.replace('""', '"' + "x" * (MIB - len(text)) + '"'))
        assert (await talker.expect("error"))["code"] == "BAD_MESSAGE"


async def test_a_message_in_many_fragments_is_one(pool_of: Opened) -> None:
    async with pool_of(1) as pool:
        talker = await pool.talk()
        await talker.connection.send(list('{"type":"observe"}'))
        await talker.expect("devices")


async def test_who_offers_the_compact_stream_gets_it_in_binary_frames(pool_of: Opened) -> None:
    async with pool_of(1) as pool:
        url = pool.gateways[0].url.replace("http", "ws") + "/ws"
        async with connect(url, subprotocols=[Subprotocol("rpn.msgpack")]) as connection:
            assert connection.subprotocol == "rpn.msgpack"
            await connection.send('{"type":"observe"}')
            frame = await connection.recv()
            assert isinstance(frame, bytes)
            assert msgspec.msgpack.decode(frame) == [{"type": "devices", "devices": []}]


async def test_the_51st_error_closes(pool_of: Opened) -> None:
    async with pool_of(1) as pool:
        talker = await pool.talk(0, "a")
        for number in range(51):
            await talker.connection.send(json.dumps({"type": "shout", "requestId": str(number)}))
        assert await talker.closed() == (1008, "too_many_errors")
        told = [message["requestId"] for message in talker.heard if message["type"] == "error"]
        assert told == [str(number) for number in range(50)]


async def test_the_silent_and_the_unregistered_are_closed(pool_of: Opened) -> None:
    async with pool_of(1, silence_limit_s=2.0, register_limit_s=0.5) as pool:
        stranger, silent, alive = await pool.talk(), await pool.talk(0, "silent"), await pool.talk(0, "alive")

        async def beat() -> None:
            while True:
                await alive.say("heartbeat")
                await asyncio.sleep(0.3)

        beating = asyncio.create_task(beat())
        assert await stranger.closed() == (1008, "unregistered")
        assert await silent.closed() == (1008, "silent")
        left = await alive.expect("device_left")
        assert left["deviceId"] == "silent"
        beating.cancel()


async def test_pages_of_other_sites_are_kept_out(pool_of: Opened) -> None:
    async with pool_of(1) as pool:
        url = f"ws://127.0.0.1:{pool.gateways[0].port}/ws"
        for origin in ("https://evil.example", "http://["):
            with pytest.raises(InvalidStatus) as caught:
                await connect(url, additional_headers={"Origin": origin})
            response = caught.value.response
            assert (response.status_code, json.loads(response.body or b"")["code"]) == (403, "ORIGIN")
        rebound = await pool.gateways[0].get("/api/devices", host="evil.example")
        assert (rebound.status_code, rebound.json()["code"]) == (400, "HOST")


async def test_our_own_page_may_connect(pool_of: Opened) -> None:
    async with pool_of(1) as pool:
        port = pool.gateways[0].port
        origin = f"http://127.0.0.1:{port}"
        async with connect(f"ws://127.0.0.1:{port}/ws", additional_headers={"Origin": origin}) as socket:
            await socket.send('{"type":"observe"}')
            assert json.loads(await socket.recv()) == {"type": "devices", "devices": []}


async def test_what_was_done_can_be_measured(pool_of: Opened) -> None:
    async with pool_of(1) as pool:
        await pool.talk(0, "a")
        text = (await pool.gateways[0].get("/metrics")).text
        assert 'rpn_gateway_connections{kind="device"} 1.0' in text
        assert 'rpn_gateway_messages_received_total{type="register"} 1.0' in text
        assert "process_cpu_seconds_total" in text
