"""`python -P -m agent.join [PIN]`: exchange the join token on standard input for a credential."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from contextlib import closing, suppress
from pathlib import Path

from agent import identity
from rpn.client import credential, trust
from rpn.client.api import Api, Unreachable
from rpn.client.credential import Credential
from rpn.errors import BadSettings, NotFound, RPNError, ServerFailed, Unavailable
from rpn.settings import AgentSettings, load
from rpn.tokens import TokenKind, parse_token

log = logging.getLogger(__name__)

AGAIN_S = 2.0
"""how long until a pool is asked again that did not answer"""


def join(settings: AgentSettings, join_token: str, *, pin: str = "") -> tuple[Credential, Path]:
    """Become a device of the pool; the credential, and the file it is kept in. Raises RPNError.

    With a `pin` the server is told by the fingerprint of its certificate, from now on.
    """
    if parse_token(join_token).kind is not TokenKind.JOIN:
        raise BadSettings("this is no join token: `rpn token create join` makes one")
    data_dir = Path(settings.data_dir)
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        device_id = identity.device_id(data_dir, chosen=settings.device_id)
    except OSError as error:
        raise BadSettings(f"RPN_DATA_DIR: {error}") from None
    certificate = _certificate(settings.server, pin) if pin else ""
    trust.rely_on(certificate)
    private_key, public_key = credential.new_key()
    with closing(Api(settings.server, token=join_token)) as api:
        made = api.post("api", "join", body={"deviceId": device_id, "publicKey": public_key})
    found = Credential(settings.server, device_id, made["token"], private_key, certificate)
    try:
        return found, credential.keep(data_dir, found)
    except OSError as error:
        raise ServerFailed(f"{device_id} joined, but its credential cannot be kept: {error}") from None


def _certificate(server: str, pin: str) -> str:
    try:
        return trust.fetch(server, pin)
    except OSError as error:
        raise Unreachable(f"no certificate from {server}: {error}") from None


async def join_when_possible(settings: AgentSettings, stop: asyncio.Event) -> None:
    """Join by the token of the settings, as soon as a gateway answers; a pool without tokens wants none.

    Raises BadSettings if the pool does not take the token.
    """
    while not stop.is_set():
        try:
            await asyncio.to_thread(join, settings, settings.join_token)
        except NotFound:
            return
        except Unavailable as error:
            log.info("cannot join yet: %s", error)
            with suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_S):
                    await stop.wait()
        except RPNError as error:
            raise BadSettings(f"RPN_JOIN_TOKEN: {error}") from None
        else:
            log.info("this machine joined the pool at %s", settings.server)
            return


def main() -> int:
    """Join; returns the exit code: 0 when this machine is a device of the pool, 2 when it is not."""
    pin = sys.argv[1] if len(sys.argv) > 1 else ""
    try:
        found, path = join(load(AgentSettings, os.environ), sys.stdin.readline().strip(), pin=pin)
    except RPNError as error:
        print(f"rpn agent: {error}", file=sys.stderr)
        return 2
    bound = "a key of its own" if found.private_key else "a token without a key (docs/security.md)"
    print(f"this machine is device {found.device_id} now; {path} holds {bound}")
    print("start it with `rpn agent`, or let `rpn agent install` do that at every start of the machine")
    return 0


if __name__ == "__main__":
    sys.exit(main())
