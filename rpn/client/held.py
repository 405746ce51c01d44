"""A reservation while an `async with` block lasts: asked for, renewed, given back."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING

from rpn.client.refusals import NotFulfilled
from rpn.messages import AllocationUpdate
from rpn.model import Allocation, Requirements, Share

if TYPE_CHECKING:
    from rpn.client.pool import AsyncPool

RETRY_S = 0.5
"""between two attempts of one that is ready to wait"""


class Held:
    """`shares` tells which device gives how much; `over` is set when nothing is held any more."""

    def __init__(
        self, pool: AsyncPool, requirements: Requirements, *, wait_s: float, ttl_s: float | None
    ) -> None:
        self.over = asyncio.Event()
        self._pool = pool
        self._requirements = requirements
        self._wait_s = wait_s
        self._ttl_s = ttl_s
        self._allocation: Allocation | None = None
        self._renewing: asyncio.Task[None] | None = None

    @property
    def allocation(self) -> Allocation:
        """As it is now: a share that was lost may have been replaced."""
        if self._allocation is None:
            raise NotFulfilled("nothing is reserved before the block begins")
        return self._allocation

    @property
    def shares(self) -> list[Share]:
        return self.allocation.allocated_devices

    async def __aenter__(self) -> Held:
        self._allocation = await self._granted()
        self._pool.hold(self._allocation.id, self._updated)
        if self._ttl_s is not None:
            self._renewing = asyncio.create_task(self._renew(self._allocation.id, self._ttl_s))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
        self._pool.let_go(self.allocation.id)
        self._pool.release(self.allocation)

    async def _granted(self) -> Allocation:
        """The allocation, asked for again until `wait_s` is over. Raises NotFulfilled."""
        until_s = asyncio.get_running_loop().time() + self._wait_s
        while True:
            answer = await self._pool.ask(self._requirements, ttl_s=self._ttl_s)
            if answer.allocation.fulfilled:
                return answer.allocation
            if asyncio.get_running_loop().time() + RETRY_S > until_s:
                reason = answer.reason
                raise NotFulfilled(reason.message if reason else "the pool has no room for it now", reason)
            await asyncio.sleep(RETRY_S)

    async def _renew(self, allocation_id: str, ttl_s: float) -> None:
        while True:
            await asyncio.sleep(ttl_s / 3)
            self._pool.renew(allocation_id, ttl_s)

    def _updated(self, message: AllocationUpdate) -> None:
        self._allocation = message.allocation
        if message.change in ("released", "expired"):
            self.over.set()
