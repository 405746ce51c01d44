"""What an agent tells Prometheus where its owner lets it: a few numbers, for which we need no library."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from agent.proc import Process
from rpn import __version__
from rpn.model import PoolUsage

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MB = 2**20


class Standing(NamedTuple):
    """How things stand at the moment of asking."""

    connected: bool
    running: int
    """attempts, those that wait for their turn included"""
    unacknowledged: int
    """results that no gateway has confirmed"""
    ended: Mapping[str, int]
    """outcome -> attempts since the start: `ok`, or the code of the failure"""
    usage: PoolUsage
    """by the pool's tasks"""
    own: Process | None
    """this process"""


class Family(NamedTuple):
    """One metric with its samples, by label."""

    name: str
    kind: str
    text: str
    samples: Iterable[tuple[str, float]]
    """(`{label="value"}` or nothing, value)"""


def exposition(now: Standing) -> bytes:
    """The text that Prometheus scrapes."""
    return "".join(line + "\n" for family in _families(now) for line in _lines(family)).encode()


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {family.text}"
    yield f"# TYPE {family.name} {family.kind}"
    for label, value in family.samples:
        yield f"{family.name}{label} {value}"


def _families(now: Standing) -> Iterator[Family]:
    ended = [(f'{{outcome="{outcome}"}}', count) for outcome, count in sorted(now.ended.items())]
    yield Family("rpn_build_info", "gauge", "The running version.", [(f'{{version="{__version__}"}}', 1)])
    yield _gauge("connected", "1 while a gateway has our registration.", int(now.connected))
    yield _gauge("attempts_running", "Attempts that run or wait for their turn.", now.running)
    yield _gauge("results_waiting", "Results that no gateway has confirmed.", now.unacknowledged)
    yield Family("rpn_agent_attempts_ended_total", "counter", "Attempts that are over.", ended)
    yield _gauge("tasks_cpu_cores", "Processor cores that tasks of the pool use.", now.usage.cpu / 100)
    yield _gauge("tasks_memory_bytes", "Memory that tasks of the pool use.", now.usage.memory * MB)
    if now.own is not None:
        cpu = [("", now.own.cpu_s)]
        yield Family("process_cpu_seconds_total", "counter", "Processor time of the agent itself.", cpu)
        memory = [("", float(now.own.resident_bytes))]
        yield Family("process_resident_memory_bytes", "gauge", "Memory of the agent itself.", memory)


def _gauge(name: str, text: str, value: float) -> Family:
    return Family(f"rpn_agent_{name}", "gauge", text, [("", value)])
