"""What is to be placed: how much, on how many devices, and which may serve it."""

from __future__ import annotations

from typing import NamedTuple

from rpn.model import Requirements
from rpn.store.records import Patron, TaskOutline
from scheduler.amounts import NOTHING, Amounts, needed
from scheduler.offer import Kind, Offer

ANY_TYPE = "*"
"""of a task whose type no device tells"""


class Terms(NamedTuple):
    """Which devices may serve: first what the asker says, then what a task asks of its device."""

    labels: frozenset[tuple[str, str]] = frozenset()
    exclude: frozenset[str] = frozenset()
    barred: str = ""
    """the requester's own device, if that may not serve"""
    task_type: str = ""
    """empty: it is not a task"""
    command: str = ""
    """empty: any device that runs the type will do"""

    def broken_by(self, offer: Offer) -> str:
        """The first of them that a device does not meet; empty if it may serve."""
        return self.broken_by_asker(offer) or self.broken_by_kind(offer.kind)

    def broken_by_asker(self, offer: Offer) -> str:
        """`labels`, `exclude` or `self`: what the asker could ask otherwise."""
        if not self.labels <= offer.kind.labels:
            return "labels"
        if offer.device_id in self.exclude:
            return "exclude"
        return "self" if offer.device_id == self.barred else ""

    def broken_by_kind(self, kind: Kind) -> str:
        """`tasks`, `type` or `command`: what the device does not run."""
        if not self.task_type:
            return ""
        if not kind.runs_tasks:
            return "tasks"
        if kind.types is not None and self.task_type not in kind.types and self.task_type != ANY_TYPE:
            return "type"
        if self.command and kind.commands is not None and self.command not in kind.commands:
            return "command"
        return ""

    def narrower(self, other: Terms) -> bool:
        """Whether no device may serve these that may not serve the other."""
        return (
            self.labels >= other.labels
            and self.exclude >= other.exclude
            and other.barred in ("", self.barred)
            and other.task_type in ("", self.task_type)
            and other.command in ("", self.command)
        )


ANYWHERE = Terms()


class Demand(NamedTuple):
    """Equal demands fit in the same places: it serves as the key of whatever is found out about one."""

    need: Amounts = NOTHING
    terms: Terms = ANYWHERE
    devices: int = 0
    """exactly so many, each with an equal share; 0: one if any suffices, else as few as possible"""
    spread: bool = False
    """the emptiest first, not the fullest"""
    requester: str = ""
    """its own device serves only what no other can"""
    patron: Patron | None = None
    """the token in whose name it is asked, if that may hold a part of the pool alone"""

    @property
    def idle(self) -> bool:
        """A task that needs nothing: any device has room for it."""
        return bool(self.terms.task_type) and not any(self.need)

    @property
    def alike(self) -> Demand:
        """The same for whoever asks it, where the asker makes no difference to whether it can be."""
        return self._replace(requester="")

    def without(self, device_id: str) -> Demand:
        """The same, but not on this device."""
        return self._replace(terms=self.terms._replace(exclude=self.terms.exclude | {device_id}))

    @property
    def divisible(self) -> bool:
        """Whether several devices may serve it together."""
        return self.devices != 1

    def as_hard_as(self, other: Demand) -> bool:
        """Whether this surely has no place while the other has none."""
        return (
            self.devices == other.devices == 1
            and other.patron in (None, self.patron)
            and self.need.covers(other.need)
            and self.terms.narrower(other.terms)
        )


def demand_of(requirements: Requirements, *, requester: str, patron: Patron | None = None) -> Demand:
    """What a resource request asks for."""
    return Demand(
        needed(requirements),
        _terms(requirements, requester),
        requirements.devices or 0,
        requirements.strategy == "spread",
        requester,
        _limited(patron),
    )


def demand_of_task(task: TaskOutline, patron: Patron | None = None) -> Demand:
    """What a task asks for: all of it on one device that would run it."""
    requirements, submitter_id = task.requirements, task.submitter_id
    terms = _terms(requirements, submitter_id)._replace(task_type=task.type, command=task.command)
    spread = requirements.strategy == "spread"
    return Demand(needed(requirements), terms, 1, spread, submitter_id, _limited(patron))


def _limited(patron: Patron | None) -> Patron | None:
    """Tokens that may hold any part of the pool make no difference to what they ask for."""
    return patron if patron is not None and patron.share_percent else None


def _terms(requirements: Requirements, requester: str) -> Terms:
    if not requirements.labels and not requirements.exclude and requirements.allow_self is not False:
        return ANYWHERE
    return Terms(
        frozenset((requirements.labels or {}).items()),
        frozenset(requirements.exclude or ()),
        requester if requirements.allow_self is False else "",
    )
