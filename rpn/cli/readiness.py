"""Asks gateways of this machine whether they are ready, often and cheaply."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence

from rpn.cli.address import netloc
from rpn.client.trust import client_tls

ANSWER_LIMIT_S = 2


async def all_ready(host: str, ports: Sequence[int], *, tls: bool = False) -> bool:
    """Whether every gateway answers its /readyz with 200 now."""
    return all(await asyncio.gather(*(is_ready(host, port, tls=tls) for port in ports)))


async def is_ready(host: str, port: int, *, tls: bool = False) -> bool:
    try:
        async with asyncio.timeout(ANSWER_LIMIT_S):
            return await _status(host, port, client_tls() if tls else None) == b"200"
    except OSError:  # nobody listens yet, or no answer in time
        return False


async def _status(host: str, port: int, tls: ssl.SSLContext | None) -> bytes:
    reader, writer = await asyncio.open_connection(host, port, ssl=tls)
    try:
        head = f"GET /readyz HTTP/1.1\r\nHost: {netloc(host, port)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode())
        words = (await reader.readline()).split()
        return words[1] if len(words) > 1 else b""
    finally:
        writer.close()
