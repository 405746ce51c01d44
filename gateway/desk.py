"""What to do about each message that a client may say: one method a message."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from gateway.errands import Errands
from gateway.hub import Hub
from gateway.ids import new_id
from gateway.limits import check_payload, check_requirements, check_ttl
from gateway.names import asks_as
from gateway.peer import Peer
from gateway.rations import patron_of, task_limits
from gateway.registrar import Registrar
from gateway.relay import Relay
from gateway.uplink import JOIN_LIMIT_S, Uplink
from rpn.codec import encode
from rpn.errors import (
    ObserverLimit,
    RPNError,
    StoreUnavailable,
    Superseded,
)
from rpn.events import Identity, Report, pack_report
from rpn.messages import (
    Ack,
    Acked,
    AllocationRenew,
    FromClient,
    Heartbeat,
    Observe,
    Ping,
    Pong,
    Register,
    ResourceChanged,
    ResourceRelease,
    ResourceRequest,
    ResourceUpdate,
    TaskCancel,
    TaskDone,
    TaskProgress,
    TaskProgressReport,
    TaskResultMessage,
    TaskStarted,
    TaskStatus,
    TaskSubmit,
)
from rpn.settings import GatewaySettings
from rpn.store.records import (
    DoneEntry,
    ProgressEntry,
    ReconcileEntry,
    ReleaseEntry,
    RenewEntry,
    RequestEntry,
    RequestStreamEntry,
    StartedEntry,
    TaskStreamEntry,
)
from rpn.store.requests import Requests
from rpn.store.steps import Step
from rpn.store.tasks import Cancelled, Submitted, TaskLimits, Tasks

CAPABILITIES_LIMIT = 4 * 1024
"""bytes of JSON in what a device tells about itself"""

ACKNOWLEDGE_AFTER_S = 0.02
"""how long an agent may wait to hear that its result is kept: nothing of it waits for that"""

HEARD_EVERY_S = 1.0
"""how often the pool is told of a device that says other things than how it is"""

INBOX_KINDS = ("task", "allocation", "update")
"""what may wait for a device under an id that it acknowledges"""

M = TypeVar("M", bound=FromClient)


class Desk:
    """Where a client's messages are dealt with; what it may not say was refused before."""

    def __init__(
        self,
        settings: GatewaySettings,
        hub: Hub,
        uplink: Uplink,
        errands: Errands,
        relay: Relay,
        registrar: Registrar,
        requests: Requests,
        tasks: Tasks,
    ) -> None:
        self._settings = settings
        self._hub = hub
        self._uplink = uplink
        self._errands = errands
        self._relay = relay
        self._registrar = registrar
        self._requests = requests
        self._tasks = tasks
        self._task_limits = TaskLimits(settings.open_task_limit, settings.submitter_task_limit)
        self._acknowledged: dict[Peer, list[str]] = {}
        """attempts whose results are in the store, to be told to who brought them"""
        self._handlers: dict[type[FromClient], Callable[[Peer, Any], None]] = {
            Register: self._register,
            Observe: self._observe,
            Ping: self._ping,
            Heartbeat: self._heartbeat,
            ResourceUpdate: self._resource_update,
            ResourceRequest: self._resource_request,
            AllocationRenew: self._allocation_renew,
            ResourceRelease: self._resource_release,
            TaskSubmit: self._task_submit,
            TaskCancel: self._task_cancel,
            TaskStarted: self._task_started,
            TaskProgressReport: self._task_progress,
            TaskDone: self._task_done,
            Ack: self._ack,
        }

    def handle(self, peer: Peer, message: FromClient) -> None:
        """Do what an admitted message asks. Raises RPNError: then nothing has changed."""
        if peer.session_id and not self._hub.speaks(peer):
            raise Superseded("a newer connection registered this device")
        self._handlers[type(message)](peer, message)
        if peer.session_id and peer.heard_s - peer.noted_s > HEARD_EVERY_S:
            self._heartbeat(peer, message)

    # --- being there --------------------------------------------------------------------------

    def _register(self, peer: Peer, message: Register) -> None:
        check_payload(message.capabilities, "capabilities", CAPABILITIES_LIMIT)
        self._registrar.check(peer, message)
        again, record = peer.device_id == message.device_id, peer.session.bearer.record
        peer.session.enter(message)
        peer.identity = Identity(
            message.device_name,
            message.platform,
            peer.address,
            {**message.labels, **(record.labels if record is not None else {})},
            sorted(message.accepts),
            capabilities=dict(message.capabilities),
            owner=peer.session.bearer.id,
        )
        if again:
            self._uplink.identify(peer)
            return
        peer.hears = message.receives == "all"
        peer.session_id = secrets.token_hex(8)
        peer.entries = _reconciliation(peer, message)
        self._hub.enter(peer)
        self._registrar.registered(peer)
        self._uplink.join(peer)
        peer.join_by_s = asyncio.get_running_loop().time() + 2 * JOIN_LIMIT_S

    def _observe(self, peer: Peer, message: Observe) -> None:
        if peer in self._hub.observers:
            return
        if len(self._hub.observers) >= self._settings.observer_limit:
            limit = self._settings.observer_limit
            raise ObserverLimit(f"this gateway holds {limit} observers (RPN_OBSERVER_LIMIT)")
        peer.session.enter(message)
        self._hub.observers.add(peer)
        self._hub.welcome(peer)

    def _ping(self, peer: Peer, message: Ping) -> None:
        self._hub.deliver(peer, encode(Pong(request_id=message.request_id)))

    def _heartbeat(self, peer: Peer, message: FromClient) -> None:
        peer.noted_s = peer.heard_s
        self._uplink.heard(peer)

    def _resource_update(self, peer: Peer, message: ResourceUpdate) -> None:
        peer.noted_s = peer.heard_s
        frame = encode(ResourceChanged(device_id=message.device_id, resources=message.resources))
        self._uplink.report(peer, pack_report(Report(frame, message.pool_usage)))

    # --- resources ----------------------------------------------------------------------------

    def _resource_request(self, peer: Peer, message: ResourceRequest) -> None:
        check_requirements(message.requirements)
        ttl_ms = self._ttl_ms(message.ttl_s)
        explains = peer.session.opted_in or ttl_ms > 0 or message.dry_run
        allocation_id = new_id()

        def entry() -> RequestEntry:
            return RequestEntry(
                allocation_id,
                peer.device_id,
                self._presence(peer),
                message.requirements,
                message.request_id,
                releases=peer.session.opted_in,
                ttl_ms=ttl_ms,
                dry_run=message.dry_run,
                explains=explains,
                patron=patron_of(peer.session.bearer),
            )

        self._enter_request(peer, message, entry, mark=allocation_id)

    def _resource_release(self, peer: Peer, message: ResourceRelease) -> None:
        entry = ReleaseEntry(peer.device_id, message.allocation_id, message.request_id)
        self._enter_request(peer, message, lambda: entry, mark=new_id())

    def _allocation_renew(self, peer: Peer, message: AllocationRenew) -> None:
        ttl_ms = self._ttl_ms(message.ttl_s)
        entry = RenewEntry(peer.device_id, message.allocation_id, ttl_ms, message.request_id)
        self._enter_request(peer, message, lambda: entry, mark=new_id())

    def _ttl_ms(self, ttl_s: float | None) -> int:
        """Raises BadMessage when it is too long; 0 when none was asked for."""
        check_ttl(ttl_s or 0, self._settings.allocation_ttl_limit_s)
        return max(1, int(ttl_s * 1000)) if ttl_s else 0

    def _enter_request(
        self, peer: Peer, message: FromClient, entry: Callable[[], RequestStreamEntry], *, mark: str
    ) -> None:
        def step() -> Step[bool]:
            presence = self._presence(peer)
            return self._requests.enter(entry(), presence=presence, mark=f"{mark} {self._uplink.gateway}")

        self._speak(peer, message, step, lambda: None)

    # --- tasks --------------------------------------------------------------------------------

    def _task_submit(self, peer: Peer, message: TaskSubmit) -> None:
        task = message.task
        check_payload(task.data, "task.data")
        if task.submitter_id != peer.device_id:
            task = msgspec.structs.replace(task, submitter_id=peer.device_id)
        limits = task_limits(self._task_limits, peer.session.bearer)

        def answered(answer: Submitted | RPNError) -> None:
            if isinstance(answer, RPNError):
                self._refuse(peer, answer, message)
                return
            status = TaskStatus(
                task_id=task.id,
                state=answer.state,
                attempts=answer.attempts,
                request_id=message.request_id,
            )
            self._tell(peer, status)
            self._tell_result(peer, task.id, answer.result)

        step = self._tasks.submit(task, limits, patron=patron_of(peer.session.bearer))
        self._errands.add(peer, step, answered)

    def _task_cancel(self, peer: Peer, message: TaskCancel) -> None:
        mark_ms = int(self._settings.task_retention_s * 1000)

        def answered(answer: Cancelled | RPNError) -> None:
            if isinstance(answer, RPNError):
                self._refuse(peer, answer, message)
            else:
                self._tell_result(peer, message.task_id, answer.result)

        token_id = asks_as(peer.session.bearer, peer.device_id)
        step = self._tasks.cancel(peer.device_id, message.task_id, mark_ms=mark_ms, token_id=token_id)
        self._errands.add(peer, step, answered)

    def _task_started(self, peer: Peer, message: TaskStarted) -> None:
        self._report(peer, message, StartedEntry(peer.device_id, message.task_id, message.attempt))

    def _task_progress(self, peer: Peer, message: TaskProgressReport) -> None:
        frame = encode(TaskProgress(task_id=message.task_id, progress=message.progress, log=message.log))
        entry = ProgressEntry(
            peer.device_id, message.task_id, message.attempt, frame, message.progress, message.log or ""
        )
        self._report(peer, message, entry)

    def _task_done(self, peer: Peer, message: TaskDone) -> None:
        entry = _done(peer, message)
        self._report(peer, message, entry, lambda: self._acknowledge(peer, [message.attempt]))

    def _report(
        self,
        peer: Peer,
        message: FromClient,
        entry: TaskStreamEntry,
        done: Callable[[], None] = lambda: None,
    ) -> None:
        def step() -> Step[bool]:
            return self._tasks.report(peer.device_id, self._presence(peer), entry)

        self._speak(peer, message, step, done)

    def _ack(self, peer: Peer, message: Ack) -> None:
        for each in message.ids:
            self._relay.received += [(peer.device_id, f"{kind}:{each}") for kind in INBOX_KINDS]

    # --- answers ------------------------------------------------------------------------------

    def joined(self, peer: Peer) -> None:
        """Its join is in the store, and with it the results it brought along."""
        attempts = [entry.attempt for entry in peer.entries if isinstance(entry, DoneEntry)]
        peer.entries = ()
        if attempts:
            self._acknowledge(peer, attempts)

    def _acknowledge(self, peer: Peer, attempts: list[str]) -> None:
        """Soon, and together with what comes meanwhile: waking an agent costs as much as a small task."""
        if not self._acknowledged:
            asyncio.get_running_loop().call_later(ACKNOWLEDGE_AFTER_S, self._acknowledge_all)
        self._acknowledged.setdefault(peer, []).extend(attempts)

    def _acknowledge_all(self) -> None:
        acknowledged, self._acknowledged = self._acknowledged, {}
        for peer, attempts in acknowledged.items():
            self._tell(peer, Acked(ids=attempts))

    def _speak(
        self, peer: Peer, message: FromClient, step: Callable[[], Step[bool]], done: Callable[[], None]
    ) -> None:
        """Run a step that holds only while `peer` speaks for its device.

        Our id in the store, which the step names, may have changed while it waited: then the step
        is made anew.
        """
        made_by = self._uplink.gateway

        def answered(answer: bool | RPNError) -> None:
            if isinstance(answer, RPNError):
                self._refuse(peer, answer, message)
            elif answer:
                done()
            elif peer.gone or not self._hub.speaks(peer):
                return
            elif self._uplink.gateway != made_by:
                self._speak(peer, message, step, done)
            else:
                self._refuse(peer, StoreUnavailable("the pool does not know this connection now"), message)

        self._errands.add(peer, step(), answered)

    def _tell(self, peer: Peer, message: TaskStatus | Acked) -> None:
        if peer.session.opted_in and not peer.gone:
            self._hub.deliver(peer, encode(message))

    def _tell_result(self, peer: Peer, task_id: str, result: bytes) -> None:
        """The outcome of a task that was over already."""
        if result and not peer.gone:
            message = TaskResultMessage(task_id=task_id, result=msgspec.Raw(result))
            self._hub.deliver(peer, encode(message))

    def _refuse(self, peer: Peer, error: RPNError, message: FromClient) -> None:
        if not peer.gone:
            peer.refuse(error, message.request_id)

    def _presence(self, peer: Peer) -> str:
        return f"{peer.session_id} {self._uplink.gateway}"


def _done(peer: Peer, message: TaskDone) -> DoneEntry:
    """What an agent says about the end of an attempt, for the scheduler."""
    outcome = check_payload(message.result.outcome, "result")
    return DoneEntry(peer.device_id, message.task_id, message.attempt, message.result.success, outcome)


def _reconciliation(peer: Peer, message: Register) -> tuple[TaskStreamEntry, ...]:
    """What an agent finished while away, and then what it still runs."""
    if "tasks" not in message.accepts:
        return ()
    finished = [
        _done(peer, TaskDone(task_id=each.task_id, attempt=each.attempt, result=each.result))
        for each in message.finished
    ]
    running = [(each.task_id, each.attempt) for each in message.running or []]
    return (*finished, ReconcileEntry(peer.device_id, peer.session_id, running))
