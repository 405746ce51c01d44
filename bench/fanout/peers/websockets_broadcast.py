"""A broadcast with websockets.broadcast, the reference of all our ratios: encoded once, written to all."""

from __future__ import annotations

import asyncio
import json
import logging
import sys

from websockets.asyncio.server import ServerConnection, broadcast, serve

LIST = json.dumps({"type": "devices", "devices": []})
connected: set[ServerConnection] = set()


async def handle(connection: ServerConnection) -> None:
    try:
        async for text in connection:
            message = json.loads(text)
            if message["type"] == "register":
                connected.add(connection)
                await connection.send(LIST)
            elif message["type"] == "resource_update":
                broadcast(connected, json.dumps(message))
    finally:
        connected.discard(connection)


async def main(port: int) -> None:
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    async with serve(handle, "127.0.0.1", port, compression=None) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
