"""Remembers which allocations are held, by whom, and keeps their reservations in the ledger."""

from __future__ import annotations

from collections.abc import Iterator

from rpn.store.records import AllocationRecord
from scheduler.amounts import Amounts, amounts_of
from scheduler.ceilings import Ceilings
from scheduler.ledger import Ledger
from scheduler.tally import Tally

Holder = tuple[str, bool]
"""a requester's id, and whether it is a caller rather than a device"""


class Holdings:
    """Records by their id, and by holder, the oldest first."""

    def __init__(self, ledger: Ledger, ceilings: Ceilings) -> None:
        self._ledger = ledger
        self._ceilings = ceilings
        self._records: dict[str, AllocationRecord] = {}
        self._held_by: dict[Holder, dict[str, None]] = {}
        self._reserved = Tally()
        self.fresh: set[str] = set()
        """kept since this was last cleared: the store may not have them like this yet"""

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, allocation_id: str) -> bool:
        return allocation_id in self._records

    def __iter__(self) -> Iterator[AllocationRecord]:
        return iter(self._records.values())

    @property
    def reserved(self) -> Amounts:
        """By all allocations together."""
        return self._reserved.amounts

    def get(self, allocation_id: str) -> AllocationRecord | None:
        return self._records.get(allocation_id)

    def of(self, holder: Holder) -> list[AllocationRecord]:
        """What a holder has, the oldest first."""
        return [self._records[each] for each in self._held_by.get(holder, ())]

    def oldest(self, holder: Holder) -> AllocationRecord:
        """What it has held longest; it must hold something."""
        return self._records[next(iter(self._held_by[holder]))]

    def count(self, holder: Holder) -> int:
        held = self._held_by.get(holder)
        return len(held) if held is not None else 0

    def present(self, device_id: str) -> list[AllocationRecord]:
        """What a device holds for as long as it is in the pool."""
        return [record for record in self.of((device_id, False)) if not record.expires_ms]

    def on_device(self, device_id: str) -> list[AllocationRecord]:
        """What has a share of this device."""
        holders = self._ledger.holders(device_id)
        return [self._records[each] for each in holders if each in self._records]

    def keep(self, record: AllocationRecord) -> None:
        """From now on this is how it is held: new, or with other shares than before."""
        before = self._records.get(record.id)
        self._records[record.id] = record
        self.fresh.add(record.id)
        if before is None:
            self._held_by.setdefault(holder_of(record), {})[record.id] = None
        elif before.shares == record.shares:
            return
        else:
            self._free(before)
        for share in record.shares:
            amounts = amounts_of(share)
            self._ledger.reserve(record.id, share.device_id, amounts)
            self._reserved.add(amounts)
            self._ceilings.take(record.patron, amounts)

    def drop(self, record: AllocationRecord) -> None:
        """It is held no longer."""
        del self._records[record.id]
        held = self._held_by[holder_of(record)]
        del held[record.id]
        if not held:
            del self._held_by[holder_of(record)]
        self._free(record)

    def _free(self, record: AllocationRecord) -> None:
        self._ledger.release(record.id)
        for share in record.shares:
            self._reserved.take(amounts_of(share))
            self._ceilings.give(record.patron, amounts_of(share))


def holder_of(record: AllocationRecord) -> Holder:
    return record.requester_id, record.called
