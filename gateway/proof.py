"""Proof that who registers a device holds its key: a signature over what this connection was sent."""

from __future__ import annotations

import base64
import binascii
import secrets

from rpn.proof import signed_text


def make_nonce() -> str:
    """New for each connection, so that a proof that was overheard is worth nothing."""
    return secrets.token_hex(16)


def proves(public_key: bytes, proof: str, nonce: str, device_id: str) -> bool:
    """Whether `proof` (base64) is the signature that the holder of this Ed25519 key gives."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        signature = base64.b64decode(proof, validate=True)
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, signed_text(nonce, device_id))
    except (binascii.Error, ValueError, InvalidSignature):
        return False
    return True
