"""How a process ended, in words for the submitter."""

from __future__ import annotations

import signal

from agent.plan import failed
from agent.spawner import End, Limits
from rpn.model import Outcome, TaskResult


def explained(end: End, limits: Limits, last_words: str = "") -> TaskResult | None:
    """The result of a process that failed; None of one that did not."""
    match end.why:
        case "timeout":
            return failed(Outcome.TIMEOUT, f"ran longer than {limits.wall_s:g} s")
        case "oom":
            return failed(Outcome.OOM, f"used more than its {limits.memory_mb:g} MB of memory")
        case "processes":
            return failed(Outcome.LIMIT, f"ran more than {limits.processes} processes at once")
        case "storage":
            return failed(Outcome.LIMIT, f"wrote more than its {limits.storage_mb:g} MB of files")
    if end.status:
        return failed(Outcome.EXIT, "\n".join(filter(None, (_described(end.status), last_words.strip()))))
    if end.why == "left":
        return failed(Outcome.EXIT, "it ended, but left processes behind, which were ended too")
    return None


def _described(status: int) -> str:
    if status >= 0:
        return f"exit code {status}"
    try:
        return f"ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"ended by signal {-status}"
