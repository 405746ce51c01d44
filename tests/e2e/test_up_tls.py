"""`rpn up --tls`: the whole pool talks by the certificate it made, and a machine joins by its fingerprint."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rpn.client import trust
from rpn.client.api import Api, Unreachable
from rpn.errors import RPNError
from tests.e2e.test_join import agent, rpn
from tests.support.cluster import clean_environment, wait_for
from tests.support.ports import free_ports

START_LIMIT_S = 40


class Pool:
    """A pool that asks for tokens, over TLS."""

    def __init__(self, data_dir: Path, port: int) -> None:
        self.data_dir = data_dir
        self.url = f"https://127.0.0.1:{port}"
        self.log = data_dir.parent / "up.log"

    @property
    def certificate(self) -> str:
        return (self.data_dir / "cert.pem").read_text()

    def api(self) -> closing[Api]:
        return closing(Api(self.url, token=(self.data_dir / "admin.token").read_text().strip()))

    def devices(self) -> list[str]:
        with self.api() as api:
            return [each["id"] for each in api.get("api", "devices")["devices"]]

    def join_token(self) -> str:
        with self.api() as api:
            return str(api.post("api", "tokens", body={"kind": "join"})["token"])


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    pool = Pool(tmp_path_factory.mktemp("tls") / "data", free_ports(1)[0])
    command = [sys.executable, "-P", "-m", "rpn.cli", "up", "--tls", "--port", pool.url.rpartition(":")[2]]
    environ = clean_environment({"RPN_AUTH": "token", "RPN_REST_RATE_LIMIT": 0})
    with (
        pool.log.open("wb") as log,
        subprocess.Popen(
            [*command, "--data-dir", str(pool.data_dir)], env=environ, stdout=log, stderr=subprocess.STDOUT
        ) as up,
    ):
        try:
            wait_for(lambda: "Ctrl-C" in pool.log.read_text(), within_s=START_LIMIT_S, what="the welcome")
            yield pool
        finally:
            up.terminate()
            up.wait(20)


@pytest.fixture(autouse=True)
def known(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(trust.VARIABLE, pool.certificate)


def test_its_own_agent_is_there_and_the_welcome_tells_what_to_pin(pool: Pool) -> None:
    wait_for(pool.devices, within_s=START_LIMIT_S, what="the agent in the pool")
    shown = pool.log.read_text()
    assert f"{pool.url}/ui/#ticket=" in shown
    assert trust.fingerprint(pool.certificate) in shown
    assert (pool.data_dir / "key.pem").stat().st_mode & 0o777 == 0o600


def test_who_was_told_no_certificate_or_another_one_does_not_talk(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from rpn.cli.certfiles import cert_files

    for told in ("", cert_files(tmp_path, None).text):
        monkeypatch.setenv(trust.VARIABLE, told)
        with pytest.raises(RPNError, match="CERTIFICATE_VERIFY_FAILED"):
            pool.devices()


async def test_a_machine_joins_by_the_fingerprint_and_stays_with_it(pool: Pool, tmp_path: Path) -> None:
    token = await asyncio.to_thread(pool.join_token)
    words = ("agent", "join", pool.url, "--data-dir", str(tmp_path))
    status, out = await rpn(*words, "--pin", "sha256:" + "0" * 64, said=token)
    assert status == 2
    assert trust.fingerprint(pool.certificate) in out
    status, out = await rpn(*words, "--pin", trust.fingerprint(pool.certificate), said=token)
    assert status == 0, out
    kept = json.loads((tmp_path / "credential.json").read_text())
    assert kept["certificate"].strip() == pool.certificate.strip()
    async with agent(tmp_path), asyncio.timeout(START_LIMIT_S):
        while kept["deviceId"] not in await asyncio.to_thread(pool.devices):
            await asyncio.sleep(0.1)


def test_a_pin_wants_tls_and_no_plain_door_is_open(pool: Pool) -> None:
    with pytest.raises(RPNError, match="over TLS alone"):
        trust.fetch(pool.url.replace("https", "http"), "00")
    with closing(Api(pool.url.replace("https", "http"))) as plain, pytest.raises(Unreachable):
        plain.get("api", "devices")
