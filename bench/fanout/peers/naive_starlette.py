"""A broadcast with starlette and uvicorn, as tutorials do it: encoded and sent for each connection."""

from __future__ import annotations

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

connected: set[WebSocket] = set()


async def serve(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            message = await websocket.receive_json()
            if message["type"] == "register":
                connected.add(websocket)
                await websocket.send_json({"type": "devices", "devices": []})
            elif message["type"] == "resource_update":
                for other in list(connected):
                    await other.send_json(message)
    except WebSocketDisconnect:
        connected.discard(websocket)


app = Starlette(routes=[WebSocketRoute("/ws", serve)])

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="critical")
