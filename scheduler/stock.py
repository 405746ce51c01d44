"""What all devices offer together, kept so that questions about the whole need no look at each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from scheduler.amounts import NOTHING, Amounts
from scheduler.crowd import Crowd
from scheduler.demand import ANY_TYPE, Demand
from scheduler.grid import Grid
from scheduler.hopeless import Hopeless
from scheduler.offer import Offer

TYPE, COMMAND = "type ", "command "


class Stock:
    """The offers of a pool by device, their sums, and the grid that finds a fit among them."""

    def __init__(self, offers: Iterable[Offer] = ()) -> None:
        self.offers: dict[str, Offer] = {}
        self.away: dict[str, tuple[Offer, str]] = {}
        """devices that offer nothing for a while, and why: `lost`, `silent` or `unreported`"""
        self.total = NOTHING
        """of all devices that offer something"""
        self.grid = Grid(self.offers)
        self.crowd = Crowd()
        """those that run tasks"""
        self.hopeless = Hopeless()
        self.revision = 0
        """grows with every change"""
        self.growth = 0
        """grows when some device has more to give than before"""
        self.extent = 0
        """grows when a device comes, goes, or changes its totals or its kind"""
        self._told: Counter[str] = Counter()
        """task types and commands, and how many devices say that they would run them"""
        self.feasibility: dict[Demand, bool] = {}
        """what was found out since `extent` last grew"""
        self.typical: tuple[float, float, float] = (1, 1, 1)
        """what a device has on the average: CPU, memory and storage, each at least one unit"""
        self._cpu = self._memory = self._storage = self._gpu = 0
        for offer in offers:
            self.put(offer)

    @property
    def free(self) -> Amounts:
        """Of all devices together; who is closed has nothing."""
        return Amounts(self._cpu, self._memory, self._storage, self._gpu)

    def hold(self, offer: Offer, holders: int) -> None:
        """So many hold something of an offer now."""
        if holders != offer.held:
            if holders < offer.held:
                self._grew(offer)
            self.revision += 1
            offer.held = holders
            if offer.kind.runs_tasks:
                self.crowd.put(offer)

    def sought(self, demand: Demand) -> Demand:
        """As it is looked for: what no device says it runs, any device may reject, at once and clearly."""
        terms = demand.terms
        if terms.command and not (self._told[COMMAND + terms.command] or self._told[COMMAND]):
            terms = terms._replace(command="")
        if terms.task_type and not (self._told[TYPE + terms.task_type] or self._told[TYPE]):
            terms = terms._replace(task_type=ANY_TYPE)
        return demand if terms is demand.terms else demand._replace(terms=terms)

    def put(self, offer: Offer) -> None:
        """A device has come, or has another total or kind than before."""
        self.remove(offer.device_id)
        self.offers[offer.device_id] = offer
        self.total = self.total.plus(offer.total)
        self._count(max(0, offer.cpu), offer.memory, offer.storage, offer.gpu)
        self.grid.move(offer)
        if offer.kind.runs_tasks:
            self.crowd.put(offer)
        self._told.update(_told_by(offer))
        self.growth += 1
        self._extended()

    def fill(self, offer: Offer, cpu: int, memory: int, storage: int, gpu: int) -> None:
        """So much is free now of an offer that was put here."""
        if cpu == offer.cpu and memory == offer.memory and storage == offer.storage and gpu == offer.gpu:
            return
        if cpu > offer.cpu or memory > offer.memory or storage > offer.storage or gpu > offer.gpu:
            self._grew(offer)
        self.revision += 1
        self._cpu += (cpu if cpu > 0 else 0) - (offer.cpu if offer.cpu > 0 else 0)
        self._memory += memory - offer.memory
        self._storage += storage - offer.storage
        self._gpu += gpu - offer.gpu
        offer.cpu, offer.memory, offer.storage, offer.gpu = cpu, memory, storage, gpu
        self.grid.move(offer)

    def set_aside(self, offer: Offer, why: str) -> None:
        """A device of the pool that offers nothing for a while: it is `lost`, `silent` or `unreported`."""
        self.remove(offer.device_id)
        self.away[offer.device_id] = offer, why
        self._extended()

    def remove(self, device_id: str) -> None:
        """A device has left."""
        if self.away.pop(device_id, None) is not None:
            self._extended()
        offer = self.offers.pop(device_id, None)
        if offer is not None:
            self.total = self.total.minus(offer.total)
            self._count(min(0, -offer.cpu), -offer.memory, -offer.storage, -offer.gpu)
            self.grid.remove(offer)
            self.crowd.remove(offer)
            self._told.subtract(_told_by(offer))
            self._extended()

    def _count(self, cpu: int, memory: int, storage: int, gpu: int) -> None:
        self._cpu += cpu
        self._memory += memory
        self._storage += storage
        self._gpu += gpu

    def _grew(self, offer: Offer) -> None:
        self.growth += 1
        self.hopeless.grew(offer)

    def _extended(self) -> None:
        self.revision += 1
        self.extent += 1
        self.feasibility.clear()
        self.hopeless.clear()
        count = max(1, len(self.offers))
        cpu, memory, storage, _ = self.total
        self.typical = max(1, cpu / count), max(1, memory / count), max(1, storage / count)


def _told_by(offer: Offer) -> list[str]:
    """What a device would run; one that does not tell may run anything, which has the empty name."""
    if not offer.kind.runs_tasks:
        return []
    types, commands = offer.kind.types, offer.kind.commands
    named = [TYPE + each for each in (types if types is not None else ("",))]
    return named + [COMMAND + each for each in (commands if commands is not None else ("",))]
