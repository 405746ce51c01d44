"""A pool of real gateways that asks for tokens, and its administrator."""

from __future__ import annotations

from typing import Any

from websockets.asyncio.client import connect

from rpn.tokens import TokenKind, make_token
from tests.support.gateways import Pool, RunningGateway, Talker

ADMIN = make_token(TokenKind.ADMIN).text


class Guarded:
    """A pool that wants tokens, and its administrator."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    def gateway(self, number: int = 0) -> RunningGateway:
        return self.pool.gateways[number]

    async def ask(self, method: str, path: str, token: str = ADMIN, gateway: int = 0, **body: Any) -> Any:
        """The answer to a request in a token's name."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return await self.gateway(gateway).http.request(method, path, headers=headers, json=body or None)

    async def token(self, kind: str, **more: Any) -> dict[str, Any]:
        """A new one, as its maker sees it."""
        answer = await self.ask("POST", "/api/tokens", kind=kind, **more)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def talk(self, token: str, device_id: str = "", gateway: int = 0, **more: Any) -> Talker:
        """A connection in a token's name, registered if it names a device."""
        url = self.gateway(gateway).url.replace("http", "ws") + "/ws"
        socket = await connect(url, additional_headers={"Authorization": f"Bearer {token}"}, compression=None)
        talker = Talker(socket)
        talker.device_id = device_id
        if device_id:
            await talker.register(**more)
        return talker
