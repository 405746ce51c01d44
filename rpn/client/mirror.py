"""The pool's devices as a client hears of them."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from rpn.messages import DeviceJoined, DeviceLeft, Devices, FromServer, ResourceChanged
from rpn.model import Device


class Change(NamedTuple):
    """What happened to one device."""

    kind: Literal["joined", "left", "updated"]
    device: Device
    """as it is now; of one that left, as it was last"""


class Mirror:
    """The devices by id; `complete` once a whole list has come."""

    def __init__(self) -> None:
        self.devices: dict[str, Device] = {}
        self.complete = False

    def apply(self, message: FromServer) -> Change | None:
        """Take in what the server said, and tell what it changed; the rest is passed over."""
        if isinstance(message, Devices):
            self.devices = {device.id: device for device in message.devices}
            self.complete = True
        elif isinstance(message, DeviceJoined):
            self.devices[message.device.id] = message.device
            return Change("joined", message.device)
        elif isinstance(message, DeviceLeft):
            device = self.devices.pop(message.device_id, None)
            return Change("left", device) if device is not None else None
        elif isinstance(message, ResourceChanged) and message.device_id in self.devices:
            device = msgspec.structs.replace(self.devices[message.device_id], resources=message.resources)
            self.devices[device.id] = device
            return Change("updated", device)
        return None
