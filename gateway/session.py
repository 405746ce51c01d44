"""What one connection may say, and in whose name: rules without I/O."""

from __future__ import annotations

from enum import Enum, auto

from gateway.bearers import EVERYONE, Bearer
from gateway.roles import Action
from rpn.errors import NotAccepted, NotRegistered, WrongDevice
from rpn.messages import (
    Ack,
    AllocationRenew,
    FromClient,
    Heartbeat,
    Observe,
    Ping,
    Register,
    ResourceRelease,
    ResourceRequest,
    ResourceUpdate,
    TaskCancel,
    TaskDone,
    TaskProgressReport,
    TaskStarted,
    TaskSubmit,
)


class State(Enum):
    """Where a connection is in its life."""

    NEW = auto()
    REGISTERED = auto()
    OBSERVING = auto()


ALLOWED: dict[State, frozenset[type[FromClient]]] = {
    State.NEW: frozenset({Register, Observe}),
    State.REGISTERED: frozenset(
        {
            Register,
            Heartbeat,
            Ping,
            ResourceUpdate,
            ResourceRequest,
            AllocationRenew,
            ResourceRelease,
            TaskSubmit,
            TaskCancel,
            TaskStarted,
            TaskProgressReport,
            TaskDone,
            Ack,
        }
    ),
    State.OBSERVING: frozenset({Observe, Ping}),
}

NEEDS: dict[type[FromClient], str] = {
    TaskStarted: "tasks",
    TaskProgressReport: "tasks",
    TaskDone: "tasks",
    Ack: "acks",
}
"""what must have been accepted at `register` to say this"""


class Session:
    """One connection's state: who it speaks for, and what it opted in to."""

    __slots__ = ("_allowed", "accepts", "bearer", "device_id", "opted_in", "state")

    def __init__(self, bearer: Bearer = EVERYONE) -> None:
        self.bearer = bearer
        self.state = State.NEW
        self._allowed = ALLOWED[State.NEW] & bearer.says
        self.device_id = ""
        self.accepts: frozenset[str] = frozenset()
        self.opted_in = False
        """the client knows more than API.md"""

    def admit(self, message: FromClient) -> None:
        """Accept `message` from this connection, or raise why not."""
        kind = type(message)
        if kind not in self._allowed:
            self.bearer.check_message(kind)
            if self.state is State.OBSERVING:
                raise NotRegistered("this connection observes: register on another one")
            raise NotRegistered("the first message must be `register`")
        if kind in NEEDS and NEEDS[kind] not in self.accepts:
            raise NotAccepted(f"say `accepts: [{NEEDS[kind]!r}]` at `register` first")
        if kind is Register and "tasks" in message.accepts:  # type: ignore[union-attr]
            self.bearer.check(Action.RUN_TASKS)
        if self.device_id and _device_of(message) not in (None, self.device_id):
            raise WrongDevice(f"this connection speaks for {self.device_id}")

    def enter(self, message: Register | Observe) -> None:
        """Take over what an admitted `register` or `observe` says."""
        if isinstance(message, Register):
            self.state, self.device_id = State.REGISTERED, message.device_id
            self.accepts = frozenset(message.accepts)
        else:
            self.state, self.accepts = State.OBSERVING, frozenset(message.accepts)
        self.opted_in = bool(self.accepts) or self.state is State.OBSERVING
        self._allowed = ALLOWED[self.state] & self.bearer.says


def _device_of(message: FromClient) -> str | None:
    """The device a message speaks for, if it names one."""
    if isinstance(message, TaskSubmit):
        return message.task.submitter_id
    return getattr(message, "device_id", None)
