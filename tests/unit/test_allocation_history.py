"""Ledger, store and accounts agree after any prefix of operations, wherever a leader died between them."""

from __future__ import annotations

from collections import Counter

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rpn.model import Requirements, TaskState
from rpn.settings import SchedulerSettings
from rpn.store.commits import Committed, Decision
from rpn.store.records import Call, HoldersEntry, ReleaseEntry, RenewEntry, RequestEntry
from rpn.store.usage import Charge
from scheduler.amounts import Amounts, amounts_of, needed
from scheduler.holding import since_of
from tests.support.leadership import Leadership
from tests.support.scheduling import DIMENSIONS, FakeStore, held, resources, task

NAMES = ("a", "b", "c")
HAS = {
    "a": resources(cores=4, memory=1000, gpu=True),
    "b": resources(cores=2, memory=4000),
    "c": resources(cores=8, memory=500),
}
Owed = Counter[tuple[str, str, str]]
"""(dimension, device, submitter) -> amount times ms"""
names = st.sampled_from(NAMES)
numbers = st.integers(1, 12)
ttls_ms = st.sampled_from([0, 2000])
needs = st.builds(
    Requirements,
    cpu=st.sampled_from([10, 100, 350, 1200]),
    memory=st.sampled_from([0, 64, 900]),
    gpu=st.booleans(),
)


class Ledgered(FakeStore):
    """Works out, from what it holds before and after each commit, what has to be charged with it."""

    def __init__(self) -> None:
        super().__init__()
        self.owed: Owed = Counter()
        self.charged: Owed = Counter()

    def commit(self, decisions: list[Decision]) -> Committed:
        committed: Committed | None = None
        skipped, moved = [], []
        for index, decision in enumerate(decisions):
            before = self._shares()
            committed = super().commit([decision])
            skipped += [index for _ in committed.skipped]
            moved += [(index, place) for _, place in committed.moved]
            after = self._shares()
            for share in before.keys() - after.keys():
                _owe(self.owed, *share, self.now_ms)
            if not committed.skipped:
                _add(self.charged, decision.charges)
        return Committed(skipped, moved)

    def _shares(self) -> dict[tuple[str, str, Amounts, int], None]:
        """(device, submitter, amounts, since) of everything that is held, each once."""
        shares: dict[tuple[str, str, Amounts, int], None] = {}
        for record in self.allocations.values():
            for share, since_ms in zip(record.shares, since_of(record), strict=True):
                shares[share.device_id, f"{record.id} {record.requester_id}", amounts_of(share), since_ms] = (
                    None
                )
        for (submitter_id, task_id), life in self.lives.items():
            if life.state in (TaskState.ASSIGNED, TaskState.RUNNING):
                need = needed(self.tasks[submitter_id, task_id].requirements)
                shares[life.device_id, f"{life.attempt} {submitter_id}", need, life.assigned_ms] = None
        return shares


def _owe(owed: Owed, device_id: str, holder: str, amounts: Amounts, since_ms: int, now_ms: int) -> None:
    submitter_id = holder.partition(" ")[2]
    for name in ("cpu", "memory", "gpu"):
        owed[name, device_id, submitter_id] += getattr(amounts, name) * (now_ms - since_ms)


def _add(charged: Owed, charges: list[Charge]) -> None:
    for charge in charges:
        for name in ("cpu", "memory", "gpu"):
            charged[name, charge.device_id, charge.submitter_id] += getattr(charge, name)


