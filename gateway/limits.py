"""How much one client may ask for: counting without I/O, time is an argument."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any

from rpn.codec import DEPTH_LIMIT, encode, storable
from rpn.errors import BadMessage, BadRequirements
from rpn.model import Failure, Requirements, Success

DATA_LIMIT = 256 * 1024
"""bytes of JSON in a task's `data`, and of a task's result"""
ERROR_LIMIT, ERROR_SPAN_S = 50, 60.0
"""refused messages a connection may cause in this time"""
REGISTER_LIMIT, REGISTER_SPAN_S = 20, 10.0
"""registers a deviceId may make in this time, over all its connections to one gateway"""
ADDRESSES_KEPT = 10_000


def check_requirements(requirements: Requirements) -> None:
    """Raise BadRequirements when nothing is asked for."""
    if requirements.nothing:
        raise BadRequirements("ask for something: cpu, memory, storage or gpu")


def check_ttl(ttl_s: float, limit_s: float) -> None:
    """Raise BadMessage when something is to be held for too long."""
    if ttl_s > limit_s:
        raise BadMessage(f"`ttl` is at most {limit_s:g} s (RPN_ALLOCATION_TTL_LIMIT_S)")


def check_payload(value: Any, name: str, limit: int = DATA_LIMIT) -> bytes:
    """The JSON of what a client may fill as it likes; raises BadMessage if nobody could take it."""
    if not storable(value.result if isinstance(value, Success | Failure) else value):
        raise BadMessage(f"`{name}` holds an integer of over 64 bits, or is nested over {DEPTH_LIMIT} deep")
    encoded = encode(value)
    if len(encoded) > limit:
        raise BadMessage(f"`{name}` is larger than {limit // 1024} KiB")
    return encoded


class Window:
    """At most `limit` events within any `span_s` seconds."""

    __slots__ = ("_limit", "_span_s", "_times")

    def __init__(self, limit: int, span_s: float) -> None:
        self._limit, self._span_s = limit, span_s
        self._times: list[float] = []  # a few at most: one of each connection, where a deque takes 0.6 KB

    def admits(self, now_s: float) -> bool:
        """Count one event; False when it is one too many."""
        times = self._times
        while times and times[0] <= now_s - self._span_s:
            del times[0]
        if len(times) >= self._limit:
            return False
        times.append(now_s)
        return True

    def idle(self, now_s: float) -> bool:
        """Nothing is remembered any more."""
        return not self._times or self._times[-1] <= now_s - self._span_s


class LocalRates:
    """Fixed windows by address, for while the pool's server cannot count for all gateways."""

    def __init__(self, window_ms: int) -> None:
        self._window_ms = window_ms
        self._windows: dict[str, tuple[int, int]] = {}

    def count(self, address: str, now_ms: int) -> tuple[int, int]:
        """(requests in this window so far, this one included; ms until it ends)."""
        count, end_ms = self._windows.get(address, (0, 0))
        if end_ms <= now_ms:
            count, end_ms = 0, now_ms + self._window_ms
            self._forget(now_ms)
        self._windows[address] = (count + 1, end_ms)
        return count + 1, end_ms - now_ms

    def _forget(self, now_ms: int) -> None:
        if len(self._windows) >= ADDRESSES_KEPT:
            self._windows = {k: v for k, v in self._windows.items() if v[1] > now_ms}


@lru_cache(ADDRESSES_KEPT)
def rate_address(address: str) -> str:
    """What counts as one address: an IPv4 address, or an IPv6 network of /64."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if parsed.version == 6:
        mapped = parsed.ipv4_mapped
        return str(mapped) if mapped else str(ip_network((parsed, 64), strict=False).network_address)
    return str(parsed)
