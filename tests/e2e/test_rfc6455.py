"""RFC 6455, case by case, as the Autobahn suite tests it: our wire echoes what kosoku sends.

Two groups of cases are left out, on purpose. 12 and 13 are about permessage-deflate, which we do not
offer: it lets 15 KB become a gigabyte. And a gateway takes no message over 1 MiB or of over 1,024
frames; there the cases that go beyond run twice, against our limits and against the wire without them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from kosoku import FailureError, run_fuzzingclient

from gateway import wire
from gateway.frames import binary_frame, text_frame
from gateway.server import MESSAGE_LIMIT, listen, server_for, widened
from gateway.wire import EXTENSION, Wire
from rpn.settings import GatewaySettings

COMPRESSION = ["12.*", "13.*"]
LARGE = ["9.1.4", "9.1.5", "9.1.6", "9.2.4", "9.2.5", "9.2.6", "9.3.*", "9.4.*"]
"""beyond what a gateway takes: 4 MiB and more"""
ROUND_TRIPS = ["9.7.*", "9.8.*"]
"""a thousand messages each, to measure time"""


class Echo:
    """Sends back what it hears."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def on_text(self, data: bytes) -> None:
        self._wire.write(text_frame(data))

    def on_binary(self, data: bytes) -> None:
        self._wire.write(binary_frame(data))

    def on_writable(self) -> None:
        """Nobody waits."""


async def echo(scope: Any, receive: Any, send: Any) -> None:
    socket = scope["extensions"][EXTENSION]
    socket.receiver = Echo(socket)
    await receive()
    await send({"type": "websocket.accept"})
    await receive()


@asynccontextmanager
async def echoing(message_limit: int = MESSAGE_LIMIT) -> AsyncIterator[str]:
    """The address of a server of ours that echoes."""
    listener = listen(GatewaySettings(port=0))
    server = server_for(echo, message_limit=message_limit)
    serving = asyncio.create_task(server.serve(sockets=widened(listener)))
    try:
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


@pytest.mark.slow
async def test_every_case_passes() -> None:
    async with echoing() as url:
        left_out = [*COMPRESSION, *LARGE, *ROUND_TRIPS]
        results = await run_fuzzingclient(url, exclude_cases=left_out, concurrency=4)
    assert len(results) > 200
    assert [each.case_id for each in results if not each.passed] == []


@pytest.mark.slow
async def test_many_messages_and_large_ones_come_back_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "FRAGMENT_LIMIT", 1 << 20)
    async with echoing(message_limit=1 << 24) as url:
        results = await run_fuzzingclient(url, cases=[*LARGE, *ROUND_TRIPS], concurrency=2)
    assert len(results) > 30
    assert all(each.passed for each in results)


async def test_what_is_larger_than_we_take_is_closed_with_1009() -> None:
    async with echoing() as url:
        with pytest.raises(FailureError) as failure:
            await run_fuzzingclient(url, cases=["9.1.4", "9.2.6", "9.3.1", "9.3.8", "9.4.9"])
    results = failure.value.results
    assert len(results) == 5
    assert {each.remote_close_code for each in results} == {1009}
