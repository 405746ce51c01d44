"""Amounts as people write them, in the units of the protocol: "4 GiB" of memory, 2 cores."""

from __future__ import annotations

import re
from math import ceil

from rpn.errors import BadRequirements
from rpn.model import LARGEST

MB = 2**20
CORE_PERCENT = 100
"""one full core, as the protocol counts it"""

_BYTES = {
    "b": 1,
    "k": 10**3,
    "kb": 10**3,
    "kib": 2**10,
    "m": MB,
    "mb": MB,
    "mib": MB,
    "g": 2**30,
    "gb": 10**9,
    "gib": 2**30,
    "t": 2**40,
    "tb": 10**12,
    "tib": 2**40,
}
_AMOUNT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", re.IGNORECASE)


def megabytes(amount: float | str) -> int:
    """Whole MB (of 2**20 bytes) that hold `amount`: a number of MB, or text such as "512M", "4 GiB".

    "GB" and "TB" are powers of ten, "G", "GiB", "T", "TiB" powers of two. Raises BadRequirements.
    """
    if not isinstance(amount, str):
        return _whole(amount, amount)
    found = _AMOUNT.fullmatch(amount)
    unit = found[2].lower() or "mb" if found else ""
    if found is None or unit not in _BYTES:
        raise BadRequirements(f"{amount!r} is no amount of memory or storage; expected for example '4 GiB'")
    return _whole(float(found[1]) * _BYTES[unit] / MB, amount)


def core_percent(cores: float) -> int:
    """`cores` (1 is one full core, 0.5 half of one) as the protocol counts them. Raises BadRequirements."""
    return _whole(cores * CORE_PERCENT, cores)


def _whole(value: float, said: object) -> int:
    if not value >= 0:
        raise BadRequirements(f"{said!r} is no amount: expected 0 or more")
    if value > LARGEST:
        raise BadRequirements(f"{said!r} is more than can be asked for")
    return ceil(value)
