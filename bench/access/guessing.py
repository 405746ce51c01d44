"""What a client feels of wrong tokens by the thousand: gateway, client and attacker in their own processes.

Cores are few where this runs, so the attacker also attacks another gateway: the difference is what it
does to the one that it attacks, and not what it takes from the machine.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from typing import Any, NamedTuple

import psutil
from websockets.asyncio.client import ClientConnection, connect

from bench.fanout.servers import Serving, gateways
from tests.support.guarded import ADMIN

GUESSES, AT_ONCE, ROUNDS = 10_000, 50, 2
PING_EVERY_S = 0.01
QUIET_S = 5.0
LOCKED = {"RPN_AUTH": "token", "RPN_SEED_TOKENS": ADMIN}
HEADERS = {"Authorization": f"Bearer {ADMIN}"}


class Felt(NamedTuple):
    """Of one round: pings in ms, and what the attacked gateway spent on each guess."""

    pings_ms: list[float]
    spent_us: float = 0.0
    took_s: float = 0.0


async def pings(socket: ClientConnection, until: asyncio.Event) -> list[float]:
    """How long each answer took, in ms."""
    took: list[float] = []
    while not until.is_set():
        began_s = time.perf_counter()
        await socket.send('{"type":"ping"}')
        await socket.recv()
        took.append((time.perf_counter() - began_s) * 1000)
        await asyncio.sleep(PING_EVERY_S)
    return took


async def quiet(socket: ClientConnection, serving: Serving) -> Felt:
    until = asyncio.Event()
    asyncio.get_running_loop().call_later(QUIET_S, until.set)
    return Felt(await pings(socket, until))


async def attacked(socket: ClientConnection, serving: Serving, place: int) -> Felt:
    """While the gateway at this place is shown wrong tokens."""
    until, gateway = asyncio.Event(), psutil.Process(serving.pids[place])
    before_s, feeling = cpu_s(gateway), asyncio.create_task(pings(socket, until))
    told = await guessed(serving.ports[place])
    until.set()
    pings_ms = await feeling
    assert set(told["statuses"]) <= {"401", "429"}, told
    return Felt(pings_ms, (cpu_s(gateway) - before_s) / GUESSES * 1e6, told["took_s"])


async def guessed(port: int) -> dict[str, Any]:
    words = ["-m", "bench.access.guesser", port, GUESSES, AT_ONCE]
    attacker = await asyncio.create_subprocess_exec(
        sys.executable, *map(str, words), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await attacker.communicate()
    found: dict[str, Any] = json.loads(said)
    return found


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def measure() -> None:
    found: dict[str, list[Felt]] = {"nobody guesses": [], "at another gateway": [], "at this one": []}
    with gateways(2, **LOCKED) as serving:
        url = f"ws://127.0.0.1:{serving.ports[0]}/ws"
        async with connect(url, additional_headers=HEADERS, compression=None, max_size=None) as socket:
            await socket.send('{"type":"observe"}')
            await socket.recv()
            for _ in range(ROUNDS):
                found["nobody guesses"].append(await quiet(socket, serving))
                found["at another gateway"].append(await attacked(socket, serving, 1))
                found["at this one"].append(await attacked(socket, serving, 0))
    for name, rounds in found.items():
        middle = [statistics.median(felt.pings_ms) for felt in rounds]
        worst = [statistics.quantiles(felt.pings_ms, n=100)[98] for felt in rounds]
        row = f"{name:<20} ping {statistics.median(middle):.2f} ms, 99th {statistics.median(worst):.2f} ms"
        if rounds[0].took_s:
            spent = statistics.median(felt.spent_us for felt in rounds)
            took_s = statistics.median(felt.took_s for felt in rounds)
            row += f"; {GUESSES} guesses in {took_s:.1f} s, {spent:.0f} us of the gateway each"
        print(row, flush=True)
