"""Counts requests by address over all gateways, and refuses those that are too many."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from gateway.limits import LocalRates, rate_address
from rpn.errors import RateLimited, StoreUnavailable
from rpn.store.follower import Follower
from rpn.store.rates import WINDOW_MS, Rates


class Toll:
    """At most `limit` requests a minute and address, 0 for any number; `of` names what is counted."""

    def __init__(self, limit: int, rates: Rates, follower: Follower, *, of: str = "") -> None:
        self._limit = limit
        self._rates = rates
        self._local = LocalRates(WINDOW_MS)
        self._follower = follower
        self._of = of

    async def take(self, request: Request) -> None:
        """Count a request; raises RateLimited when its address asks too often."""
        if not self._limit:
            return
        count, left_ms = await self._count(
            self._of + rate_address(request.client.host if request.client else "")
        )
        if count > self._limit:
            raise RateLimited(
                f"more than {self._limit} requests a minute from one address",
                retry_after_s=max(1, -(-left_ms // 1000)),
            )

    async def _count(self, counted: str) -> tuple[int, int]:
        """With the pool's server, or alone while that is away."""
        try:
            if not self._follower.current:
                raise StoreUnavailable
            return await self._rates.count(counted)
        except StoreUnavailable:
            now_ms = int(asyncio.get_running_loop().time() * 1000)
            return self._local.count(counted, now_ms)
