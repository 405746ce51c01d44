"""A gateway that speaks TLS itself: REST, WebSocket and our own clients, and what is no certificate."""

from __future__ import annotations

import asyncio
import datetime
import json
import ssl
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID
from websockets.asyncio.client import connect

from gateway.tls import tls_context
from rpn.client.api import Api
from rpn.client.pool import AsyncPool
from rpn.errors import BadSettings
from rpn.settings import GatewaySettings
from tests.e2e.conftest import Locked
from tests.support.guarded import ADMIN


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A certificate for 127.0.0.1 that vouches for itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pool")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, None)
    )
    pem = serialization.Encoding.PEM
    pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "cert.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "key.pem").write_bytes(key.private_bytes(pem, pkcs8, plain))
    return {"tls_cert": str(folder / "cert.pem"), "tls_key": str(folder / "key.pem")}


async def test_rest_sockets_and_our_clients_go_by_tls(
    guarded: Locked, files: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", files["tls_cert"])
    async with guarded(**files) as pool:
        url = pool.gateway().url
        assert url.startswith("https://")
        api = Api(url, token=ADMIN)
        assert await asyncio.to_thread(api.get, "api", "devices") == {"devices": []}
        api.close()
        socket_url = url.replace("https", "wss") + "/ws"
        async with connect(socket_url, additional_headers={"Authorization": f"Bearer {ADMIN}"}) as socket:
            await socket.send('{"type":"observe"}')
            assert json.loads(await socket.recv())["type"] == "devices"
        async with AsyncPool(url, token=ADMIN) as client:
            assert [device.ip_address for device in await client.devices()] == ["127.0.0.1"]


async def test_who_does_not_know_the_certificate_does_not_talk(
    guarded: Locked, files: dict[str, Any]
) -> None:
    async with guarded(**files) as pool:
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(pool.gateway().url.replace("https", "wss") + "/ws")


@pytest.mark.parametrize("lacks", ["tls_cert", "tls_key"])
def test_a_certificate_and_its_key_come_together(files: dict[str, Any], lacks: str) -> None:
    with pytest.raises(BadSettings, match="come together"):
        tls_context(GatewaySettings(**{**files, lacks: ""}))


def test_files_that_are_no_certificate_are_a_bad_setting(files: dict[str, Any], tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for bad in ({"tls_cert": str(empty)}, {"tls_key": "/nowhere"}, {"tls_key": files["tls_cert"]}):
        with pytest.raises(BadSettings, match="RPN_TLS_CERT"):
            tls_context(GatewaySettings(**{**files, **bad}))
