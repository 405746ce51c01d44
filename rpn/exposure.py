"""Whether a gateway would let in whoever reaches it from elsewhere, and that nobody means that by mistake."""

from __future__ import annotations

import ipaddress

from rpn.errors import BadSettings
from rpn.settings import GatewaySettings

WARNING = (
    "lets other machines in, and nobody would be asked who they are: "
    "set RPN_AUTH=token, or RPN_INSECURE_OPEN=yes if all who can reach it may use this pool"
)
"""what is wrong with an address, and both remedies"""


def exposed(settings: GatewaySettings) -> bool:
    """Other machines reach it, and it asks for no token."""
    return settings.auth == "open" and not is_loopback(settings.host)


def check_exposure(settings: GatewaySettings) -> None:
    """Raise BadSettings if it is exposed and nobody said that it may be."""
    if exposed(settings) and settings.insecure_open != "yes":
        raise BadSettings(f"RPN_HOST: {settings.host} {WARNING}")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
