"""Whom a client takes for its server: who has an authority's word, or the one certificate it was told."""

from __future__ import annotations

import hashlib
import os
import ssl
from functools import lru_cache
from urllib.parse import urlsplit

from rpn.client.servers import parse_servers
from rpn.environ import told
from rpn.errors import BadSettings, RPNError

VARIABLE = "RPN_SERVER_CERT"
FETCH_LIMIT_S = 10.0
_END = "-----END CERTIFICATE-----"
_PIN = "sha256:"


class WrongCertificate(RPNError):
    """The server shows another certificate than the one that was named."""

    code = "WRONG_CERTIFICATE"


def client_tls() -> ssl.SSLContext:
    """How a connection checks its server.

    Where RPN_SERVER_CERT (or the file that RPN_SERVER_CERT_FILE names) holds a certificate, the
    server must show that very one, under whatever name it is reached. Raises BadSettings.
    """
    certificate = told(VARIABLE, os.environ)
    return _only(certificate) if certificate else ssl.create_default_context()


def rely_on(certificate: str) -> None:
    """Have this process take for its server who shows this certificate (PEM), unless told otherwise."""
    if certificate and not told(VARIABLE, os.environ):
        os.environ[VARIABLE] = certificate


def fingerprint(certificate: str) -> str:
    """Of the first certificate in a PEM text, as people compare it: `sha256:` and 64 hex digits.

    Raises ValueError.
    """
    return _PIN + hashlib.sha256(ssl.PEM_cert_to_DER_cert(_first(certificate))).hexdigest()


def fetch(server: str, pin: str) -> str:
    """The certificate (PEM) that the first of these gateways shows, if it is the one that `pin` means.

    `pin` is a fingerprint, or its digits alone. Raises WrongCertificate, BadSettings, OSError.
    """
    parts = urlsplit(parse_servers(server)[0])
    if parts.scheme != "wss":
        raise BadSettings(f"a certificate is shown over TLS alone: write https://{parts.netloc}")
    address = parts.hostname or "", parts.port or 443
    shown = ssl.get_server_certificate(address, timeout=FETCH_LIMIT_S)
    if fingerprint(shown) != _PIN + pin.lower().removeprefix(_PIN).replace(":", ""):
        raise WrongCertificate(f"{parts.netloc} shows another certificate: {fingerprint(shown)}")
    return shown


@lru_cache(maxsize=4)
def _only(certificate: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # it is this certificate or none, whatever the server is called
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cadata=_first(certificate))
    except (ssl.SSLError, ValueError) as error:
        raise BadSettings(f"{VARIABLE}: {error}") from None
    return context


def _first(certificates: str) -> str:
    """The server's own; its authorities, which may follow, vouch for others too."""
    first, end, _ = certificates.strip().partition(_END)
    if not end:
        raise ValueError("no certificate in PEM")
    return first + end
