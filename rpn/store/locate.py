"""Finds the one server that a pool lives on: named by its URL, or told by Sentinels or by a Cluster.

A pool is one slot, so wherever it lives we are a plain client of one master. Several are asked at
once and the answer most of them give is tried first; whoever they name must call itself a master.
"""

from __future__ import annotations

import asyncio
import binascii
import re
from collections import Counter
from typing import Any, Literal, NamedTuple

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError

from rpn.errors import BadSettings, StoreUnavailable

ASK_LIMIT_S = 0.9
"""how long one server may take to tell what it knows; a command has time for two such questions"""
SLOTS = 16_384
PORTS = {"sentinel": 26_379, "cluster": 6379}
"""of those that name none"""

_SEVERAL = re.compile(r"(rediss?)\+(sentinel|cluster)://(?:([^/?]*)@)?([^/?@]*)(/[^?]*)?(\?.*)?\Z")
_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.%]+\]|[^:\[\]]+)(?::(\d{1,5}))?\Z")


class Address(NamedTuple):
    """Where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Named(NamedTuple):
    """One server, which the URL names itself."""

    url: str


class Asked(NamedTuple):
    """Servers that know who the master is."""

    by: Literal["sentinel", "cluster"]
    nodes: tuple[Address, ...]
    scheme: str
    """redis or rediss"""
    login: str = ""
    """`user:password`, as the URL has it"""
    name: str = ""
    """of the master, among those that Sentinels watch"""
    db: int = 0
    query: str = ""
    """options of the connection, with their question mark"""

    def master_url(self, address: Address) -> str:
        """How to reach the master, once it is known."""
        return self._url(address, self.login, f"/{self.db}")

    def node_url(self, address: Address, *, login: bool = True) -> str:
        """How to ask one of those that know it."""
        return self._url(address, self.login if login else "", "")

    def _url(self, address: Address, login: str, path: str) -> str:
        return f"{self.scheme}://{login}{'@' if login else ''}{address}{path}{self.query}"


def parse(url: str) -> Named | Asked:
    """What RPN_REDIS_URL says. Raises BadSettings, never with a password in its text."""
    if not re.match(r"rediss?\+", url):
        return Named(url)
    found = _SEVERAL.match(url)
    if found is None:
        raise _bad("write redis+sentinel://HOST:PORT,HOST:PORT/NAME or redis+cluster://HOST:PORT,HOST:PORT")
    scheme, by, login, nodes, path, query = found.groups(default="")
    addresses = tuple(_address(node, PORTS[by]) for node in nodes.split(","))
    path = path.strip("/")
    if by == "cluster":
        if path not in ("", "0"):
            raise _bad("a Cluster has no databases but 0")
        return Asked("cluster", addresses, scheme, login, query=query)
    name, _, db = path.partition("/")
    if not name or not re.fullmatch(r"\d{0,5}", db):
        raise _bad("name the master that the Sentinels watch: redis+sentinel://HOST:PORT/NAME[/DB]")
    return Asked("sentinel", addresses, scheme, login, name, int(db or 0), query)


def slot_of(pool: str) -> int:
    """The Cluster's slot of everything under the hash tag `{pool}`."""
    return binascii.crc_hqx(pool.encode(), 0) % SLOTS


async def locate(place: Asked, slot: int) -> Address:
    """The master of this slot, or of the Sentinels' name. Raises StoreUnavailable: there is none now."""
    told = await asyncio.gather(*(_told(place, node, slot) for node in place.nodes))
    for address, _ in Counter(each for each in told if each is not None).most_common():
        if await _is_master(place, address):
            return address
    who = "Sentinels" if place.by == "sentinel" else "nodes of the Cluster"
    raise StoreUnavailable(
        f"none of the {who} {', '.join(map(str, place.nodes))} names a master that answers"
    )


async def _told(place: Asked, node: Address, slot: int) -> Address | None:
    """Who is the master, as far as this node knows."""
    try:
        if place.by == "cluster":
            return _owner(await _ask(place.node_url(node), "CLUSTER", "SLOTS"), slot, node)
        words = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", place.name)
        try:
            found = await _ask(place.node_url(node), *words)
        except AuthenticationError:  # the password is the servers', the Sentinels have none
            found = await _ask(place.node_url(node, login=False), *words)
    except (RedisError, OSError):
        return None
    return Address(found[0].decode(), int(found[1])) if found else None


def _owner(ranges: list[Any], slot: int, asked: Address) -> Address | None:
    """Who has this slot; a node that does not know its own name leaves it empty."""
    for first, last, master, *_ in ranges:
        if first <= slot <= last:
            return Address((master[0] or b"").decode() or asked.host, int(master[1]))
    return None


async def _is_master(place: Asked, address: Address) -> bool:
    try:
        role = await _ask(place.master_url(address), "ROLE")
    except (RedisError, OSError):
        return False
    return bool(role[0] == b"master")


async def _ask(url: str, *words: str) -> Any:
    """One question on a connection of its own."""
    client = Redis.from_url(url, protocol=2, retry=Retry(NoBackoff(), 0), socket_timeout=None)
    try:
        async with asyncio.timeout(ASK_LIMIT_S):
            return await client.execute_command(*words)  # type: ignore[no-untyped-call]
    finally:
        await client.aclose()


def _address(text: str, default_port: int) -> Address:
    found = _ADDRESS.match(text.strip())
    if found is None:
        raise _bad(f"{text.strip() or 'nothing'} between commas is no HOST:PORT")
    port = int(found[2] or default_port)
    if not 0 < port < 65_536:
        raise _bad(f"{port} is no port")
    return Address(found[1].strip("[]"), port)


def _bad(text: str) -> BadSettings:
    return BadSettings(f"RPN_REDIS_URL: {text}")
