"""The commands that every agent has: what they take and what they answer."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from typing import Any


class BadInput(Exception):
    """The input is not what this command takes."""


def echo(given: Any) -> Any:
    """The input as it came."""
    return given


def nap_s(given: Any) -> float:
    """`{"seconds": s}` as that number. Raises BadInput."""
    return _number(given, "seconds")


def sleep(given: Any) -> Any:
    """`{"seconds": s}`: do nothing for so long."""
    seconds = nap_s(given)
    time.sleep(seconds)
    return {"slept": seconds}


def sha256(given: Any) -> str:
    """The SHA-256 of a text, or of the compact JSON of anything else, in hex."""
    import hashlib  # brings OpenSSL, which few workers need

    text = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def primes(given: Any) -> int:
    """`{"n": n}`: how many primes are below n."""
    limit = int(_number(given, "n"))
    if limit > 2_000_000_000:
        raise BadInput("n is at most 2000000000")
    if limit < 3:
        return 0
    odd = bytearray([1]) * (limit // 2)  # odd[i] stands for 2 i + 1; the 1 in front stands in for the 2
    for index in range(1, math.isqrt(limit - 1) // 2 + 1):
        if odd[index]:
            step = 2 * index + 1
            first = step * step // 2
            odd[first::step] = bytes(len(range(first, len(odd), step)))
    return odd.count(1)


BUILTINS: dict[str, Callable[[Any], Any]] = {"echo": echo, "sleep": sleep, "sha256": sha256, "primes": primes}


def _number(given: Any, key: str) -> float:
    value = given.get(key) if isinstance(given, dict) else given
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 2**53:
        raise BadInput(f"expected {{{json.dumps(key)}: a number that is not negative}}")
    return value
