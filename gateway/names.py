"""Whose a device's name is: nobody asks in the name of what another token speaks for, by whatever door."""

from __future__ import annotations

from gateway.bearers import Bearer
from gateway.keyring import Keyring
from gateway.roles import Action
from rpn.errors import Forbidden
from rpn.replica import Replica
from rpn.store.records import Patron


class Names:
    """The names of devices and who may use them; a name that no device has is anybody's."""

    def __init__(self, keyring: Keyring, replica: Replica) -> None:
        self._keyring = keyring
        self._replica = replica

    def check(self, bearer: Bearer, device_id: str) -> None:
        """Raise Forbidden if a device of this name is another token's."""
        if bearer.record is None:
            return
        if self._keyring.owner_of(device_id) not in ("", bearer.id):
            raise Forbidden(f"another token speaks for {device_id}")
        there = self._replica.devices.get(device_id)
        if there is not None and there.identity.owner not in ("", bearer.id):
            raise Forbidden(f"{device_id} was registered by another token")


def check_asked(bearer: Bearer, patron: Patron | None, what: str) -> None:
    """Raise Forbidden if `what` was asked for in another token's name, unless an administrator says so."""
    if patron is not None and asks_as(bearer) not in ("", patron.token_id):
        raise Forbidden(f"{what} was asked for by another token")


def asks_as(bearer: Bearer, device_id: str = "") -> str:
    """The token whose tasks and allocations alone it may end; empty: anybody's.

    Empty, too, for what a device asked for under a token that it had before.
    """
    record = bearer.record
    if record is None or Action.ADMINISTER in bearer.may or (device_id and record.device_id == device_id):
        return ""
    return record.id
