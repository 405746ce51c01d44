"""The wiring of who may do what: tokens, the doors that ask for them, what is written down about it."""

from __future__ import annotations

import logging
from collections.abc import Callable

from starlette.routing import Route

from gateway.auditor import Auditor
from gateway.gatekeeper import Gatekeeper
from gateway.guard import Guard
from gateway.hub import Hub
from gateway.keyring import Keyring
from gateway.metrics import Counters
from gateway.names import Names
from gateway.registrar import Registrar
from gateway.token_routes import TokenRoutes
from rpn.errors import Revoked, StoreUnavailable
from rpn.replica import Replica
from rpn.service import Job
from rpn.settings import GatewaySettings
from rpn.store.audit import Audit
from rpn.store.connection import Connection
from rpn.store.keys import Keys
from rpn.store.tickets import Tickets
from rpn.store.tokens import TokenRecord, TokenStore
from rpn.tokens import parse_token

log = logging.getLogger(__name__)

SEED = "from the start"
"""the name of tokens that the operator's files hold"""


class Access:
    """In an open pool: everybody, and no tokens to speak of."""

    def __init__(
        self,
        settings: GatewaySettings,
        connection: Connection,
        keys: Keys,
        hub: Hub,
        replica: Replica,
        counters: Counters,
        *,
        now_ms: Callable[[], int],
    ) -> None:
        self._seeds = [parse_token(text) for text in settings.seed_tokens.split()]
        self._guarded = settings.auth == "token"
        self._hub = hub
        self._now_ms = now_ms
        self._store = TokenStore(connection, keys)
        self._tickets = Tickets(connection, keys)
        self._audit = Audit(connection, keys)
        self.auditor = Auditor(self._audit)
        self._keyring = Keyring(self._store, now_ms=now_ms)
        self._keyring.on_change = self._close_revoked
        self.gatekeeper = Gatekeeper(
            self._keyring if self._guarded else None, self._tickets, self.auditor, counters
        )
        self.names = Names(self._keyring, replica)
        self.registrar = Registrar(
            hub,
            replica,
            self._keyring,
            self.names,
            self._store,
            self.auditor,
            device_limit=settings.device_limit,
        )

    @property
    def ready(self) -> bool:
        """Whoever has a token can be let in."""
        return self._keyring.loaded or not self._guarded

    def routes(self, guard: Guard) -> list[Route]:
        """What administrators, joining machines and browsers ask for; nothing in an open pool."""
        if not self._guarded:
            return []
        return TokenRoutes(
            guard,
            self._keyring,
            self.names,
            self._store,
            self._tickets,
            self._audit,
            self.auditor,
            now_ms=self._now_ms,
        ).routes()

    def jobs(self) -> list[Job]:
        if not self._guarded:
            return []
        return [self._seed_and_follow, self.auditor.run, self.registrar.run]

    async def _seed_and_follow(self) -> None:
        """See that the operator's tokens are known, and then keep up with all of them."""
        for token in self._seeds:
            record = TokenRecord(token.id, token.kind, token.digest, SEED, self._now_ms())
            try:
                await self._store.create(record)
            except StoreUnavailable as error:
                log.warning("cannot keep %r: %s", token, error)
        await self._keyring.run()

    def _close_revoked(self) -> None:
        for peer in list(self._hub.connected):
            if not peer.gone and not self._keyring.good(peer.session.bearer):
                peer.close(Revoked("this token was revoked, or its time is over"))
