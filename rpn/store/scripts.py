"""Our Lua scripts: one atomic step a file, run by digest."""

from __future__ import annotations

import asyncio
import hashlib
import random
from functools import cache
from importlib.resources import files
from typing import Any

from rpn.errors import StoreUnavailable
from rpn.store.connection import Connection, NoScriptError, Sent

UNKNOWN_LIMIT_S = 10.0
"""how long we try to learn what became of a step whose reply was lost"""


@cache
def source(name: str) -> str:
    """The text of `lua/NAME.lua`."""
    return files("rpn.store").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")


class Script:
    """One step, ready to run: one file, or several of which the first is the beginning."""

    def __init__(self, connection: Connection, *names: str) -> None:
        self._connection = connection
        first, *others = map(source, names)
        self._source = first + "".join(each.partition("\n")[2] for each in others)
        self._digest = hashlib.sha1(self._source.encode(), usedforsecurity=False).hexdigest()

    def words(self, keys: list[str], args: list[Any]) -> tuple[Any, ...]:
        """The command that runs it, if the server has it already."""
        return ("EVALSHA", self._digest, len(keys), *keys, *args)

    def whole(self, keys: list[str], args: list[Any]) -> tuple[Any, ...]:
        """The command that runs it on a server that does not have it."""
        return ("EVAL", self._source, len(keys), *keys, *args)

    def post(self, keys: list[str], args: list[Any], *, lasting: bool = False) -> Sent | None:
        """Send it now, if that can be; with what this returns it is to be run."""
        return self._connection.post([self.words(keys, args)], lasting=lasting)

    async def run(
        self, keys: list[str], args: list[Any], *, lasting: bool = False, sent: Sent | None = None
    ) -> Any:
        """Run it once. Raises StoreUnavailable, after which it may or may not have been done.

        What is `lasting` counts as unknown, too, while a replica that should have it has not.
        """
        try:
            return await self._send(self.words(keys, args), lasting=lasting, sent=sent)
        except NoScriptError:
            return await self._send(self.whole(keys, args), lasting=lasting)

    async def run_until_known(
        self,
        keys: list[str],
        args: list[Any],
        *,
        lasting: bool = False,
        sent: Sent | None = None,
        limit_s: float = UNKNOWN_LIMIT_S,
    ) -> Any:
        """Run it, again and again while the reply is lost; only for steps that are safe to repeat.

        Raises StoreUnavailable when `limit_s` passed without an answer.
        """
        loop = asyncio.get_running_loop()
        end, pause_s = loop.time() + limit_s, 0.02
        while True:
            try:
                return await self.run(keys, args, lasting=lasting, sent=sent)
            except StoreUnavailable:
                if loop.time() + pause_s > end:
                    raise
                await asyncio.sleep(pause_s * random.uniform(0.5, 1))
                pause_s, sent = min(pause_s * 2, 1.0), None

    async def _send(self, words: tuple[Any, ...], *, lasting: bool, sent: Sent | None = None) -> Any:
        [reply] = await self._connection.run([words], lasting=lasting, sent=sent)
        if isinstance(reply, Exception):
            raise reply
        return reply
