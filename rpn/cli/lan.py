"""Tells the local network of a pool, and hears of those that are told of there, by zeroconf (DNS-SD)."""

from __future__ import annotations

import asyncio
import importlib.util
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from rpn.cli.address import EVERYWHERE, far, netloc
from rpn.errors import BadSettings

if TYPE_CHECKING:
    from zeroconf import ServiceInfo
    from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

SERVICE = "_rpn._tcp.local."
LOOK_S = 2.0
"""how long the network has to answer"""
NAME_LIMIT = 63
"""bytes of a label in DNS"""


class Heard(NamedTuple):
    """A pool as somebody on the network tells of it: nothing of this is proven."""

    name: str
    """of the machine"""
    address: str
    """HOST:PORT"""
    asks: bool
    """for tokens"""
    tls: bool

    @property
    def server(self) -> str:
        """As RPN_SERVER has it."""
        return f"https://{self.address}" if self.tls else self.address


def installed() -> bool:
    """Whether the extra `[lan]` is there; asking imports nothing."""
    return importlib.util.find_spec("zeroconf") is not None


def require_lan_extra() -> None:
    """Raise BadSettings without the extra `[lan]`."""
    if not installed():
        raise BadSettings("to be found on the network: pip install 'resource-pooling-network[lan]'")


@asynccontextmanager
async def announced(host: str, port: int, *, asks: bool, tls: bool) -> AsyncIterator[None]:
    """Tell the network of the gateway at `host` and `port`, as long as the block lasts. Raises OSError."""
    network = _network(() if host in EVERYWHERE else (host,))
    try:
        await network.async_register_service(_told(host, port, asks=asks, tls=tls), allow_name_change=True)
        yield
    finally:
        await network.async_unregister_all_services()
        await network.async_close()


def _told(host: str, port: int, *, asks: bool, tls: bool) -> ServiceInfo:
    from zeroconf import ServiceInfo

    name = socket.gethostname().partition(".")[0].encode()[:NAME_LIMIT].decode(errors="ignore") or "pool"
    told = {"path": "/ws", "auth": "token" if asks else "open", "tls": "yes" if tls else "no"}
    address = far(host) or host
    return ServiceInfo(SERVICE, f"{name}.{SERVICE}", parsed_addresses=[address], port=port, properties=told)


async def look(*, interfaces: Sequence[str] = (), for_s: float = LOOK_S) -> list[Heard]:
    """The pools that are told of, by their address; `interfaces` are addresses of ours, none means all."""
    from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo

    names: set[str] = set()

    def hear(**change: object) -> None:
        names.add(str(change["name"]))

    network = _network(interfaces)
    try:
        browser = AsyncServiceBrowser(network.zeroconf, SERVICE, handlers=[hear])
        await asyncio.sleep(for_s)
        infos = [AsyncServiceInfo(SERVICE, name) for name in sorted(names)]
        answered = await asyncio.gather(*(info.async_request(network.zeroconf, 1000) for info in infos))
        await browser.async_cancel()
    finally:
        await network.async_close()
    heard = {
        each.address: each for info, yes in zip(infos, answered, strict=True) if yes for each in _heard(info)
    }
    return [heard[address] for address in sorted(heard)]


def _heard(info: AsyncServiceInfo) -> list[Heard]:
    """Its first address; an empty list if it tells of none."""
    told = info.decoded_properties
    return [
        Heard(
            info.name.removesuffix(f".{SERVICE}"),
            netloc(address, info.port or 0),
            asks=told.get("auth") != "open",
            tls=told.get("tls") == "yes",
        )
        for address in info.parsed_addresses()[:1]
    ]


def _network(interfaces: Sequence[str]) -> AsyncZeroconf:
    from zeroconf import InterfaceChoice
    from zeroconf.asyncio import AsyncZeroconf

    return AsyncZeroconf(interfaces=list(interfaces) or InterfaceChoice.All)
