"""Whatever happens in whatever order: nothing is given twice, answered twice, or ended twice."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rpn.model import PoolUsage, Requirements, TaskState
from rpn.settings import SchedulerSettings
from rpn.store.keys import task_member
from rpn.store.records import DoneEntry, ReleaseEntry, StartedEntry
from tests.support.leadership import Leadership
from tests.support.scheduling import GOOD, FakeStore, held, resources, task

NAMES = ("a", "b", "c", "d")
HAS = {
    "a": resources(cores=4, memory=1000, gpu=True),
    "b": resources(cores=2, memory=4000),
    "c": resources(cores=8, memory=500),
    "d": resources(cores=1, memory=1000),
}
names = st.sampled_from(NAMES)
needs = st.builds(
    Requirements,
    cpu=st.sampled_from([10, 100, 350, 1200]),
    memory=st.sampled_from([0, 64, 900]),
    gpu=st.booleans(),
)


class History(RuleBasedStateMachine):
    """A pool whose devices come and go while a mirror lags and leaders change."""

    def __init__(self) -> None:
        super().__init__()
        self.store = FakeStore()
        self.store.join("a", HAS["a"])
        self.leads = Leadership(self.store, SchedulerSettings(allocation_limit=3))
        self.number = 0
        self.asked: dict[str, str] = {}

    @rule(name=names, knows=st.booleans())
    def join(self, name: str, knows: bool) -> None:
        running = [(each.task_id, each.attempt) for each in self.store.assignments(name)[-2:]]
        self.store.join(name, HAS[name], running=running if knows else [])

    @rule(name=names, reason=st.sampled_from(["closed", "cut"]))
    def leave(self, name: str, reason: str) -> None:
        if name in self.store.sessions:
            self.store.leave(name, reason)

    @rule(name=names, usage=st.none() | st.integers(0, 400))
    def report(self, name: str, usage: int | None) -> None:
        if name in self.store.sessions:
            pool_usage = None if usage is None else PoolUsage(cpu=usage, memory=usage)
            self.store.report(name, HAS[name], pool_usage)

    @rule(name=names)
    def lose(self, name: str) -> None:
        if name in self.store.sessions:
            self.store.lose(name)

    @rule(name=names, need=needs, releases=st.booleans())
    def ask(self, name: str, need: Requirements, releases: bool) -> None:
        self.number += 1
        self.asked[f"x{self.number}"] = self.store.ask(f"x{self.number}", name, need, releases=releases)

    @rule(name=names, number=st.integers(1, 9))
    def release(self, name: str, number: int) -> None:
        self.store.enter_request(ReleaseEntry(name, f"x{number}"))

    @rule(
        name=names,
        need=needs,
        retries=st.sampled_from([None, 0, 1]),
        timeout_s=st.sampled_from([None, 3.0]),
        priority=st.integers(0, 1),
    )
    def submit(
        self, name: str, need: Requirements, retries: int | None, timeout_s: float | None, priority: int
    ) -> None:
        self.number += 1
        given = task(
            f"t{self.number}",
            name,
            requirements=need,
            retries=retries,
            timeout_s=timeout_s,
            priority=priority,
        )
        self.store.submit(given)

    @rule(chance=st.randoms(use_true_random=False))
    def cancel(self, chance: object) -> None:
        if self.store.tasks:
            self.store.cancel(chance.choice(sorted(self.store.tasks)))  # type: ignore[attr-defined]

    @rule(name=names, back=st.integers(1, 3), ends=st.booleans(), success=st.booleans())
    def agent(self, name: str, back: int, ends: bool, success: bool) -> None:
        """An agent reports on something that it was assigned, current or not."""
        for each in self.store.assignments(name)[-back:][:1]:
            if ends:
                self.store.say(DoneEntry(name, each.task_id, each.attempt, success, GOOD))
            else:
                self.store.say(StartedEntry(name, each.task_id, each.attempt))

    @rule(count=st.integers(0, 3))
    def follow(self, count: int) -> None:
        self.leads.follow(count)

    @rule(part=st.sampled_from([1, 2, 100]))
    def decide(self, part: int) -> None:
        """A round that is written in parts, or as one."""
        self.leads.matchmaker.part = part
        self.leads.round(follow=False)

    @rule(ms=st.sampled_from([30, 3000, 30_000]))
    def wait(self, ms: int) -> None:
        self.store.now_ms += ms

    @rule()
    def take_over(self) -> None:
        self.leads.take_over()

    @precondition(lambda self: self.number > 0)
    @rule()
    def come_to_rest(self) -> None:
        """With the mirror up to date and time to work, everything that was asked is answered."""
        self.leads.rounds(4, after_ms=2500)
        assert not self.store.requests
        assert not self.store.entries
        answered = {answer.allocation.id for answer in self.store.answers}
        dropped = set(self.asked) - answered
        assert len(dropped) <= self.leads.counts.requests_dropped
        for key, life in self.store.lives.items():
            assert (task_member(*key) in self.store.open) == (not life.state.final)
            assert life.state.final == (key in self.store.outcomes)
            if life.state in (TaskState.ASSIGNED, TaskState.RUNNING):
                assert life.device_id in self.store.sessions

    @invariant()
    def no_device_holds_more_than_it_has(self) -> None:
        for name, sums in held(self.store).items():
            has = HAS[name]
            assert sums["cpu"] <= has.cpu_cores * 100
            assert sums["memory"] <= has.memory_total
            assert sums["gpu"] <= has.has_gpu

    @invariant()
    def nobody_is_answered_twice(self) -> None:
        fulfilled = [answer.allocation.id for answer in self.store.answers]
        assert len(fulfilled) == len(set(fulfilled))

    @invariant()
    def no_task_has_two_outcomes(self) -> None:
        assert all(len(outcomes) == 1 for outcomes in self.store.outcomes.values())

    @invariant()
    def every_deadline_belongs_to_something(self) -> None:
        tasks = {name.removeprefix("task:") for name in self.store.due if name.startswith("task:")}
        assert tasks <= self.store.open


History.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestHistory = History.TestCase
