"""Two gateways, a few devices, any history: the store is what a plain model says, and so is every mirror."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, NamedTuple, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from rpn.errors import StoreUnavailable
from rpn.events import Kind, Operation, unpack_identity
from rpn.model import Device, PoolUsage
from rpn.replica import Replica, What
from rpn.settings import StoreSettings
from rpn.store import sweep
from rpn.store.keys import Keys
from rpn.store.pool import SAME, WHOEVER, Applied, Guarded, PoolStore, Resync
from rpn.store.sweep import Sweeper
from tests.store import batches
from tests.store.conftest import Forgetful, Server
from tests.store.listening import listening

T = TypeVar("T")

LONG_AGO = 1
SETTINGS = StoreSettings(reconnect_grace_s=600, silence_limit_s=600)
GATEWAYS = ["east", "west"]
DEVICES = ["a", "b", "c", "d"]

_pools = itertools.count(1)


class Known(NamedTuple):
    """A device in the model."""

    presence: str
    name: str
    report: bytes = b""
    lost: bool = False


class Word(NamedTuple):
    """What a gateway says of one device; the session is picked among those that ever were."""

    kind: Kind
    device_id: str
    expected: str
    """WHOEVER and SAME: for a join; anything else: the presence at the time"""
    age: int
    """0: the newest session, 1: the one before, ..."""
    value: int
    """what tells one name or report from another; an even one comes without a report"""


words = st.builds(
    Word,
    st.sampled_from(Kind),
    st.sampled_from(DEVICES),
    st.sampled_from([WHOEVER, SAME]),
    st.sampled_from([0, 0, 1]),
    st.integers(0, 9),
)
said = st.lists(words, max_size=4, unique_by=lambda word: word.device_id)


class Model:
    """The pool's devices as they should be."""

    def __init__(self) -> None:
        self.devices: dict[str, Known] = {}

    def apply(self, batch: list[Guarded]) -> frozenset[int]:
        """Do what still holds; answer what does not."""
        held = [self._holds(each) for each in batch]
        for each, holds in zip(batch, held, strict=True):
            if holds:
                self._operate(each.operation)
        return frozenset(index for index, holds in enumerate(held) if not holds)

    def _holds(self, guarded: Guarded) -> bool:
        known = self.devices.get(guarded.operation.device_id)
        if guarded.expected == WHOEVER:
            return True
        if guarded.expected == SAME:
            return known is None or known.presence.split()[0] == guarded.operation.session
        return known is not None and known.presence == guarded.expected

    def _operate(self, operation: Operation) -> None:
        kind, device_id, session, gateway, identity, report, *_ = operation
        if kind is Kind.LEAVE:
            del self.devices[device_id]
            return
        known = self.devices.get(device_id, Known("", ""))
        match kind:
            case Kind.JOIN:
                name = unpack_identity(identity).name
                known = Known(f"{session} {gateway}", name, report or known.report)
            case Kind.REPORT:
                known = known._replace(report=report)
            case Kind.IDENTIFY:
                known = known._replace(name=unpack_identity(identity).name)
            case Kind.LOSE:
                known = known._replace(lost=True)
        self.devices[device_id] = known


class Shown(NamedTuple):
    """A device as a mirror shows it."""

    device: Device
    presence: str
    lost: bool
    frame: bytes
    pool_usage: PoolUsage | None


def shown(replica: Replica) -> dict[str, Shown]:
    return {
        each.id: Shown(each.device, each.presence, each.lost, each.frame, each.pool_usage)
        for each in replica.devices.values()
    }


