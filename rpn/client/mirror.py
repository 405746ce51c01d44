"""The pool's devices as a client hears of them."""

from __future__ import annotations

import msgspec

from rpn.messages import DeviceJoined, DeviceLeft, Devices, FromServer, ResourceChanged
from rpn.model import Device


class Mirror:
    """The devices by id; `complete` once a whole list has come."""

    def __init__(self) -> None:
        self.devices: dict[str, Device] = {}
        self.complete = False

    def apply(self, message: FromServer) -> None:
        """Take in what the server said; what is not about devices is passed over."""
        if isinstance(message, Devices):
            self.devices = {device.id: device for device in message.devices}
            self.complete = True
        elif isinstance(message, DeviceJoined):
            self.devices[message.device.id] = message.device
        elif isinstance(message, DeviceLeft):
            self.devices.pop(message.device_id, None)
        elif isinstance(message, ResourceChanged) and message.device_id in self.devices:
            device = self.devices[message.device_id]
            self.devices[device.id] = msgspec.structs.replace(device, resources=message.resources)
