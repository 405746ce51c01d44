"""Clients that stay for long: they heartbeat, come back at once, and remember all they hear."""

from __future__ import annotations

import contextlib
import itertools
import queue
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

from websockets.exceptions import WebSocketException

from tests.support.cluster import wait_for
from tests.support.patience import PATIENCE_S
from tests.support.ws import BIG_MB, Client, Closed, Message, fresh_id, resources

HEARTBEAT_EVERY_S = 2.0
RETRY_AFTER_S = 2.0
OUTCOME_LIMIT_S = 60.0
"""for all tasks there are, from when all is well again"""
TROUBLE = (OSError, Closed, WebSocketException)
"""What a connection may raise when its server dies."""


class Faithful(threading.Thread):
    """A device that stays in the pool: when its connection ends, it goes to the next gateway."""

    def __init__(self, urls: list[str], *, label: str = "faithful", **register: Any) -> None:
        super().__init__(daemon=True)
        self.device_id = fresh_id(label)
        self.heard: list[Message] = []
        self.connections = 0
        self.close_codes: list[int | None] = []
        self._urls = itertools.cycle(urls)
        self._register = register
        self._outgoing: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._end = threading.Event()

    def say(self, message: Message) -> None:
        """Send it on the connection there is, or on the next one."""
        self._outgoing.put(message)

    def end(self) -> None:
        self._end.set()
        self.join(PATIENCE_S)
        assert not self.is_alive(), f"{self.device_id} does not end"

    def run(self) -> None:
        while not self._end.is_set():
            try:
                client = Client(next(self._urls), device_id=self.device_id)
            except TROUBLE:
                self._end.wait(0.1)
                continue
            with contextlib.suppress(*TROUBLE):
                self._live(client)
            self.close_codes.append(client.close_code)
            client.close()

    def _live(self, client: Client) -> None:
        client.register(answered=False, **self.registration())
        client.update(resources(**self.offer()))
        self.connections += 1
        for message in self.to_say_again():
            client.send(message)
        taken, next_beat = 0, 0.0
        while not self._end.is_set():
            if time.monotonic() >= next_beat:
                next_beat = time.monotonic() + HEARTBEAT_EVERY_S
                client.heartbeat()
                self.beat()
            client.hear_one(0.02)
            for message in client.heard[taken:]:
                self.heard.append(message)
                self.hear(message)
            taken = len(client.heard)
            while not self._outgoing.empty():
                client.send(self._outgoing.get())

    # --- what kinds of clients differ in --------------------------------------------------

    def registration(self) -> Message:
        return self._register

    def offer(self) -> Message:
        """What it reports beside the usual: as a rule nothing that a task would fit on."""
        return {"memoryAvailable": 0, "memoryTotal": 0}

    def to_say_again(self) -> list[Message]:
        """What must be said on every new connection."""
        return []

    def beat(self) -> None:
        """Called now and then."""

    def hear(self, message: Message) -> None:
        """Called for every message."""


class Submitter(Faithful):
    """Submits tasks, again under the same id after every lost connection or refusal."""

    def __init__(self, urls: list[str], **register: Any) -> None:
        super().__init__(urls, label="submitter", **register)
        self.tasks: dict[str, Message] = {}
        self.outcomes: dict[str, list[Message]] = {}
        self.errors: list[Message] = []

    def submit(self, data: Message, **requirements: Any) -> str:
        task_id = fresh_id("task")
        self.tasks[task_id] = {
            "type": "task_submit",
            "requestId": task_id,
            "task": {
                "id": task_id,
                "type": "compute",
                "submitterId": self.device_id,
                "requirements": requirements,  # none: a busy machine takes it too
                "data": data,
            },
        }
        self.say(self.tasks[task_id])
        return task_id

    def open(self) -> list[str]:
        return [task_id for task_id in list(self.tasks) if task_id not in self.outcomes]

    def to_say_again(self) -> list[Message]:
        return [self.tasks[task_id] for task_id in self.open()]

    def hear(self, message: Message) -> None:
        if message["type"] == "task_result":
            self.outcomes.setdefault(message["taskId"], []).append(message["result"])
            self.say({"type": "ack", "ids": [message["taskId"]]})
        elif message["type"] == "error":
            self.errors.append(message)
            if message.get("requestId") in self.open():
                threading.Timer(RETRY_AFTER_S, self.say, [self.tasks[message["requestId"]]]).start()

    def registration(self) -> Message:
        return {"accepts": ["acks"], **super().registration()}

    def wait_all_done(self, *, within_s: float = OUTCOME_LIMIT_S) -> None:
        try:
            wait_for(lambda: not self.open(), within_s=within_s, what="an outcome of every task")
        except AssertionError:
            raise AssertionError(
                f"no outcome within {within_s} s of {len(self.open())} of {len(self.tasks)} tasks; "
                f"{self.connections} connections, last errors: {self.errors[-3:]}"
            ) from None

    def check_one_outcome_each(self) -> None:
        """Repeated deliveries are fine; two different outcomes never are."""
        for task_id, outcomes in list(self.outcomes.items()):
            assert all(outcome == outcomes[0] for outcome in outcomes), (task_id, outcomes)


