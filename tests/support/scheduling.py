"""A store in memory that treats the scheduler's decisions as the real one does, and a mirror that may lag."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from rpn.codec import encode, unpack_record
from rpn.events import Event, Identity, Kind, Operation, Report, pack_identity, pack_report
from rpn.messages import FromServer, ResourceAllocation, ResourceChanged, TaskAssign, TaskStatus
from rpn.model import PoolUsage, Requirements, Resources, Task, TaskState
from rpn.store.backlog import Backlog
from rpn.store.commits import Committed, Decision, Delivery
from rpn.store.keys import task_member, task_of
from rpn.store.records import (
    AllocationRecord,
    CancelEntry,
    DoneEntry,
    Patron,
    ReconcileEntry,
    RequestEntry,
    RequestStreamEntry,
    StartedEntry,
    StoredTask,
    SubmitEntry,
    TaskLife,
    TaskStreamEntry,
)
from rpn.store.tasks import brief
from rpn.store.usage import Charge
from scheduler.amounts import amounts_of, needed

Key = tuple[str, str]
CORE = Requirements(cpu=100, memory=100)
GOOD = b'{"success":true,"result":1}'
BAD = b'{"success":false,"error":"exit 1","code":"EXIT"}'
RETURNED = b'{"success":false,"error":"paused","code":"RETURNED"}'
DIMENSIONS = ("cpu", "memory", "storage", "gpu")
_messages = msgspec.json.Decoder(FromServer)


def resources(
    *, cores: int = 4, memory: int = 8000, storage: int = 10_000, gpu: bool = False, used: int = 0
) -> Resources:
    """A device of which `used` percent of everything is in use."""
    left = 100 - used
    return Resources(
        cpu_usage=used,
        cpu_available=left,
        cpu_cores=cores,
        memory_usage=memory * used // 100,
        memory_available=memory * left // 100,
        memory_total=memory,
        storage_usage=storage * used // 100,
        storage_available=storage * left // 100,
        storage_total=storage,
        has_gpu=gpu,
    )


class FakeStore:
    """Devices, streams, records, deadlines and mail of one pool."""

    def __init__(self) -> None:
        self.now_ms = 1_000_000
        self.sessions: dict[str, str] = {}
        self.events: list[Event] = []
        self.rev = 0
        self.requests: dict[str, RequestStreamEntry] = {}
        self.entries: dict[str, TaskStreamEntry] = {}
        self.allocations: dict[str, AllocationRecord] = {}
        self.tasks: dict[Key, Task] = {}
        self.lives: dict[Key, TaskLife] = {}
        self.cancelled: set[Key] = set()
        self.outcomes: dict[Key, list[bytes]] = {}
        self.open: set[str] = set()
        self.due: dict[str, int] = {}
        self.inbox: dict[tuple[str, str], bytes] = {}
        self.mail: list[Delivery] = []
        self.answers: list[ResourceAllocation] = []
        self.calls: dict[str, bytes] = {}
        """call -> its letter"""
        self.call_answers: dict[str, bytes] = {}
        """call -> the answer its key holds"""
        self.charges: list[Charge] = []
        self.standing = b""
        self.notes: list[tuple[Key, str, str]] = []
        """(task, progress, log)"""
        self._entry = 0

    # --- devices ------------------------------------------------------------------------------

    def join(
        self,
        device_id: str,
        has: Resources | None,
        *,
        accepts: tuple[str, ...] = ("tasks",),
        gateway: str = "g1",
        running: list[tuple[str, str]] | None = None,
    ) -> str:
        """A device registers under a new session; answers its presence."""
        session = f"s{self.rev}"
        identity = pack_identity(Identity(device_id.upper(), "linux", "127.0.0.1", {}, list(accepts)))
        report = b"" if has is None else packed(device_id, has)
        self.sessions[device_id] = f"{session} {gateway}"
        if "tasks" in accepts:
            self._enter(ReconcileEntry(device_id, session, running or []))
        self._publish(Operation(Kind.JOIN, device_id, session, gateway, identity, report))
        return self.sessions[device_id]

    def report(self, device_id: str, has: Resources, usage: PoolUsage | None = None) -> None:
        self._publish(Operation(Kind.REPORT, device_id, report=packed(device_id, has, usage)))

    def lose(self, device_id: str) -> None:
        self._publish(Operation(Kind.LOSE, device_id))

    def leave(self, device_id: str, reason: str = "cut") -> None:
        del self.sessions[device_id]
        self._publish(Operation(Kind.LEAVE, device_id, reason=reason))

    def _publish(self, operation: Operation) -> None:
        self.rev += 1
        prev = f"t{self.rev - 1}" if self.rev > 1 else ""
        self.events.append(Event(self.rev, prev, f"t{self.rev}", self.now_ms, "g1", 0, [operation]))

    # --- streams ------------------------------------------------------------------------------

    def ask(
        self, allocation_id: str, device_id: str, requirements: Requirements, *, releases: bool = False
    ) -> str:
        entry_id = self._next_id()
        presence = self.sessions.get(device_id, "gone g0")
        self.requests[entry_id] = RequestEntry(
            allocation_id, device_id, presence, requirements, f"r-{allocation_id}", releases
        )
        return entry_id

    def enter_request(self, entry: RequestStreamEntry) -> str:
        entry_id = self._next_id()
        self.requests[entry_id] = entry
        return entry_id

    def submit(self, task: Task, patron: Patron | None = None) -> None:
        key = task.submitter_id, task.id
        self.tasks[key] = task
        self.lives[key] = TaskLife(TaskState.QUEUED, self.now_ms, patron=patron)
        self.open.add(task_member(*key))
        self._enter(SubmitEntry(*key))

    def cancel(self, key: Key) -> None:
        if task_member(*key) in self.open:
            self.cancelled.add(key)
            self._enter(CancelEntry(*key))

    def start(self, device_id: str) -> None:
        """An agent begins what it was assigned last."""
        assigned = self.assignments(device_id)[-1]
        self.say(StartedEntry(device_id, assigned.task_id, assigned.attempt))

    def finish(self, device_id: str, *, success: bool = True, outcome: bytes = b"") -> None:
        """An agent ends what it was assigned last."""
        assigned = self.assignments(device_id)[-1]
        outcome = outcome or (GOOD if success else BAD)
        self.say(DoneEntry(device_id, assigned.task_id, assigned.attempt, success, outcome))

    def say(self, entry: TaskStreamEntry) -> None:
        """An agent reports."""
        self._enter(entry)

    def _enter(self, entry: TaskStreamEntry) -> None:
        self.entries[self._next_id()] = entry

    def _next_id(self) -> str:
        self._entry += 1
        return f"{self._entry:06}-0"

    # --- what the scheduler does with it ------------------------------------------------------

    def stored(self, key: Key) -> StoredTask:
        return StoredTask(brief(self.tasks[key]), self.lives[key], key in self.cancelled)

    def backlog(self) -> Backlog:
        tasks = [self.stored(task_of(member)) for member in sorted(self.open)]
        return Backlog(self.now_ms, list(self.allocations.values()), tasks, dict(self.due))

    def commit(self, decisions: list[Decision]) -> Committed:
        skipped, moved = list[int](), list[tuple[int, int]]()
        for index, decision in enumerate(decisions):
            if any(self.sessions.get(device) != presence for device, presence in decision.rests.items()):
                skipped.append(index)
                continue
            self._write(decision)
            self.charges += decision.charges
            for place, delivery in enumerate(decision.deliveries):
                if delivery.inbox_id:
                    self.inbox[delivery.device_id, delivery.inbox_id] = delivery.frame
                if not delivery.device_id:
                    self.calls[delivery.presence.partition(" ")[0]] = delivery.frame
                    continue
                if delivery.presence and self.sessions.get(delivery.device_id) == delivery.presence:
                    self.mail.append(delivery)
                else:
                    moved.append((index, place))
                message = _messages.decode(delivery.frame)
                if isinstance(message, ResourceAllocation) and decision.requests:  # else sent again
                    self.answers.append(message)
        return Committed(skipped, moved)

    def _write(self, decision: Decision) -> None:
        for allocation_id, record in zip(decision.held[::2], decision.held[1::2], strict=True):
            self.allocations[allocation_id] = unpack_record(AllocationRecord, record)
        for allocation_id in decision.freed:
            self.allocations.pop(allocation_id, None)
        for device_id, inbox_id in decision.untold:
            self.inbox.pop((device_id, inbox_id), None)
        for entry_id in decision.requests:
            del self.requests[entry_id]
        for command in decision.commands:
            self._do(*command)
        for entry_id in decision.entries:
            del self.entries[entry_id]
        for submitter_id, task_id, life in decision.lives:
            self.lives[submitter_id, task_id] = unpack_record(TaskLife, life)
        for end in decision.ends:
            key = end.submitter_id, end.task_id
            self.lives[key] = unpack_record(TaskLife, end.life)
            self.outcomes.setdefault(key, []).append(end.outcome)
            self.open.remove(task_member(*key))

    def _do(self, command: str, key: Any, *args: Any) -> None:
        match command, key:
            case "NOTE", ("task", *name):
                self.notes.append(((*name,), *args))
            case "ZADD", "due":
                self.due[args[1]] = args[0]
            case "ZREM", "due":
                self.due.pop(args[0], None)
            case "HSET", ("call", call_id):
                self.call_answers[call_id] = args[1]
            case "SET", "standing":
                self.standing = args[0]
            case "PEXPIRE", _:
                pass
            case _:
                raise AssertionError(f"unknown command {command} {key}")

    # --- what a test looks at -----------------------------------------------------------------

    def answer(self, allocation_id: str) -> ResourceAllocation:
        """The one answer to a request."""
        (found,) = [each for each in self.answers if each.allocation.id == allocation_id]
        return found

    def messages(self, device_id: str) -> list[Any]:
        """What was put into the mailbox for a device, in order."""
        return [_messages.decode(each.frame) for each in self.mail if each.device_id == device_id]

    def state(self, task_id: str = "t") -> TaskState:
        return self.lives["sub", task_id].state

    def statuses(self) -> list[str]:
        """What the submitter was told of its tasks' states."""
        return [each.state for each in self.messages("sub") if isinstance(each, TaskStatus)]

    def assignments(self, device_id: str) -> list[TaskAssign]:
        return [each for each in self.messages(device_id) if isinstance(each, TaskAssign)]


def task(task_id: str, submitter_id: str = "sub", **fields: Any) -> Task:
    """A task that needs one core and little else, unless told."""
    fields.setdefault("requirements", CORE)
    return Task(id=task_id, type="compute", submitter_id=submitter_id, **fields)


def packed(device_id: str, has: Resources, usage: PoolUsage | None = None) -> bytes:
    return pack_report(Report(encode(ResourceChanged(device_id=device_id, resources=has)), usage))


def held(store: FakeStore) -> dict[str, dict[str, int]]:
    """What the store's records take of each device, by dimension."""
    sums: dict[str, dict[str, int]] = {}

    def take(device_id: str, amounts: Iterable[tuple[str, int]]) -> None:
        device = sums.setdefault(device_id, dict.fromkeys(DIMENSIONS, 0))
        for name, amount in amounts:
            device[name] += amount

    for record in store.allocations.values():
        for share in record.shares:
            take(share.device_id, zip(DIMENSIONS, amounts_of(share), strict=True))
    for key, life in store.lives.items():
        if life.state in (TaskState.ASSIGNED, TaskState.RUNNING):
            take(life.device_id, zip(DIMENSIONS, needed(store.tasks[key].requirements), strict=True))
    return sums