class PoolMachine(RuleBasedStateMachine):
    """Everything that gateways and sweepers do, in any order, over a connection that loses replies."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self._model = Model()
        self._gateways: dict[str, batches.Gateway] = {}
        self._answers: dict[str, Applied] = {}
        self._sessions: dict[str, list[str]] = {device_id: ["s0"] for device_id in DEVICES}
        self._serial = itertools.count(1)
        self._mirror = Replica()
        """fed by every event"""
        self._late = Replica()
        """loads a snapshot now and then"""
        self._late_ids: set[str] = set()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    @initialize()
    def open(self) -> None:
        self._run(self._open())

    async def _open(self) -> None:
        pool = f"model{next(_pools)}"
        self._keys = Keys(pool)
        self._connection = Forgetful(self.url, pool=pool)
        self._stack.push_async_callback(self._connection.close)
        self._stack.push_async_callback(self._forget)
        self._pool = PoolStore(self._connection, self._keys)
        self._sweeper = Sweeper(self._connection, self._keys, SETTINGS)
        self._listener = await self._stack.enter_async_context(listening(self._connection, self._keys))
        await self._sweeper.sweep()

    async def _forget(self) -> None:
        await self._connection.command("DEL", *self._keys.permanent)

    def teardown(self) -> None:
        self._run(self._stack.aclose())
        self._runner.close()

    # --- what gateways do ---------------------------------------------------------------------

    @rule(side=st.sampled_from(GATEWAYS), words=said, lose_reply=st.booleans())
    def say(self, side: str, words: list[Word], lose_reply: bool) -> None:
        gateway = self._gateway(side)
        batch = [self._guarded(gateway.name, word) for word in words]
        applied = self._run(self._send(gateway, batch, lose_reply=lose_reply))
        assert applied.skipped == self._model.apply(batch)
        self._answers[side] = applied

    @rule(side=st.sampled_from(GATEWAYS))
    def say_it_again(self, side: str) -> None:
        if side in self._answers:
            answer = self._run(self._gateways[side].send_again())
            assert answer._replace(now_ms=0) == self._answers[side]._replace(now_ms=0)

    @rule(side=st.sampled_from(GATEWAYS), step=st.sampled_from([-2, 1, 5]), words=said)
    def say_out_of_order(self, side: str, step: int, words: list[Word]) -> None:
        gateway = self._gateway(side)
        if gateway.number + step < 0:
            return
        stray = batches.Gateway(self._pool, gateway.name)
        stray.number = gateway.number + step
        with pytest.raises(Resync):
            self._run(stray.send(*(self._guarded(gateway.name, word) for word in words)))

    def _gateway(self, side: str) -> batches.Gateway:
        """The process on this side; another one after it died."""
        if side not in self._gateways:
            self._gateways[side] = batches.Gateway(self._pool, f"{side}{next(self._serial)}")
        return self._gateways[side]

    async def _send(self, gateway: batches.Gateway, batch: list[Guarded], *, lose_reply: bool) -> Applied:
        self._connection.lost_next = int(lose_reply)
        try:
            return await gateway.send(*batch)
        except StoreUnavailable:
            return await gateway.send_again()

    def _guarded(self, gateway: str, word: Word) -> Guarded:
        device_id, sessions = word.device_id, self._sessions[word.device_id]
        name, report = f"name {word.value}", batches.measurement(device_id, word.value)
        if word.kind is Kind.JOIN:
            if word.expected == WHOEVER:
                sessions.append(f"s{next(self._serial)}")
            session = sessions[-1] if word.expected == WHOEVER else self._old(sessions, word.age)
            report = report if word.value % 2 else b""
            return batches.join(
                device_id, session, gateway=gateway, name=name, report=report, expected=word.expected
            )
        known = self._model.devices.get(device_id)
        presence = f"{self._old(sessions, word.age)} {gateway}"
        if known is not None and word.age == 0:
            presence = known.presence
        makes: dict[Kind, Callable[[], Guarded]] = {
            Kind.REPORT: lambda: batches.report(device_id, presence, cpu_usage=word.value),
            Kind.HEARD: lambda: batches.heard(device_id, presence),
            Kind.IDENTIFY: lambda: batches.identify(device_id, name, presence),
            Kind.LOSE: lambda: batches.lose(device_id, presence),
            Kind.LEAVE: lambda: batches.leave(device_id, presence),
        }
        return makes[word.kind]()

    @staticmethod
    def _old(sessions: list[str], age: int) -> str:
        return sessions[max(0, len(sessions) - 1 - age)]

    # --- what happens to them -----------------------------------------------------------------

    @rule(side=st.sampled_from(GATEWAYS))
    def die(self, side: str) -> None:
        gateway = self._gateways.pop(side, None)
        if gateway is None or not gateway.number:
            return
        self._answers.pop(side, None)
        self._run(self._sweep("ZADD", self._keys.gateways, LONG_AGO, gateway.name))
        with pytest.raises(Resync):
            self._run(self._late_word(gateway))
        for device_id, known in self._model.devices.items():
            if known.presence.split()[1] == gateway.name:
                self._model.devices[device_id] = known._replace(lost=True)

    async def _late_word(self, gateway: batches.Gateway) -> None:
        """What a gateway says that does not know yet that it was given up."""
        gateway.number = max(gateway.number, 1)
        await gateway.send(batches.join("a", "late", gateway=gateway.name))

    @rule(device_id=st.sampled_from(DEVICES))
    def stay_away(self, device_id: str) -> None:
        self._run(self._sweep("ZADD", self._keys.lost, "XX", LONG_AGO, device_id))
        if device_id in self._model.devices and self._model.devices[device_id].lost:
            del self._model.devices[device_id]

    @rule(device_id=st.sampled_from(DEVICES))
    def fall_silent(self, device_id: str) -> None:
        self._run(self._sweep("ZADD", self._keys.seen, "XX", LONG_AGO, device_id))
        self._model.devices.pop(device_id, None)

    @rule()
    def sweep_the_living(self) -> None:
        assert self._run(self._sweep("PING")) == 0

    async def _sweep(self, *first: Any) -> int:
        """Make something old, then sweep as if the server had been there all the time."""
        await self._connection.commands([first, ("HSET", self._keys.meta, "amnesty", LONG_AGO)])
        return await self._sweeper.sweep()

    @rule()
    def look_late(self) -> None:
        for change in self._late.load(self._run(self._pool.snapshot())):
            if change.what is What.JOINED:
                assert change.device.id not in self._late_ids
                self._late_ids.add(change.device.id)
            elif change.what is What.LEFT:
                self._late_ids.remove(change.device.id)
        assert self._late_ids == self._model.devices.keys()

    # --- what always holds --------------------------------------------------------------------

    @invariant()
    def the_store_is_what_the_model_says_and_so_are_the_mirrors(self) -> None:
        snapshot = self._run(self._pool.snapshot())
        model = self._model.devices
        assert snapshot.sessions == {each: known.presence for each, known in model.items()}
        names = {each: unpack_identity(packed).name for each, packed in snapshot.devices.items()}
        assert names == {each: known.name for each, known in model.items()}
        assert snapshot.resources == {each: known.report for each, known in model.items() if known.report}
        assert snapshot.seen_ms.keys() == model.keys()
        assert snapshot.lost_ms.keys() == {each for each, known in model.items() if known.lost}
        for event in self._run(self._listener.heard()):
            self._mirror.apply(event)
        fresh, late = Replica(), self._late
        fresh.load(snapshot)
        assert shown(self._mirror) == shown(fresh)
        assert (self._mirror.rev, self._mirror.tip) == (snapshot.rev, snapshot.tip)
        if late.tip == snapshot.tip:
            assert shown(late) == shown(fresh)


def test_no_history_tells_the_store_from_its_model(
    shared_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PoolMachine, "url", shared_server.url)
    monkeypatch.setattr(sweep, "AWAY_MS", 600_000)
    slow = [HealthCheck.too_slow]
    effort = settings(max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=slow)
    run_state_machine_as_test(PoolMachine, settings=effort)
