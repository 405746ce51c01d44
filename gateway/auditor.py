"""Writes down who did what about access, without letting anybody wait for it."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter

import msgspec

from rpn.errors import Forbidden, RPNError, StoreUnavailable
from rpn.store.audit import Audit, Deed
from rpn.tokens import without_tokens

log = logging.getLogger(__name__)

WRITE_EVERY_S = 1.0
WAITING_LIMIT = 1000
"""different deeds that may wait; what is more is counted as one"""
TOO_MANY = Deed("many", "more than could be written down", "dropped")


class Auditor:
    """Gathers deeds, the same ones of one second as one entry."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self._waiting: Counter[Deed] = Counter()

    def note(self, who: str, what: str, outcome: str, address: str = "") -> None:
        deed = Deed(who, without_tokens(what), outcome, address)
        self._waiting[deed if deed in self._waiting or len(self._waiting) < WAITING_LIMIT else TOO_MANY] += 1

    def refused(self, who: str, what: str, error: RPNError, address: str) -> None:
        """Somebody with a good token wanted what that is not for; other errors are nobody's business."""
        if isinstance(error, Forbidden):
            self.note(who, what, error.code, address)

    async def run(self) -> None:
        """Write what has gathered, once a second; what cannot be written now waits."""
        while True:
            await asyncio.sleep(WRITE_EVERY_S)
            await self.flush()

    async def flush(self) -> None:
        waiting, self._waiting = self._waiting, Counter()
        if not waiting:
            return
        try:
            await self._audit.write(
                [msgspec.structs.replace(deed, times=times) for deed, times in waiting.items()]
            )
        except StoreUnavailable as error:
            log.debug("cannot write the audit: %s", error)
            self._waiting += waiting
