"""The reference of what Prometheus can read of each process."""

from __future__ import annotations

from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from agent.metrics import Standing as AgentStanding
from agent.metrics import exposition as of_agent
from docs.reference.tables import table
from gateway.metrics import Counters, Exposition, GatewayCollector
from gateway.metrics import Gauges as GatewayGauges
from rpn.model import PoolUsage, TaskState
from scheduler.counts import Counts
from scheduler.metrics import Gauges as SchedulerGauges
from scheduler.metrics import exposition as of_scheduler
from scheduler.standing import Standing
from scheduler.vitals import Vitals

OPENING = """\
# Metrics

Prometheus reads them at `/metrics`: of a gateway on its port, of a scheduler where `RPN_METRICS_PORT` is
set, of an agent where its owner sets `RPN_AGENT_METRICS_PORT`. None has a label by device or task, so their
number does not grow with the pool. Each process also tells its own memory, processor time and open files as
`process_...`. What rings when, and the board, stand under [operations](../operations.md#watch).
"""


def chapter() -> str:
    """The whole page."""
    parts = (("Gateway", _gateway()), ("Scheduler", _scheduler()), ("Agent", _agent()))
    return OPENING + "".join(f"\n## {title}\n\n{_listed(text)}" for title, text in parts)


def _listed(text: str) -> str:
    families = [each for each in text_string_to_metric_families(text) if each.name.startswith("rpn_")]
    return table(("name", "kind", "labels", "means"), map(_row, families))


def _row(family: Metric) -> tuple[str, str, str, str]:
    suffix = "_total" if family.type == "counter" else ""
    labels = sorted({label for sample in family.samples for label in sample.labels} - {"le"})
    return (
        f"`{family.name}{suffix}`",
        family.type,
        ", ".join(f"`{label}`" for label in labels),
        family.documentation,
    )


def _gateway() -> str:
    counters = Counters()
    for counted, value in (
        (counters.received, "heartbeat"),
        (counters.refused, "BAD_MESSAGE"),
    ):
        counted[value] += 1
    counters.closed[1000] += 1
    counters.requests[200] += 1
    gauges = GatewayGauges(0, 0, 0, 0, 0, store_up=True, follower_resyncs=0)
    return Exposition(GatewayCollector(counters, lambda: gauges)).text().decode()


def _scheduler() -> str:
    """With a store that tells all that one can tell."""
    told = {
        "used_memory": 1,
        "maxmemory": 1,
        "used_cpu_user": 1,
        "used_cpu_sys": 1,
        "aof_last_write_status": "ok",
    }
    store = Vitals(ping_s=0, streams={"tasks": 0}, lags_s={"tasks": 0}, info=told)
    standing = Standing(tasks=dict.fromkeys(TaskState, 0), depths={"INSUFFICIENT": 0})
    counts = Counts()
    counts.tasks_ended[TaskState.SUCCEEDED] += 1
    now = SchedulerGauges(leads=True, standing=standing, pool_devices=0, mirror_resyncs=0, store=store)
    return of_scheduler(counts, now).decode()


def _agent() -> str:
    return of_agent(AgentStanding(True, 0, 0, {"ok": 1}, PoolUsage(0, 0, 0), None)).decode()
