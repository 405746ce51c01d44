"""`python -P -m agent.join [PIN]`: exchange the join token on standard input for a credential."""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import sys
from contextlib import closing, suppress
from pathlib import Path

from agent import identity
from rpn.client import credential, trust
from rpn.client.api import Api, Unreachable
from rpn.client.credential import Credential
from rpn.errors import BadSettings, NotFound, RPNError, ServerFailed, Unavailable
from rpn.settings import AgentSettings, default_data_dir, load
from rpn.tokens import TokenKind, parse_token

log = logging.getLogger(__name__)

BAD_START, UNREACHABLE, REFUSED = 2, 3, 4
"""exit statuses, as all of `rpn` has them"""
AGAIN_S = 2.0
"""how long until a pool is asked again that did not answer"""


def join(settings: AgentSettings, join_token: str, *, pin: str = "") -> tuple[Credential, Path]:
    """Become a device of the pool; the credential, and the file it is kept in. Raises RPNError.

    With a `pin` the server is told by the fingerprint of its certificate, from now on.
    """
    _check_kind(join_token)
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


def _check_kind(join_token: str) -> None:
    """Raises BadSettings for what no pool would take."""
    try:
        kind = parse_token(join_token).kind
    except RPNError as error:
        raise BadSettings(str(error)) from None
    if kind is not TokenKind.JOIN:
        raise BadSettings("this is no join token: `rpn token create join` makes one")


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
    """Join; returns the exit status, 0 when this machine is a device of the pool."""
    pin = sys.argv[1] if len(sys.argv) > 1 else ""
    try:
        found, path = join(load(AgentSettings, os.environ), sys.stdin.readline().strip(), pin=pin)
    except RPNError as error:
        print(f"rpn agent: {error}", file=sys.stderr)
        return status_of(error)
    bound = "a key of its own" if found.private_key else "a token without a key (docs/security.md)"
    print(f"this machine is device {found.device_id} now; {path} holds {bound}")
    at = _folder_flag(found_in=path.parent)
    print(
        f"start it with `rpn agent{at}`, or let `rpn agent install{at}` do that at every start of the machine"
    )
    return 0


def status_of(error: RPNError) -> int:
    """As every command ends: 3 where no gateway answers, 4 where the pool refuses, else 2."""
    if isinstance(error, Unreachable):
        return UNREACHABLE
    return BAD_START if isinstance(error, (BadSettings, ServerFailed, trust.WrongCertificate)) else REFUSED


def _folder_flag(*, found_in: Path) -> str:
    """What finds the credential again, where the folder is not this user's own."""
    usual = found_in == Path(default_data_dir())
    return "" if usual else f" --data-dir {shlex.quote(str(found_in))}"


if __name__ == "__main__":
    sys.exit(main())
