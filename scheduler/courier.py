"""Addresses messages to where their receivers are, and again when those had just moved.

A message with an inbox id waits in the store's inbox, and the join script hands that over; but a
device that joined just before the commit wrote it would learn of it only at its next join. So
what the store reports as undelivered is kept for a while and sent when the device turns up.
"""

from __future__ import annotations

from collections.abc import Mapping

from rpn.codec import encode
from rpn.messages import Message
from rpn.replica import Mirrored
from rpn.store.commits import Decision, Delivery
from scheduler.docket import Docket

HOLD_LIMIT_MS = 5000
"""how long a message is kept for a device that turns up; the mirror is behind by far less"""


class Courier:
    """The way to the devices."""

    def __init__(self, devices: Mapping[str, Mirrored], docket: Docket) -> None:
        self._devices = devices
        self._docket = docket
        self._held: dict[str, dict[str, tuple[int, Delivery]]] = {}

    def presence(self, device_id: str) -> str:
        """Session and gateway of a device, empty when it is not in the pool."""
        device = self._devices.get(device_id)
        return device.presence if device is not None else ""

    def knows_extensions(self, device_id: str) -> bool:
        """Whether it opted in to more than API.md; a gateway would drop the rest on its way to others."""
        device = self._devices.get(device_id)
        return device is not None and bool(device.identity.accepts)

    def follows(self, device_id: str) -> bool:
        """Whether it wants to hear of its tasks before they are over."""
        device = self._devices.get(device_id)
        accepts = device.identity.accepts if device is not None else ()
        return bool(accepts) and "results" not in accepts

    def tell(self, decision: Decision, device_id: str, message: Message) -> None:
        """Send what may be lost: only to a device that is there."""
        self.forward(decision, device_id, encode(message))

    def forward(self, decision: Decision, device_id: str, frame: bytes) -> None:
        """The same, for a message that is ready made."""
        presence = self.presence(device_id)
        if presence:
            decision.deliver(Delivery(device_id, presence, frame))

    def bring(
        self, decision: Decision, device_id: str, message: Message, *, inbox_id: str, presence: str = ""
    ) -> None:
        """Send what must arrive: it waits in the device's inbox until it has it."""
        presence = self.presence(device_id) or presence
        decision.deliver(Delivery(device_id, presence, encode(message), inbox_id))

    def moved(self, delivery: Delivery, now_ms: int) -> None:
        """The store says that its receiver is elsewhere, or gone."""
        if not delivery.inbox_id:
            return
        presence = self.presence(delivery.device_id)
        if presence and presence != delivery.presence:
            self._docket.decide().deliver(delivery._replace(presence=presence))
        else:
            self._held.setdefault(delivery.device_id, {})[delivery.inbox_id] = now_ms, delivery

    def arrived(self, device: Mirrored, now_ms: int) -> None:
        """A device joined or resumed: send what was held for it."""
        for held_ms, delivery in self._held.pop(device.id, {}).values():
            if now_ms - held_ms <= HOLD_LIMIT_MS:
                self._docket.decide().deliver(delivery._replace(presence=device.presence))

    def forget_old(self, now_ms: int) -> None:
        """Let go what its receiver will find in its inbox."""
        for device_id, held in list(self._held.items()):
            if all(now_ms - held_ms > HOLD_LIMIT_MS for held_ms, _ in held.values()):
                del self._held[device_id]
