"""What one device can give now, what it could give if it were idle, and what kind of device it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from zlib import crc32

from rpn.events import Identity
from rpn.model import Share
from scheduler.amounts import NOTHING, Amounts

DRAWERS = 16
"""parts of a cell of the grid"""
SLOTS_MIN, SLOTS_A_CORE = 64, 64
"""tasks that a device may have at a time, however little they need"""


class Kind(NamedTuple):
    """What placement knows of a device beside its amounts."""

    runs_tasks: bool = False
    labels: frozenset[tuple[str, str]] = frozenset()
    types: frozenset[str] | None = None
    """the task types it would run; None: it does not tell, so any"""
    commands: frozenset[str] | None = None
    """the commands it would run; None: it does not tell, so any"""


PLAIN = Kind()
WORKER = Kind(runs_tasks=True)


class Offer:
    """One device's, whose free amounts (`cpu`, `memory`, `storage`, `gpu`) change all the time."""

    __slots__ = (
        "cpu",
        "device_id",
        "device_name",
        "drawer",
        "gpu",
        "held",
        "kind",
        "memory",
        "spot",
        "storage",
        "total",
    )

    def __init__(
        self, device_id: str, device_name: str, free: Amounts, total: Amounts, kind: Kind = PLAIN
    ) -> None:
        self.device_id = device_id
        self.device_name = device_name
        self.cpu, self.memory, self.storage, self.gpu = free
        self.total = total
        self.kind = kind
        self.held = 0
        """how many hold something of it, be it nothing"""
        self.spot = -1
        """where it lies in the grid; -1: nowhere"""
        self.drawer = crc32(device_id.encode()) % DRAWERS
        """in which part of its cell; the same for a device everywhere and always"""

    @property
    def free(self) -> Amounts:
        return Amounts(self.cpu, self.memory, self.storage, self.gpu)

    @property
    def shown(self) -> Amounts:
        """What is free, for people: a closed device has nothing, not less."""
        return NOTHING if self.closed else self.free

    @property
    def closed(self) -> bool:
        """Its owner withholds all of it: not even what needs nothing is put there."""
        return self.cpu < 0

    @property
    def has_slot(self) -> bool:
        """It may be given one task more: what needs nothing would have no other bound."""
        return self.held < SLOTS_MIN or self.held < self.total.cpu * SLOTS_A_CORE // 100

    def share(self, amounts: Amounts) -> Share:
        """`amounts` of this device, as clients see it."""
        cpu, memory, storage, gpu = amounts
        return Share(self.device_id, self.device_name, cpu, memory, storage, bool(gpu))


def kind_of(identity: Identity) -> Kind:
    """What a device's identity says of where things may be placed."""
    return Kind(
        "tasks" in identity.accepts,
        frozenset(identity.labels.items()),
        _names(identity.capabilities, "types"),
        _names(identity.capabilities, "commands"),
    )


def _names(capabilities: Mapping[str, Any], name: str) -> frozenset[str] | None:
    """A list of names, if the device tells one."""
    told = capabilities.get(name)
    if not isinstance(told, list):
        return None
    return frozenset(each for each in told if isinstance(each, str))
