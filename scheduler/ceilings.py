"""Keeps account of what each token holds of the pool, and says when it has the share that it may have."""

from __future__ import annotations

from rpn.model import Reason
from rpn.store.records import Patron
from scheduler.amounts import Amounts, in_words
from scheduler.demand import Demand
from scheduler.ledger import Ledger
from scheduler.tally import Tally


class Ceilings:
    """Of the tokens that may hold a share of the pool alone; whoever has no quota is not counted."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._held: dict[str, Tally] = {}
        self.revision = 0
        """grows with everything that is given back"""

    def take(self, patron: Patron | None, amounts: Amounts) -> None:
        """Something is reserved in its name."""
        if patron is not None and patron.share_percent:
            self._held.setdefault(patron.token_id, Tally()).add(amounts)

    def give(self, patron: Patron | None, amounts: Amounts) -> None:
        """It is reserved no longer."""
        if patron is None or not patron.share_percent:
            return
        held = self._held[patron.token_id]
        held.take(amounts)
        self.revision += 1
        if not held.count:
            del self._held[patron.token_id]

    def admits(self, demand: Demand) -> bool:
        """Whether all of it may be held beside what its token holds now."""
        patron = demand.patron
        return patron is None or not _over(demand.need, self._holds(patron), self._may_hold(patron))

    def could(self, demand: Demand) -> bool:
        """Whether it might be held if its token held nothing."""
        patron = demand.patron
        return patron is None or not _over(demand.need, Amounts(), self._may_hold(patron))

    def reason(self, demand: Demand) -> Reason | None:
        """Why it may not be held now; None if it may."""
        patron = demand.patron
        if patron is None or self.admits(demand):
            return None
        holds, may = self._holds(patron), self._may_hold(patron)
        name = _over(demand.need, holds, may)[0]
        need, has, limit = (in_words(name, getattr(each, name)) for each in (demand.need, holds, may))
        return Reason(
            code="QUOTA",
            message=f"{need} would be too much beside {has} that its token holds: "
            f"it may hold {limit}, {patron.share_percent} % of the pool",
            devices=0,
        )

    def _holds(self, patron: Patron) -> Amounts:
        held = self._held.get(patron.token_id)
        return held.amounts if held is not None else Amounts()

    def _may_hold(self, patron: Patron) -> Amounts:
        return Amounts(*(each * patron.share_percent // 100 for each in self._ledger.total))


def _over(need: Amounts, holds: Amounts, may: Amounts) -> list[str]:
    """The dimensions of which it would be too much; what is not needed is never too much."""
    sums = zip(Amounts._fields, need, holds, may, strict=True)
    return [name for name, wanted, held, limit in sums if wanted and held + wanted > limit]