class Worker(Faithful):
    """Runs tasks at once; every run has a result of its own, so that a second outcome shows."""

    def __init__(self, urls: list[str]) -> None:
        super().__init__(urls, label="worker")
        self._seen: set[tuple[str, str]] = set()
        self._unacknowledged: dict[str, Message] = {}

    def registration(self) -> Message:
        finished = list(self._unacknowledged.values())
        return {"accepts": ["tasks", "acks"], "running": [], "finished": finished}

    def offer(self) -> Message:
        return {"memoryAvailable": BIG_MB, "memoryTotal": BIG_MB}

    def beat(self) -> None:
        for finished in self._unacknowledged.values():
            self.say({"type": "task_done", **finished})

    def hear(self, message: Message) -> None:
        if message["type"] == "ack":
            for attempt in message["ids"]:
                self._unacknowledged.pop(attempt, None)
        elif message["type"] == "task_assign":
            attempt = (message["taskId"], message["attempt"])
            if attempt not in self._seen:
                self._seen.add(attempt)
                self._finish(*attempt)

    def _finish(self, task_id: str, attempt: str) -> None:
        result = {"success": True, "result": uuid.uuid4().hex}
        self._unacknowledged[attempt] = {"taskId": task_id, "attempt": attempt, "result": result}
        self.say({"type": "task_done", **self._unacknowledged[attempt]})


class Crowd:
    """A submitter, a worker and a few devices, spread over the gateways."""

    def __init__(self, urls: list[str], *, devices: int = 6) -> None:
        self.submitter = Submitter(urls)
        self.worker = Worker(urls[1:] + urls[:1])
        spread = [urls[i % len(urls) :] + urls[: i % len(urls)] for i in range(devices)]
        self.devices: list[Faithful] = [Faithful(turned) for turned in spread]

    @property
    def all(self) -> list[Faithful]:
        return [self.submitter, self.worker, *self.devices]

    def submit_for(self, seconds: float, *, every_s: float = 0.05) -> None:
        """A stream of tasks, in turn for this machine's agent and for the worker."""
        until = time.monotonic() + seconds
        for i in itertools.count():
            if time.monotonic() >= until:
                return
            memory = {"memory": BIG_MB // 1000} if i % 2 else {}
            self.submitter.submit({"command": "echo", "input": i}, cpu=1, **memory)
            time.sleep(every_s)

    def check_sockets_stayed(self) -> None:
        """Of those who only stay; who insists on being served while nobody can may be sent away."""
        for member in [self.worker, *self.devices]:
            assert member.connections == 1, f"{member.device_id} was closed with {member.close_codes}"

    def check_nobody_was_reported_left(self) -> None:
        ours = {member.device_id for member in self.all}
        for member in self.all:
            told = [m["deviceId"] for m in member.heard if m["type"] == "device_left"]
            assert not ours & set(told), f"{member.device_id} heard that {ours & set(told)} left"


@contextlib.contextmanager
def crowd(urls: list[str], *, devices: int = 6) -> Iterator[Crowd]:
    """A crowd that has settled in the pool."""
    people = Crowd(urls, devices=devices)
    try:
        for member in people.all:
            member.start()
        wait_for(lambda: all(member.connections for member in people.all), what="all joined")
        yield people
    finally:
        for member in people.all:
            member.end()
