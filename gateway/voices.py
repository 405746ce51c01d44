"""How clients hear of the pool: as JSON, one text frame a message, or as the compact stream."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from gateway.frames import text_frame
from rpn.codec import encode
from rpn.messages import DeviceJoined, DeviceLeft, Devices
from rpn.model import Device
from rpn.replica import Mirrored, Replica


class Voice:
    """One shape of what is broadcast; `round` gathers it, an item a message.

    This one is the API's: an item is a whole frame.
    """

    def __init__(self) -> None:
        self.round: list[Any] = []
        self._listed = (-1, "", b"")

    def joined(self, device: Mirrored) -> Any:
        return text_frame(encode(DeviceJoined(device=device.device)))

    def left(self, device_id: str) -> Any:
        return text_frame(encode(DeviceLeft(device_id=device_id)))

    def updated(self, device_id: str, frame: bytes) -> Any:
        """A device's `resource_update`, given as the payload of its text frame."""
        return text_frame(frame)

    def latest(self, device: Mirrored) -> Any:
        """A device's last update, for one who missed some."""
        return text_frame(device.frame)

    def frames(self, items: list[Any]) -> bytes:
        """What goes to a socket."""
        return b"".join(items)

    def devices(self, devices: Iterable[Mirrored]) -> bytes:
        """A `devices` message."""
        return text_frame(
            b'{"type":"devices","devices":[' + b",".join([each.json for each in devices]) + b"]}"
        )

    def listed(self, replica: Replica) -> bytes:
        """The `devices` message of the whole pool as of now, encoded once a revision."""
        rev, tip, frame = self._listed
        if (rev, tip) != (replica.rev, replica.tip) or not frame:
            frame = self.devices(replica.devices.values())
            self._listed = replica.rev, replica.tip, frame
        return frame

    @property
    def listed_size(self) -> int:
        """Bytes of the last list."""
        return len(self._listed[2])


class Discreet(Voice):
    """The API's shape for who may not see addresses: they are empty."""

    def joined(self, device: Mirrored) -> Any:
        return text_frame(encode(DeviceJoined(device=discreet(device))))

    def devices(self, devices: Iterable[Mirrored]) -> bytes:
        return text_frame(encode(Devices(devices=[discreet(each) for each in devices])))


def discreet(device: Mirrored) -> Device:
    """A device as it looks to who may not see its address."""
    return replace(device.device, ip_address="")
