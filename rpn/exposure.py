"""Whether a gateway would let in whoever reaches it from elsewhere, and that nobody means that by mistake."""

from __future__ import annotations

import ipaddress

from rpn.errors import BadSettings
from rpn.settings import GatewaySettings


def exposed(settings: GatewaySettings) -> bool:
    """Other machines reach it, and it asks for no token."""
    return settings.auth == "open" and not _loopback(settings.host)


def check_exposure(settings: GatewaySettings) -> None:
    """Raise BadSettings if it is exposed and nobody said that it may be."""
    if exposed(settings) and settings.insecure_open != "yes":
        raise BadSettings(
            f"RPN_HOST: {settings.host} lets other machines in, and nobody would be asked who they are: "
            "set RPN_AUTH=token, or RPN_INSECURE_OPEN=yes if all who can reach it may use this pool"
        )


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
