"""What all parts of the matchmaker work with: one leadership's memory and its tools."""

from __future__ import annotations

from collections.abc import Mapping

from rpn.replica import Mirrored
from rpn.settings import SchedulerSettings
from scheduler.ceilings import Ceilings
from scheduler.counts import Counts
from scheduler.courier import Courier
from scheduler.docket import Docket
from scheduler.keeper import Keeper
from scheduler.ledger import Ledger


class Desk:
    """Handed to each part; `devices` is the mirror's."""

    def __init__(
        self, devices: Mapping[str, Mirrored], settings: SchedulerSettings, counts: Counts, *, fence: int
    ) -> None:
        self.devices = devices
        self.settings = settings
        self.counts = counts
        self.fence = fence
        self.ledger = Ledger(headroom_percent=settings.headroom_percent)
        self.ceilings = Ceilings(self.ledger)
        self.keeper = Keeper()
        """the deadlines that the store remembers"""
        self.docket = Docket()
        self.courier = Courier(devices, self.docket)
