"""Results on their way home: kept, also on disk, until the pool says that it has them."""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

import msgspec

from rpn.messages import FinishedAttempt, RunningAttempt, TaskDone

log = logging.getLogger(__name__)

RESULT_LIMIT = 10_000
"""Results kept at once; beyond it the oldest are given up."""
REGISTER_LIMIT_KIB = 512
"""How much of them a `register` carries; the rest follows it."""
RESEND_S = 10.0


class Results:
    """The attempts that have ended and that no gateway has acknowledged."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._kept: dict[str, FinishedAttempt] = {}
        self._sent_s: dict[str, float] = {}
        self._load()

    def __contains__(self, attempt: str) -> bool:
        return attempt in self._kept

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, finished: FinishedAttempt) -> None:
        """Remember a result until `acknowledge`; the agent may be killed from here on."""
        while len(self._kept) >= RESULT_LIMIT:
            oldest = next(iter(self._kept))
            log.warning("giving up the result of attempt %s: %d others wait", oldest, RESULT_LIMIT)
            self.acknowledge([oldest])
        self._kept[finished.attempt] = finished
        path = self._path(finished.attempt)
        try:
            path.with_suffix(".new").write_bytes(msgspec.json.encode(finished))
            path.with_suffix(".new").replace(path)
        except OSError as error:
            log.error("a result is kept in memory only: %s", error)

    def acknowledge(self, attempts: list[str]) -> None:
        """The pool has these; those we do not know are none of our business."""
        for attempt in attempts:
            self._sent_s.pop(attempt, None)
            if self._kept.pop(attempt, None) is not None:
                self._path(attempt).unlink(missing_ok=True)

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
