"""Measure the fan-out, on loopback: `python -m bench.fanout`; `--quick` is shorter and rougher."""

from __future__ import annotations

import argparse
import contextlib
import functools
import resource
import sys
from pathlib import Path

from bench.fanout import scenarios
from bench.fanout.load import BUILT
from bench.fanout.reports import SCENARIOS, report
from bench.fanout.scenarios import Sizes
from bench.fanout.servers import (
    Server,
    gateways,
    naive_starlette,
    node_modules,
    node_ws,
    unavailable,
    websockets_broadcast,
)
from bench.fanout.table import REFERENCE, Row, table

SOURCES = [Path(__file__).parent / name for name in ("load.c", "meter.h")]
FIRST_PER_S = {"gateway": 800_000.0, REFERENCE: 60_000.0, "naive starlette": 25_000.0, "Node ws": 60_000.0}
"""deliveries a second to try first"""
GIVEN = [
    (REFERENCE, 1000, 30e3),
    ("1 gateway", 1000, 3e6),
    ("2 gateways", 1000, 2.6e6),
    ("1 gateway", 200, 2.6e6),
]
"""server, connections, deliveries a second: what one must be able to carry, beside the reference"""
MEASURED = ("given", "fanout", *SCENARIOS)


def main() -> int:
    given = _options().parse_args()
    if not BUILT.exists() or any(source.stat().st_mtime > BUILT.stat().st_mtime for source in SOURCES):
        print("the load generator is not built, or older than its source: make build/load", file=sys.stderr)
        return 2
    _raise_file_limit()
    sizes = scenarios.QUICK if given.quick else Sizes()
    connections = given.connections or ([200] if given.quick else [200, 1000])
    for name in given.only:
        if name == "given":
            _given(sizes, given.runs)
        elif name == "fanout":
            _fanout(connections, given.gateways, sizes, given.runs)
        else:
            print(f"- {report(name, sizes, given.runs)}", flush=True)
    return 0


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true", help="smaller and shorter; the numbers are rougher")
    options.add_argument("--runs", type=int, default=1, help="of each figure, the median of so many is told")
    options.add_argument("--connections", type=_counts, help="default 200,1000")
    options.add_argument("--gateways", type=_counts, default=[1, 2], help="default 1,2")
    options.add_argument("--only", type=_scenarios, default=MEASURED, help=f"of {','.join(MEASURED)}")
    return options


def _counts(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _scenarios(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - set(MEASURED):
        raise argparse.ArgumentTypeError(f"what is {', '.join(sorted(unknown))}?")
    return names


def _raise_file_limit() -> None:
    """Each connection is a file here and one in its server, which inherits the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _fanout(connections: list[int], gateway_counts: list[int], sizes: Sizes, runs: int) -> None:
    measured: list[list[Row]] = []
    with contextlib.ExitStack() as held:
        modules = held.enter_context(node_modules())
        for _ in range(runs):
            measured.append([])
            for count in connections:
                measured[-1] += _one_size(count, gateway_counts, modules, sizes)
    print(f"\n{table(measured)}\n", flush=True)


def _given(sizes: Sizes, runs: int) -> None:
    servers: dict[str, Server] = {
        REFERENCE: websockets_broadcast,
        "1 gateway": functools.partial(gateways, 1),
        "2 gateways": functools.partial(gateways, 2),
    }
    measured: list[list[Row]] = []
    for _ in range(runs):
        measured.append([])
        for name, count, per_s in GIVEN:
            found = scenarios.given(servers[name], count, per_s, sizes)
            measured[-1].append(Row(name, count, found))
            print(f"{name}, {count}, {per_s:,.0f} a second: {found}", file=sys.stderr, flush=True)
    print(f"\n{table(measured)}\n", flush=True)


def _one_size(count: int, gateway_counts: list[int], modules: Path | str, sizes: Sizes) -> list[Row]:
    servers: list[tuple[str, str, Server | str]] = [
        (REFERENCE, REFERENCE, unavailable("websockets") or websockets_broadcast),
        ("naive starlette", "naive starlette", unavailable("starlette", "uvicorn") or naive_starlette),
        ("Node ws", "Node ws", modules if isinstance(modules, str) else functools.partial(node_ws, modules)),
    ]
    for gateway_count in gateway_counts:
        name = f"{gateway_count} gateway{'s' * (gateway_count > 1)} with Valkey"
        servers += [(name, "gateway", functools.partial(gateways, gateway_count))]
    rows = []
    for name, kind, server in servers:
        if isinstance(server, str):
            rows.append(Row(name, count, None, note=server))
            continue
        step = scenarios.fanout(server, count, FIRST_PER_S[kind], sizes)
        rows.append(Row(name, count, step))
        print(f"{name}, {count}: {step}", file=sys.stderr, flush=True)
    return rows


if __name__ == "__main__":
    sys.exit(main())