class History(RuleBasedStateMachine):
    """Devices, clients and callers that hold and give back, under leaders that die at any point."""

    def __init__(self) -> None:
        super().__init__()
        self.store = Ledgered()
        for name in NAMES:
            self.store.join(name, HAS[name])
        self.leads = Leadership(self.store, SchedulerSettings(allocation_limit=3, caller_allocation_limit=2))
        self.number = 0
        self.calls: set[str] = set()
        self.dry: set[str] = set()

    # --- what happens in the pool -------------------------------------------------------------

    @rule(name=names)
    def join(self, name: str) -> None:
        self.store.join(name, HAS[name])

    @rule(name=names, reason=st.sampled_from(["closed", "cut"]))
    def leave(self, name: str, reason: str) -> None:
        if name in self.store.sessions:
            self.store.leave(name, reason)

    @rule(name=names, need=needs, releases=st.booleans(), ttl_ms=ttls_ms, dry=st.booleans())
    def ask(self, name: str, need: Requirements, releases: bool, ttl_ms: int, dry: bool) -> None:
        self._enter_request(name, need, releases=releases, ttl_ms=ttl_ms, dry_run=dry)

    @rule(name=names, need=needs, dry=st.booleans())
    def call(self, name: str, need: Requirements, dry: bool) -> None:
        call = Call(f"x{self.number + 1}", "g1")
        self.calls.add(call.id)
        self._enter_request(name, need, releases=True, ttl_ms=3000, dry_run=dry, call=call)

    def _enter_request(self, name: str, need: Requirements, *, dry_run: bool, **more: object) -> None:
        self.number += 1
        if dry_run:
            self.dry.add(f"x{self.number}")
        presence = "" if "call" in more else self.store.sessions.get(name, "gone g0")
        entry = RequestEntry(f"x{self.number}", name, presence, need, dry_run=dry_run, explains=True, **more)  # type: ignore[arg-type]
        self.store.enter_request(entry)

    @rule(name=names, number=numbers, by=st.sampled_from(["device", "caller", "withdrawal"]))
    def release(self, name: str, number: int, by: str) -> None:
        entry = ReleaseEntry(name, f"x{number}", call=self._call(by), withdraws=by == "withdrawal")
        self.store.enter_request(entry)

    @rule(name=names, number=numbers, by=st.sampled_from(["device", "caller"]))
    def renew(self, name: str, number: int, by: str) -> None:
        self.store.enter_request(RenewEntry(name, f"x{number}", 4000, call=self._call(by)))

    @rule(name=names)
    def ask_who_holds(self, name: str) -> None:
        call = self._call("caller")
        assert call is not None
        self.store.enter_request(HoldersEntry(name, call))

    def _call(self, by: str) -> Call | None:
        if by != "caller":
            return None
        call = Call(f"call-{len(self.calls)}", "g1")
        self.calls.add(call.id)
        return call

    @rule(name=names, need=needs)
    def submit(self, name: str, need: Requirements) -> None:
        self.number += 1
        self.store.submit(task(f"t{self.number}", name, requirements=need))

    @rule(name=names)
    def finish(self, name: str) -> None:
        if self.store.assignments(name):
            self.store.finish(name)

    # --- what the scheduler does --------------------------------------------------------------

    @rule(count=st.integers(0, 2))
    def follow(self, count: int) -> None:
        self.leads.follow(count)

    @rule(part=st.sampled_from([1, 2, 100]))
    def decide(self, part: int) -> None:
        """A round that is written in parts, or as one."""
        self.leads.matchmaker.part = part
        self.leads.round(follow=False)
        self.check_ledger()

    @rule(written=st.floats(0, 1))
    def die(self, written: float) -> None:
        """With a part of the decisions written, none or all, and their outcome unknown."""
        self.leads.die(written)
        self.check_ledger()

    @rule(ms=st.sampled_from([30, 1500, 40_000]))
    def wait(self, ms: int) -> None:
        self.store.now_ms += ms

    @precondition(lambda self: self.number > 3)
    @rule()
    def come_to_rest(self) -> None:
        """With the mirror up to date and time to work, everybody has an answer."""
        self.leads.rounds(4, after_ms=2500)
        self.check_ledger()
        assert not self.store.requests
        withdrawn = {each for each in self.calls if each not in self.store.call_answers}
        assert len(withdrawn) <= self.leads.counts.requests_dropped
        assert self.store.calls == self.store.call_answers

    # --- what must be true --------------------------------------------------------------------

    def check_ledger(self) -> None:
        """Between two rounds the ledger reserves exactly what the store's records say."""
        ledger = self.leads.matchmaker.ledger
        for device_id in set(ledger.devices()) | held(self.store).keys():
            taken = list(ledger.holders(device_id).values())
            sums = dict(zip(DIMENSIONS, map(sum, zip(*taken, strict=True)), strict=True)) if taken else {}
            stored = held(self.store).get(device_id, {})
            assert {k: v for k, v in sums.items() if v} == {k: v for k, v in stored.items() if v}, device_id

    @invariant()
    def no_device_holds_more_than_it_has(self) -> None:
        for name, sums in held(self.store).items():
            has = HAS[name]
            assert sums["cpu"] <= has.cpu_cores * 100
            assert sums["memory"] <= has.memory_total
            assert sums["gpu"] <= has.has_gpu

    @invariant()
    def what_ended_was_charged_once(self) -> None:
        assert +self.store.charged == +self.store.owed

    @invariant()
    def nobody_is_answered_twice_and_a_dry_run_holds_nothing(self) -> None:
        answered = [answer.allocation.id for answer in self.store.answers]
        assert len(answered) == len(set(answered))
        assert not self.dry & self.store.allocations.keys()

    @invariant()
    def every_deadline_belongs_to_something(self) -> None:
        timed = {each for each in self.store.due if each.startswith("allocation:")}
        records = self.store.allocations.values()
        assert timed == {f"allocation:{each.id}" for each in records if each.expires_ms}


History.TestCase.settings = settings(
    max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestHistory = History.TestCase
