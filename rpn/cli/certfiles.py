"""The certificate that `rpn up --tls` makes: it vouches for itself, and is known by its fingerprint."""

from __future__ import annotations

import datetime
import shlex
import socket
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

from rpn.errors import BadSettings, ServerFailed
from rpn.whole_file import write_whole

LASTS_DAYS = 3650
LATE_CLOCK = datetime.timedelta(days=1)
"""a machine whose clock is a little behind takes it too"""


class CertFiles(NamedTuple):
    """In PEM; only its owner reads the key."""

    cert: Path
    key: Path

    @property
    def text(self) -> str:
        """The certificate. Raises BadSettings."""
        try:
            return self.cert.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise BadSettings(f"RPN_TLS_CERT: {error}") from None

    def flags(self, data_dir: Path) -> str:
        """What has `rpn up` use them again: a name for those that it did not make itself."""
        if self.cert.parent == data_dir:
            return "--tls"
        return f"--tls-cert {shlex.quote(str(self.cert))} --tls-key {shlex.quote(str(self.key))}"


def cert_files(data_dir: Path, address: str | None) -> CertFiles:
    """The files of this pool, made if they are not there. Raises ServerFailed.

    `address` is where others reach it.
    """
    found = CertFiles(data_dir / "cert.pem", data_dir / "key.pem")
    if found.cert.exists() and found.key.exists():
        return found
    try:
        cert, key = _made(_names(address))
        write_whole(found.key, key)
        write_whole(found.cert, cert, mode=0o644)
    except OSError as error:
        raise ServerFailed(f"cannot keep a certificate in {data_dir}: {error.strerror}") from None
    return found


def _names(address: str | None) -> list[str]:
    """What this machine is called, for clients that compare that too."""
    names = ["localhost", "127.0.0.1", "::1", socket.gethostname()]
    return list(dict.fromkeys(names + ([address] if address else [])))


def _made(names: list[str]) -> tuple[bytes, bytes]:
    """(certificate, key), PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())  # every browser knows it
    itself = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Resource Pooling Network")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(itself, itself, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - LATE_CLOCK)
        .not_valid_after(now + datetime.timedelta(days=LASTS_DAYS))
        .add_extension(x509.SubjectAlternativeName([_name(each) for each in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    return certificate.public_bytes(pem), key.private_bytes(pem, pkcs8, plain)


def _name(text: str) -> Any:
    from cryptography import x509

    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)
