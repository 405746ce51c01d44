"""TLS at the gateway itself, for pools without a balancer in front that does it."""

from __future__ import annotations

import ssl

from rpn.errors import BadSettings
from rpn.settings import GatewaySettings, speaks_tls


def tls_context(settings: GatewaySettings) -> ssl.SSLContext | None:
    """What encrypts its connections, of TLS 1.2 at least; None if it speaks plainly. Raises BadSettings."""
    if not speaks_tls(settings):
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key, password=_no_password)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise BadSettings(f"RPN_TLS_CERT, RPN_TLS_KEY: {error}") from None
    return context


def _no_password() -> str:
    """Asked for where a key is encrypted: a service has nobody to type one."""
    raise ValueError("the key must not be encrypted")
