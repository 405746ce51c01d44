"""Be a device of a pool: registered while there is a gateway, and heard every few seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from rpn.client.link import GREETING_ID, Link
from rpn.messages import FromServer, Heartbeat, Message, Register

HEARTBEAT_S = 5.0
Prove = Callable[[str], str]
"""From a connection's nonce to the proof that we hold our token's key; empty if there is no key."""


def _nothing() -> None:
    pass


def _no_key(nonce: str) -> str:
    return ""


class Device:
    """Stays registered, through lost connections and lost gateways, until `run` is cancelled.

    `register` is asked at every (new) connection: its `running` and `finished` must be those of
    that moment. A message sent while there is no connection is not kept: `send` says so.
    """

    def __init__(
        self,
        servers: Sequence[str],
        register: Callable[[], Register],
        on_message: Callable[[FromServer], None],
        *,
        on_online: Callable[[], None] = _nothing,
        heartbeat_s: float = HEARTBEAT_S,
        token: str = "",
        prove: Prove = _no_key,
    ) -> None:
        self._register = register
        self._prove = prove
        self._device_id = ""
        self._heartbeat_s = heartbeat_s
        self._link = Link(servers, self._greet, on_message, on_online=on_online, token=token)

    @property
    def online(self) -> asyncio.Event:
        """Set while a gateway has our registration."""
        return self._link.online

    @property
    def server(self) -> str:
        """The gateway that has our registration; empty while none has."""
        return self._link.server

    @property
    def fault(self) -> str:
        """Why there was no connection to the gateway that we tried last and did not reach."""
        return self._link.fault

    def send(self, *messages: Message) -> bool:
        """Have `messages` sent; False when there is no connection or it takes no more."""
        return self._link.send(*messages)

    def introduce(self) -> bool:
        """Tell the gateway anew who we are: name, labels and capabilities may have changed."""
        return self._link.send(self._proved(self._register()))

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._link.run())
            group.create_task(self._be_heard())

    def _greet(self) -> Register:
        register = msgspec.structs.replace(self._register(), request_id=GREETING_ID)
        self._device_id = register.device_id
        return self._proved(register)

    def _proved(self, register: Register) -> Register:
        return msgspec.structs.replace(register, proof=self._prove(self._link.nonce))

    async def _be_heard(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_s)
            self._link.send(Heartbeat(device_id=self._device_id))
