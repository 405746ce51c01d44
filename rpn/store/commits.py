"""What the scheduler decided, written in one fenced step.

A commit is a list of decisions. Each names the presences (session and gateway) of the devices it
rests on; a decision whose devices moved on meanwhile is skipped whole, and told. A commit is
numbered: sent again with the same number, it is answered and not applied.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from rpn.codec import pack_record
from rpn.store.connection import Connection, Sent
from rpn.store.keys import Keys
from rpn.store.packing import Packing
from rpn.store.records import CALL_MS, AllocationRecord, Call, TaskLife, counted_as
from rpn.store.scripts import Script
from rpn.store.usage import Charge, counted

SCRIPT = (
    *("scheduler_words", "scheduler_ends", "scheduler_holds"),
    *("scheduler_inboxes", "scheduler_writes", "scheduler_commit"),
)


WINDOW = 32
"""commits that may be on their way: so many outcomes the store remembers (scheduler_commit.lua)"""


class Deposed(Exception):
    """Nothing was written: another leads, our lease ran out, or the store lost a commit before this one."""


class Delivery(NamedTuple):
    """A message for one device, to go into its gateway's mailbox, its inbox, or both."""

    device_id: str
    """empty: for a call, whose id and gateway are the presence"""
    presence: str
    """where it is thought to be; empty when it is not in the pool"""
    frame: bytes
    """the message as JSON"""
    inbox_id: str = ""
    """kept in the inbox under this id until acknowledged; empty: only the mailbox"""


class Life(NamedTuple):
    """An open task's life as it is from now on."""

    submitter_id: str
    task_id: str
    life: bytes
    """packed"""


class Ending(NamedTuple):
    """A task that is over."""

    submitter_id: str
    task_id: str
    submitted_ms: int
    life: bytes
    """packed"""
    outcome: bytes
    """JSON"""
    retention_ms: int
    counted_as: str
    """whose count of open tasks it leaves"""


class Decision:
    """One all-or-nothing part of a commit."""

    __slots__ = (
        "charges",
        "commands",
        "deliveries",
        "ends",
        "entries",
        "freed",
        "held",
        "lives",
        "news",
        "orders",
        "parts",
        "requests",
        "rests",
        "untold",
    )

    def __init__(self) -> None:
        self.rests: dict[str, str] = {}
        self.held: list[Any] = []
        """allocations as they are from now on: id, packed record, and so on"""
        self.freed: list[str] = []
        """ids of allocations that are held no longer"""
        self.untold: list[tuple[str, str]] = []
        """(device, inbox id) of what it need not hear any more"""
        self.requests: list[str] = []
        """ids of the entries of the stream of requests that are dealt with"""
        self.entries: list[str] = []
        """ids of the entries of the stream of tasks that are dealt with"""
        self.lives: list[Life] = []
        self.ends: list[Ending] = []
        self.parts = 1
        """how many decisions travel in it, which hold or are skipped together"""
        self.commands: list[tuple[Any, ...]] = []
        """(command, key, arguments...); the key by its name in Keys, or as (name, its arguments...)"""
        self.deliveries: list[Delivery] = []
        self.charges: list[Charge] = []
        self.orders = 0
        """deliveries that are to come, when payloads have been fetched"""
        self.news: list[tuple[str, dict[str, Any]]] = []
        """what the pool may be told once this is written: a `pool_event`'s kind and fields"""

    def rest_on(self, device_id: str, presence: str) -> None:
        """Hold only if the device still has this session on this gateway."""
        self.rests[device_id] = presence

    def hold(self, allocation: AllocationRecord) -> None:
        self.held += (allocation.id, pack_record(allocation))

    def free(self, allocation_id: str, requester_id: str) -> None:
        """It is held no longer, and its requester is not told any more that it is."""
        self.freed.append(allocation_id)
        self.untold.append((requester_id, f"allocation:{allocation_id}"))

    def charge(self, charge: Charge) -> None:
        """Count what was given and used. Only for a decision that rests on nothing."""
        self.charges.append(charge)

    def answer(self, call: Call, answer: bytes) -> None:
        """What a caller waits for, as JSON: kept under the call, and sent to its gateway."""
        self.commands.append(("HSET", ("call", call.id), "answer", answer))
        self.commands.append(("PEXPIRE", ("call", call.id), CALL_MS))
        self.deliveries.append(Delivery("", f"{call.id} {call.gateway}", answer))

    def stand(self, standing: bytes) -> None:
        """How the pool stands, for whoever asks a gateway."""
        self.commands.append(("SET", "standing", standing))

    def keep_life(self, submitter_id: str, task_id: str, life: TaskLife) -> None:
        """The task is open and in this state."""
        self.lives.append(Life(submitter_id, task_id, pack_record(life)))

    def end_life(
        self, submitter_id: str, task_id: str, life: TaskLife, outcome: bytes, *, retention_s: float
    ) -> None:
        """The task is over; its result is kept for `retention_s`."""
        ending = Ending(
            submitter_id,
            task_id,
            life.submitted_ms,
            pack_record(life),
            outcome,
            int(retention_s * 1000),
            counted_as(submitter_id, life.patron),
        )
        self.ends.append(ending)

    def note(self, submitter_id: str, task_id: str, progress: str, log: str) -> None:
        """How far it is (`ATTEMPT PART`, or empty), and what it has printed since."""
        self.commands.append(("NOTE", ("task", submitter_id, task_id), progress, log))

    def due(self, member: str, at_ms: int) -> None:
        """Something is to happen at this time (the store's clock)."""
        self.commands.append(("ZADD", "due", at_ms, member))

    def undue(self, member: str) -> None:
        self.commands.append(("ZREM", "due", member))

    def deliver(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)

    def announce(self, kind: str, **what: Any) -> None:
        """Once this is written, tell clients that accept `events`; `what` are fields of the `pool_event`."""
        self.news.append((kind, what))

    def request_processed(self, entry_id: str) -> None:
        self.requests.append(entry_id)

    def task_entry_processed(self, entry_id: str) -> None:
        self.entries.append(entry_id)

    @property
    def weight(self) -> int:
        """How much there is to write, about."""
        of_allocations = len(self.held) // 2 + 2 * len(self.freed) + len(self.requests)
        of_tasks = len(self.lives) + len(self.ends) + self.orders
        return of_allocations + of_tasks + len(self.commands) + len(self.deliveries)

    @property
    def says_something(self) -> bool:
        return bool(self.requests or self.entries or self.weight)


