"""What Prometheus reads of an agent."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from agent.metrics import Standing, exposition
from agent.proc import Process
from rpn import __version__
from rpn.model import PoolUsage

IDLE = Standing(connected=False, running=0, unacknowledged=0, ended={}, usage=PoolUsage(), own=None)


def samples(now: Standing) -> dict[tuple[str, str], float]:
    """Every sample, by name and label, as Prometheus' own parser reads it."""
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(exposition(now).decode())
        for sample in family.samples
    }


def test_how_it_stands_is_told() -> None:
    own = Process(pid=1, parent=0, session=1, state="S", cpu_s=1.5, resident_bytes=4096)
    now = Standing(True, 3, 2, {"ok": 7, "TIMEOUT": 1}, PoolUsage(cpu=250, memory=2), own)
    found = samples(now)
    assert found["rpn_agent_connected", ""] == 1
    assert (found["rpn_agent_attempts_running", ""], found["rpn_agent_results_waiting", ""]) == (3, 2)
    assert found["rpn_agent_attempts_ended_total", "ok"] == 7
    assert found["rpn_agent_attempts_ended_total", "TIMEOUT"] == 1
    assert found["rpn_agent_tasks_cpu_cores", ""] == 2.5
    assert found["rpn_agent_tasks_memory_bytes", ""] == 2 * 2**20
    assert found["process_cpu_seconds_total", ""] == 1.5
    assert found["process_resident_memory_bytes", ""] == 4096


def test_one_that_has_done_nothing_says_so() -> None:
    found = samples(IDLE)
    assert found["rpn_build_info", __version__] == 1
    assert found["rpn_agent_connected", ""] == 0
    assert not [name for name, _ in found if "ended" in name or name.startswith("process_")]
