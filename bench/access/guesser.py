"""A process that shows wrong tokens to a gateway, and tells what it was answered: PORT COUNT CONNECTIONS."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter

from rpn.tokens import TokenKind, make_token


async def guess(port: int, count: int) -> Counter[str]:
    """The statuses that `count` wrong tokens bring, one after the other on one connection."""
    statuses: Counter[str] = Counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(count):
        token = make_token(TokenKind.ADMIN).text
        asked = f"GET /api/devices HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
        writer.write(asked.encode())
        statuses[await answer(reader)] += 1
    writer.close()
    return statuses


async def answer(reader: asyncio.StreamReader) -> str:
    """The status of one answer, which is read to its end."""
    head = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
    length = next(line for line in head if line.lower().startswith(b"content-length"))
    await reader.readexactly(int(length.split(b":")[1]))
    return head[0].split()[1].decode()


async def main(port: int, count: int, at_once: int) -> None:
    began_s = time.monotonic()
    guessing = [guess(port, count // at_once) for _ in range(at_once)]
    statuses = sum(await asyncio.gather(*guessing), Counter[str]())
    print(json.dumps({"statuses": statuses, "took_s": time.monotonic() - began_s}))


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
