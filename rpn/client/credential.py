"""What a machine got when it joined a pool: a token that speaks for its device alone, and the key to it."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from rpn.errors import BadSettings
from rpn.proof import signed_text
from rpn.whole_file import write_whole

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FILE_NAME = "credential.json"


class Credential(Struct, frozen=True, rename="camel"):
    """Of one device in one pool."""

    server: str
    """where it joined, as RPN_SERVER has it"""
    device_id: str
    token: str
    private_key: str = ""
    """Ed25519, base64; empty where `cryptography` is not installed: then the token is all it takes"""

    certificate: str = ""
    """of the server, PEM, if it was pinned: no other one is talked to"""

    def __repr__(self) -> str:
        return f"<credential of {self.device_id} at {self.server}>"

    def proof(self, nonce: str) -> str:
        """That we hold the key, for the connection that was sent this nonce; empty without one."""
        if not (nonce and self.private_key):
            return ""
        try:
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        except ImportError:
            raise BadSettings(
                "this device joined with a key: install resource-pooling-network[secure]"
            ) from None
        key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(self.private_key))
        return _text(key.sign(signed_text(nonce, self.device_id)))


def new_key() -> tuple[str, str]:
    """(private, public) of a new key, base64; both empty where `cryptography` is not installed."""
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    except ImportError:
        return "", ""
    return _halves(Ed25519PrivateKey.generate())


def _halves(key: Ed25519PrivateKey) -> tuple[str, str]:
    return _text(key.private_bytes_raw()), _text(key.public_key().public_bytes_raw())


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def kept(data_dir: Path) -> Credential | None:
    """The credential in this folder, if there is one. Raises BadSettings."""
    path = data_dir / FILE_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Credential)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise BadSettings(f"{path}: {error}") from None


def keep(data_dir: Path, credential: Credential) -> Path:
    """Write it where only its owner reads it, whole or not at all. Raises OSError."""
    path = data_dir / FILE_NAME
    write_whole(path, msgspec.json.encode(credential) + b"\n", lasting=True)
    return path
