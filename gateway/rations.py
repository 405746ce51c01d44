"""What one token may take of a gateway: connections, messages a second; whoever has no quota pays nothing."""

from __future__ import annotations

from gateway.bearers import Bearer
from rpn.errors import RateLimited
from rpn.store.records import Patron
from rpn.store.tasks import TaskLimits
from rpn.store.tokens import Quota

BUSY_S = 1
"""when to come again"""


class Ration:
    """One token's, over all its connections to this gateway."""

    __slots__ = ("_at_s", "_left", "connections", "quota")

    def __init__(self, quota: Quota, now_s: float) -> None:
        self.quota = quota
        self.connections = 0
        self._left = float(quota.messages_per_s)
        self._at_s = now_s

    def take(self, now_s: float) -> None:
        """Count a message. Raises RateLimited: a second's worth at once is well, more is not."""
        rate = self.quota.messages_per_s
        if not rate:
            return
        self._left = min(rate, self._left + (now_s - self._at_s) * rate)
        self._at_s = now_s
        if self._left < 1:
            raise RateLimited(f"this token may say {rate} messages a second", retry_after_s=BUSY_S)
        self._left -= 1


class Rations:
    """Those of the tokens that are connected and have a quota."""

    def __init__(self) -> None:
        self._rations: dict[str, Ration] = {}

    def open(self, bearer: Bearer, now_s: float) -> Ration | None:
        """Count a connection; None if its bearer has no quota. Raises RateLimited."""
        if bearer.record is None or bearer.record.quota == Quota():
            return None
        ration = self._rations.setdefault(bearer.id, Ration(bearer.record.quota, now_s))
        limit = ration.quota.connections
        if limit and ration.connections >= limit:
            raise RateLimited(f"this token may have {limit} connections", retry_after_s=BUSY_S)
        ration.connections += 1
        return ration

    def close(self, bearer: Bearer) -> None:
        """A connection that `open` counted is over."""
        ration = self._rations[bearer.id]
        ration.connections -= 1
        if not ration.connections:
            del self._rations[bearer.id]


def patron_of(bearer: Bearer) -> Patron | None:
    """In whose name its bearer asks the scheduler; None for everybody."""
    record = bearer.record
    if record is None:
        return None
    return Patron(record.id, record.quota.share_percent, record.quota.open_tasks)


def task_limits(limits: TaskLimits, bearer: Bearer) -> TaskLimits:
    """The pool's limits, or what the bearer's token may have open, if that is less."""
    quota = bearer.record.quota.open_tasks if bearer.record is not None else 0
    return limits._replace(submitter=min(limits.submitter, quota)) if quota else limits
