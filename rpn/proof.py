"""What a device with a key signs when it registers, so that a copied token alone is worth nothing."""

from __future__ import annotations

NONCE_HEADER = "X-RPN-Nonce"
"""of the handshake's answer; new for each connection"""


def signed_text(nonce: str, device_id: str) -> bytes:
    """What the device signs with its Ed25519 key."""
    return f"rpn register\n{nonce}\n{device_id}".encode()
