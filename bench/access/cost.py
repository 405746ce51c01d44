"""What asking for a token costs: connects and messages at an open and at a guarded gateway."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect

from rpn.store.embedded import EmbeddedServer
from tests.support.amnesty import end_amnesty
from tests.support.gateways import RunningGateway, gateways
from tests.support.guarded import ADMIN

CONNECTS, MESSAGES, ROUNDS = 300, 2000, 3
GUARDED: dict[str, Any] = {"auth": "token", "seed_tokens": ADMIN}
HEADERS = {"Authorization": f"Bearer {ADMIN}"}


async def connect_ms(gateway: RunningGateway) -> list[float]:
    """From TCP to the handshake's answer."""
    took = []
    for _ in range(CONNECTS):
        began = time.perf_counter()
        socket = await connect(
            f"ws://127.0.0.1:{gateway.port}/ws", additional_headers=HEADERS, compression=None
        )
        took.append((time.perf_counter() - began) * 1000)
        await socket.close()
    return took


async def message_us(gateway: RunningGateway) -> float:
    """One ping and its answer, on average."""
    url = f"ws://127.0.0.1:{gateway.port}/ws"
    async with connect(url, additional_headers=HEADERS, compression=None) as socket:
        await socket.send('{"type":"observe"}')
        await socket.recv()
        began = time.perf_counter()
        for _ in range(MESSAGES):
            await socket.send('{"type":"ping"}')
            await socket.recv()
        return (time.perf_counter() - began) / MESSAGES * 1e6


async def measure() -> None:
    with tempfile.TemporaryDirectory() as folder, EmbeddedServer(Path(folder)) as valkey:
        for name in ("open", "guarded"):
            end_amnesty(valkey.url, name)
        async with (
            gateways(valkey.url, "open", count=1) as free,
            gateways(valkey.url, "guarded", count=1, **GUARDED) as guarded,
        ):
            found: dict[str, list[tuple[float, float]]] = {"open": [], "token": []}
            for _ in range(ROUNDS):
                for name, pool in (("open", free), ("token", guarded)):
                    gateway = pool.gateways[0]
                    median_ms = statistics.median(await connect_ms(gateway))
                    found[name].append((median_ms, await message_us(gateway)))
    for name, rows in found.items():
        connect_, message = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"{name:<6} connect {connect_:.2f} ms, ping {message:.0f} us")
