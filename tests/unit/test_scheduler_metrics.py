"""What Prometheus reads of a scheduler."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from rpn.model import TaskState
from scheduler.counts import Counts
from scheduler.metrics import Gauges, exposition
from scheduler.standing import Standing
from scheduler.vitals import Vitals
from tests.support.leadership import small_pool
from tests.support.scheduling import FakeStore, task

AWAY = Gauges(leads=False, standing=Standing(), pool_devices=0, mirror_resyncs=0, store=None)
INFO = {
    "used_memory": 2_000_000,
    "maxmemory": 8_000_000,
    "used_cpu_user": 1.5,
    "used_cpu_sys": 0.5,
    "aof_last_write_status": "err",
}


def samples(counts: Counts, now: Gauges) -> dict[tuple[str, str], float]:
    """Every sample of ours, by name and label."""
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(exposition(counts, now).decode())
        for sample in family.samples
    }


def test_what_was_counted_is_told() -> None:
    counts = Counts(takeovers=1, commits=4, commit_s=0.5, decisions=9, requests_refused=2, entries_dropped=3)
    counts.tasks_ended[TaskState.FAILED] += 7
    found = samples(counts, AWAY)
    assert found["rpn_scheduler_takeovers_total", ""] == 1
    assert found["rpn_scheduler_commit_seconds_total", ""] == 0.5
    assert found["rpn_scheduler_decisions_total", ""] == 9
    assert found["rpn_scheduler_requests_total", "refused"] == 2
    assert found["rpn_scheduler_entries_dropped_total", ""] == 3
    assert found["rpn_scheduler_tasks_ended_total", TaskState.FAILED.value] == 7


def test_how_things_stand_is_told() -> None:
    standing = Standing(queued=3, allocations=2, tasks={TaskState.QUEUED: 3, TaskState.RUNNING: 1})
    store = Vitals(ping_s=0.25, streams={"tasks": 5}, info=INFO)
    now = AWAY._replace(leads=True, standing=standing, store=store)
    found = samples(Counts(), now)
    assert (found["rpn_scheduler_leader", ""], found["rpn_scheduler_store_up", ""]) == (1, 1)
    assert found["rpn_scheduler_queue_length", ""] == 3
    assert found["rpn_scheduler_open_tasks", TaskState.RUNNING.value] == 1
    assert found["rpn_scheduler_allocations_held", ""] == 2
    assert found["rpn_scheduler_stream_length", "tasks"] == 5
    assert found["rpn_scheduler_store_ping_seconds", ""] == 0.25


def test_the_store_tells_how_it_is() -> None:
    found = samples(Counts(), AWAY._replace(store=Vitals(ping_s=0.001, streams={}, info=INFO)))
    assert found["rpn_scheduler_store_memory_bytes", ""] == 2_000_000
    assert found["rpn_scheduler_store_memory_limit_bytes", ""] == 8_000_000
    assert found["rpn_scheduler_store_cpu_seconds_total", ""] == 2
    assert found["rpn_scheduler_store_log_ok", ""] == 0


def test_what_the_store_does_not_tell_is_left_out() -> None:
    found = samples(Counts(), AWAY._replace(store=Vitals(ping_s=0.001, streams={}, info={})))
    assert found["rpn_scheduler_store_up", ""] == 1
    assert not [name for name, _ in found if "_store_" in name and name.endswith(("bytes", "cpu", "_ok"))]


def test_a_store_that_is_away_has_no_numbers() -> None:
    found = samples(Counts(), AWAY)
    assert found["rpn_scheduler_store_up", ""] == 0
    assert not [name for name, _ in found if "ping" in name or "stream" in name]


def test_durable_writes_are_told_in_classes() -> None:
    counts = Counts(refused=1)
    for took_s in (0.0004, 0.001, 0.03, 7.0):
        counts.store_writes.took(took_s)
    found = samples(counts, AWAY)
    name = "rpn_scheduler_store_write_seconds"
    assert [found[f"{name}_bucket", up_to] for up_to in ("0.0005", "0.001", "0.05", "2.5", "+Inf")] == [
        *(1, 2, 3, 3, 4)
    ]
    assert found[f"{name}_count", ""] == 4
    assert found[f"{name}_sum", ""] == pytest.approx(7.0314)
    assert found["rpn_scheduler_commits_refused_total", ""] == 1


def test_a_matchmaker_knows_how_it_stands() -> None:
    store = FakeStore()
    leadership = small_pool(store)
    for number in range(20):
        store.submit(task(f"t{number}"))
    leadership.rounds()
    standing = leadership.matchmaker.standing()
    assert standing.tasks[TaskState.ASSIGNED] == 12  # four cores and eight
    assert standing.tasks[TaskState.QUEUED] == standing.queued == 8
