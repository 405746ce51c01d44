"""Measure the fan-out, on loopback: `python -m bench.fanout`; `--quick` is shorter and rougher."""

from __future__ import annotations

import argparse
import contextlib
import functools
import resource
import sys
from collections.abc import Callable
from pathlib import Path

from bench.fanout import scenarios
from bench.fanout.load import BUILT
from bench.fanout.scenarios import Sizes
from bench.fanout.servers import (
    Server,
    gateways,
    naive_starlette,
    node_modules,
    node_ws,
    websockets_broadcast,
)
from bench.fanout.table import REFERENCE, Row, table

SOURCES = [Path(__file__).parent / name for name in ("load.c", "meter.h")]
FIRST_PER_S = {"gateway": 800_000.0, REFERENCE: 60_000.0, "naive starlette": 25_000.0, "Node ws": 60_000.0}
"""deliveries a second to try first"""
SCENARIOS = ("fanout", "light", "cadence", "idle", "herd", "stopped")


def main() -> int:
    given = _options().parse_args()
    if not BUILT.exists() or any(source.stat().st_mtime > BUILT.stat().st_mtime for source in SOURCES):
        print("the load generator is not built, or older than its source: make build/load", file=sys.stderr)
        return 2
    _raise_file_limit()
    sizes = scenarios.QUICK if given.quick else Sizes()
    connections = given.connections or ([200] if given.quick else [200, 1000])
    for name in given.only:
        if name == "fanout":
            _fanout(connections, given.gateways, sizes)
        else:
            print(f"- {_REPORTS[name](sizes)}", flush=True)
    return 0


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true", help="smaller and shorter; the numbers are rougher")
    options.add_argument("--connections", type=_counts, help="default 200,1000")
    options.add_argument("--gateways", type=_counts, default=[1, 2], help="default 1,2")
    options.add_argument("--only", type=_scenarios, default=SCENARIOS, help=f"of {','.join(SCENARIOS)}")
    return options


def _counts(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _scenarios(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - set(SCENARIOS):
        raise argparse.ArgumentTypeError(f"what is {', '.join(sorted(unknown))}?")
    return names


def _raise_file_limit() -> None:
    """Each connection is a file here and one in its server, which inherits the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _fanout(connections: list[int], gateway_counts: list[int], sizes: Sizes) -> None:
    rows: list[Row] = []
    with contextlib.ExitStack() as held:
        modules = held.enter_context(node_modules())
        for count in connections:
            rows += _one_size(count, gateway_counts, modules, sizes)
    print(f"\n{table(rows)}\n", flush=True)


def _one_size(count: int, gateway_counts: list[int], modules: Path | str, sizes: Sizes) -> list[Row]:
    servers: list[tuple[str, str, Server]] = [(REFERENCE, REFERENCE, websockets_broadcast)]
    servers += [("naive starlette", "naive starlette", naive_starlette)]
    if isinstance(modules, Path):
        servers += [("Node ws", "Node ws", functools.partial(node_ws, modules))]
    for gateway_count in gateway_counts:
        name = f"{gateway_count} gateway{'s' * (gateway_count > 1)} with Valkey"
        servers += [(name, "gateway", functools.partial(gateways, gateway_count))]
    rows = []
    for name, kind, server in servers:
        step = scenarios.fanout(server, count, FIRST_PER_S[kind], sizes)
        rows.append(Row(name, count, step))
        print(f"{name}, {count}: {step}", file=sys.stderr, flush=True)
    if isinstance(modules, str):
        rows.append(Row("Node ws", count, None, note=f"skipped: {modules}"))
    return rows


def _light(sizes: Sizes) -> str:
    return _at_cadence(100, sizes)


def _cadence(sizes: Sizes) -> str:
    return _at_cadence(sizes.cadence, sizes)


def _at_cadence(devices: int, sizes: Sizes) -> str:
    step = scenarios.light(devices, 2 * sizes.seconds)
    return (
        f"{devices:,} devices, one update each in 2 s: p50 {step.p50_ms:.1f} ms, p99 {step.p99_ms:.1f} ms, "
        f"{step.missing} of {step.expected:,} missing, {100 * step.cpu_s / step.seconds:.0f} % of a core; "
        f"the load generator itself was up to {step.late_ms:.0f} ms late"
    )


def _idle(sizes: Sizes) -> str:
    found = scenarios.idle(sizes.idle, 10)
    return (
        f"{found.connections:,} idle connections (`receives: none`, a heartbeat each 5 s): "
        f"{found.kib_each:.1f} KiB a connection, {found.core_percent:.1f} % of a core"
    )


def _herd(sizes: Sizes) -> str:
    found = scenarios.herd(sizes.herd)
    return (
        f"{found.connections:,} cut at once: {found.back:,} back with their list in {found.seconds:.2f} s, "
        f"HTTP answered within {found.http_ms:.0f} ms"
    )


def _stopped(sizes: Sizes) -> str:
    found = scenarios.one_stopped(200, 2 * sizes.seconds)
    return (
        f"one stopped reader among 200 ({scenarios.BUSY_PER_S} updates a second each): the others' p99 "
        f"{found.before.p99_ms:.1f} ms before, {found.after.p99_ms:.1f} ms with it, {found.after.missing} "
        f"missing; the gateway grew by {found.grown_kib:,} KiB and gave it up after {found.closed_s:.1f} s"
    )


_REPORTS: dict[str, Callable[[Sizes], str]] = {
    "light": _light,
    "cadence": _cadence,
    "idle": _idle,
    "herd": _herd,
    "stopped": _stopped,
}

if __name__ == "__main__":
    sys.exit(main())
