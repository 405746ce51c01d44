"""Results on their way home: kept until the pool says that it has them, on disk where that matters.

What took long to make, or is made while there is no connection, is written down at once. The result
of a short attempt goes out at once, and is written only if nobody has acknowledged it a moment later:
should the agent be killed before that, the attempt is lost with it and the pool runs the task again,
which costs less than a write for each.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from collections import OrderedDict
from pathlib import Path

import msgspec

from rpn.messages import FinishedAttempt, RunningAttempt, TaskDone

log = logging.getLogger(__name__)

RESULT_LIMIT = 10_000
"""Results kept at once; beyond it the oldest are given up."""
REGISTER_LIMIT_KIB = 512
"""How much of them a `register` carries; the rest follows it."""
RESEND_S = 10.0
WORTH_WRITING_S = 0.25
"""An attempt that took so long is not lightly run again."""
WRITE_AFTER_S = 0.5
"""How long a result may wait for its acknowledgement in memory alone."""


class Results:
    """The attempts that have ended and that no gateway has acknowledged."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._kept: dict[str, FinishedAttempt] = {}
        self._sent_s: dict[str, float] = {}
        self._written: set[str] = set()
        self._unwritten: OrderedDict[str, float] = OrderedDict()
        """those in memory alone, and since when, oldest first"""
        self._any_unwritten = asyncio.Event()
        self._load()

    def __contains__(self, attempt: str) -> bool:
        return attempt in self._kept

    def __len__(self) -> int:
        return len(self._kept)

    async def run(self) -> None:
        """Write down what waits for its acknowledgement too long; the rest at the end."""
        try:
            while True:
                await self._any_unwritten.wait()
                await asyncio.sleep(WRITE_AFTER_S)
                self._write_older(_now_s() - WRITE_AFTER_S)
        finally:
            self.secure()

    def keep(self, finished: FinishedAttempt, *, now_s: float, took_s: float = 0.0) -> None:
        """Remember a result until `acknowledge`; one that `took_s` long outlives the agent from here on."""
        while len(self._kept) >= RESULT_LIMIT:
            oldest = next(iter(self._kept))
            log.warning("giving up the result of attempt %s: %d others wait", oldest, RESULT_LIMIT)
            self.acknowledge([oldest])
        self._kept[finished.attempt] = finished
        if took_s >= WORTH_WRITING_S:
            self._write(finished)
        else:
            self._unwritten[finished.attempt] = now_s
            self._any_unwritten.set()

    def acknowledge(self, attempts: list[str]) -> None:
        """The pool has these; those we do not know are none of our business."""
        for attempt in attempts:
            self._sent_s.pop(attempt, None)
            self._unwritten.pop(attempt, None)
            self._kept.pop(attempt, None)
            if attempt in self._written:
                self._written.discard(attempt)
                self._path(attempt).unlink(missing_ok=True)

    def secure(self) -> None:
        """Write down what is in memory alone: the way home is cut."""
        self._write_older(float("inf"))

    def _write_older(self, before_s: float) -> None:
        while self._unwritten and next(iter(self._unwritten.values())) <= before_s:
            attempt, _ = self._unwritten.popitem(last=False)
            self._write(self._kept[attempt])
        if not self._unwritten:
            self._any_unwritten.clear()

    def _write(self, finished: FinishedAttempt) -> None:
        path = self._path(finished.attempt)
        try:
            path.with_suffix(".new").write_bytes(msgspec.json.encode(finished))
            path.with_suffix(".new").replace(path)
            self._written.add(finished.attempt)
        except OSError as error:
            log.error("a result is kept in memory only: %s", error)

    def message(self, attempt: str, *, now_s: float) -> TaskDone:
        """The report of a result, noted as sent."""
        self._sent_s[attempt] = now_s
        kept = self._kept[attempt]
        return TaskDone(task_id=kept.task_id, attempt=kept.attempt, result=kept.result)

    def overdue(self, *, now_s: float) -> list[str]:
        """The attempts whose results were sent a while ago, or never, and not acknowledged."""
        return [
            attempt
            for attempt in self._kept
            if attempt not in self._sent_s or now_s - self._sent_s[attempt] >= RESEND_S
        ]

    def for_register(self, *, now_s: float) -> tuple[list[FinishedAttempt], list[RunningAttempt]]:
        """What a `register` lists as finished, and what it must list as running to send it later."""
        self.secure()
        finished: list[FinishedAttempt] = []
        later: list[RunningAttempt] = []
        left_bytes = REGISTER_LIMIT_KIB * 1024
        for kept in self._kept.values():
            left_bytes -= len(msgspec.json.encode(kept))
            if left_bytes >= 0:
                finished.append(kept)
                self._sent_s[kept.attempt] = now_s
            else:
                later.append(RunningAttempt(kept.task_id, kept.attempt))
                self._sent_s.pop(kept.attempt, None)
        return finished, later

    def _path(self, attempt: str) -> Path:
        return self._folder / f"{hashlib.sha256(attempt.encode()).hexdigest()}.json"

    def _load(self) -> None:
        paths = sorted(self._folder.glob("*.json"), key=os.path.getmtime)
        for path in paths:
            try:
                finished = msgspec.json.decode(path.read_bytes(), type=FinishedAttempt)
            except (OSError, ValueError) as error:
                log.warning("%s is no result: %s", path, error)
                path.unlink(missing_ok=True)
                continue
            self._kept[finished.attempt] = finished
            self._written.add(finished.attempt)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