class Committed(NamedTuple):
    """What became of a commit."""

    skipped: list[int]
    """decisions whose devices had moved on: nothing of them was written"""
    moved: list[tuple[int, int]]
    """(decision, delivery) whose receiver was elsewhere: in its inbox if it has an inbox id, else lost"""


class Posted(NamedTuple):
    """A commit on its way."""

    keys: list[str]
    args: list[Any]
    lasting: bool
    sent: Sent | None


class Commits:
    """The commits of one leadership, numbered."""

    def __init__(
        self, connection: Connection, keys: Keys, *, fence: int, lease_ms: int, inbox_ttl_ms: int
    ) -> None:
        self._script = Script(connection, *SCRIPT)
        self._keys = keys
        self._fence = fence
        self._lease_ms = lease_ms
        self._inbox_ttl_ms = inbox_ttl_ms
        self._number = 0
        self._kept: set[tuple[str, str]] = set()
        """sums of what was given and used that this leadership has seen to: they expire"""

    async def send(self, decisions: list[Decision]) -> Committed:
        """Write all decisions that still hold; an empty list renews the lease.

        Sends the same bytes again while the outcome is unknown. Raises Deposed, or
        StoreUnavailable when the outcome stays unknown: then rebuild from the store.
        """
        return await self.known(self.post(decisions))

    def post(self, decisions: list[Decision]) -> Posted:
        """The same, on its way when this returns: WINDOW may be, and are to be `known` in order."""
        lasting = bool(decisions)
        self._number += lasting
        if any(each.charges for each in decisions):
            decisions = [*decisions, self._accounts(decisions)]
        keys, payload = Packing(self._keys).packed(decisions)
        args = [self._fence, self._number, self._lease_ms, self._inbox_ttl_ms, payload]
        return Posted(keys, args, lasting, self._script.post(keys, args, lasting=lasting))

    async def known(self, posted: Posted) -> Committed:
        """What became of one that was posted."""
        keys, args, lasting, sent = posted
        reply = await self._script.run_until_known(keys, args, lasting=lasting, sent=sent)
        if reply[0] == b"GAP":  # one before it was refused for a moment; that is known to be written now
            reply = await self._script.run_until_known(keys, args, lasting=lasting)
        if reply[0] != b"OK":
            raise Deposed(reply[0].decode())
        return Committed(_ints(reply[1]), [(d, m) for d, m in zip(*[iter(_ints(reply[2]))] * 2, strict=True)])

    def _accounts(self, decisions: list[Decision]) -> Decision:
        """All that these decisions charge, summed, in one that is never skipped."""
        accounts = Decision()
        for each in decisions:
            if each.charges and each.rests:
                raise ValueError("a decision that may be skipped charges nothing")
        accounts.commands = counted((charge for each in decisions for charge in each.charges), self._kept)
        return accounts


def _ints(data: bytes) -> list[int]:
    return [int(each) for each in data.split(b",") if each]
