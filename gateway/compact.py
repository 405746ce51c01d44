"""What a thin link hears instead of JSON: msgpack, numbers for devices, and only the fields that changed.

A frame is a list. An update in it is a list again, `[number, mask, value...]`: which device, which of
FIELDS follow (bit 0 for the first), and their values in that order. All else are the same messages
as in JSON, where a device also has its `number`. Numbers belong to one gateway, and a device that
comes back has a new one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from gateway.frames import binary_frame
from gateway.voices import Voice
from rpn.messages import ResourceChanged
from rpn.model import Resources
from rpn.replica import Mirrored

SUBPROTOCOL = "rpn.msgpack"
FIELDS = tuple(field.encode_name for field in msgspec.structs.fields(Resources))
"""the order of an update's fields, and of the bits in its mask"""
WHOLE = (1 << len(FIELDS)) - 1

_changed = msgspec.json.Decoder(ResourceChanged)
_encode = msgspec.msgpack.Encoder().encode


class Compact(Voice):
    """The compact stream of one gateway, and what all who listen to it have been told of each device."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers: dict[str, int] = {}
        self._given = 0
        self._told: dict[str, tuple[Any, ...]] = {}

    def joined(self, device: Mirrored) -> dict[str, Any]:
        self._told[device.id] = msgspec.structs.astuple(device.resources)
        return {"type": "device_joined", "device": self._device(device)}

    def left(self, device_id: str) -> dict[str, Any]:
        self._numbers.pop(device_id, None)
        self._told.pop(device_id, None)
        return {"type": "device_left", "deviceId": device_id}

    def updated(self, device_id: str, frame: bytes) -> list[Any]:
        """The update in `frame`: what is new in it to those who were told all before."""
        now = msgspec.structs.astuple(_changed.decode(frame).resources)
        before, self._told[device_id] = self._told.get(device_id), now
        if before is None:
            return [self._number(device_id), WHOLE, *now]
        mask, values = 0, []
        for bit, (old, new) in enumerate(zip(before, now, strict=True)):
            if old != new or type(old) is not type(new):
                mask |= 1 << bit
                values.append(new)
        return [self._number(device_id), mask, *values]

    def latest(self, device: Mirrored) -> list[Any]:
        return [self._number(device.id), WHOLE, *msgspec.structs.astuple(device.resources)]

    def frames(self, items: list[Any]) -> bytes:
        return binary_frame(_encode(items)) if items else b""

    def devices(self, devices: Iterable[Mirrored]) -> bytes:
        return self.frames([{"type": "devices", "devices": [self._device(each) for each in devices]}])

    def _device(self, device: Mirrored) -> dict[str, Any]:
        described: dict[str, Any] = msgspec.to_builtins(device.device)
        return {**described, "number": self._number(device.id)}

    def _number(self, device_id: str) -> int:
        number = self._numbers.get(device_id)
        if number is None:
            number = self._numbers[device_id] = self._given
            self._given += 1
        return number
