"""A machine joins a pool that asks for tokens: by one command, with a key that nobody else has."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from rpn.client.servers import parse_servers
from rpn.tokens import TokenKind, make_token
from tests.e2e.conftest import Locked
from tests.support.cluster import clean_environment
from tests.support.guarded import Guarded

JOIN_LIMIT_S = 30


async def rpn(*words: str, said: str = "") -> tuple[int, str]:
    """Type `rpn words...`; the exit status, and all it wrote."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "rpn.cli", *words),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=clean_environment({}),
    )
    out, _ = await process.communicate(said.encode())
    return process.returncode or 0, out.decode()


@asynccontextmanager
async def agent(data_dir: Path, **settings: object) -> AsyncIterator[psutil.Process]:
    """An agent as its owner starts it: it finds pool and credential by itself."""
    command = (sys.executable, "-P", "-m", "rpn.cli", "agent", "--data-dir", str(data_dir))
    process = await asyncio.create_subprocess_exec(*command, env=clean_environment(settings))
    try:
        yield psutil.Process(process.pid)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def in_the_pool(pool: Guarded, device_id: str) -> None:
    async with asyncio.timeout(JOIN_LIMIT_S):
        while device_id not in (await pool.ask("GET", "/api/devices")).text:
            await asyncio.sleep(0.1)


async def test_an_agent_joins_by_one_command_and_proves_its_key(guarded: Locked, tmp_path: Path) -> None:
    async with guarded(rest_rate_limit=0) as pool:
        token = (await pool.token("join"))["token"]
        file = tmp_path / "join.token"
        file.write_text(token)
        data_dir = tmp_path / "agent"
        words = ("agent", "join", pool.gateway().url, "--token-file", str(file), "--data-dir", str(data_dir))
        assert await rpn(*words) == (0, (await _out(data_dir)))
        kept = json.loads((data_dir / "credential.json").read_text())
        assert (data_dir / "credential.json").stat().st_mode & 0o777 == 0o600
        async with agent(data_dir) as process:
            await in_the_pool(pool, kept["deviceId"])
            lines = [line for each in _family(process) for line in each.cmdline()]
            assert not [secret for secret in (token, kept["token"], kept["privateKey"]) if secret in lines]
            listed = (await pool.ask("GET", "/api/tokens")).json()["tokens"]
            assert [each["provesKey"] for each in listed if each["kind"] == "device"] == [True]
            thief = await pool.talk(kept["token"], kept["deviceId"])
            assert (await thief.expect("error"))["code"] == "FORBIDDEN"


async def test_an_agent_with_a_join_token_joins_at_its_first_start(guarded: Locked, tmp_path: Path) -> None:
    async with guarded(rest_rate_limit=0) as pool:
        settings = {"RPN_SERVER": pool.gateway().url, "RPN_JOIN_TOKEN": (await pool.token("join"))["token"]}
        async with agent(tmp_path, **settings):
            async with asyncio.timeout(JOIN_LIMIT_S):
                while not (tmp_path / "credential.json").exists():
                    await asyncio.sleep(0.1)
            kept = (tmp_path / "credential.json").read_text()
            await in_the_pool(pool, json.loads(kept)["deviceId"])
        async with agent(tmp_path, **settings):  # the token is used up
            await in_the_pool(pool, json.loads(kept)["deviceId"])
        assert (tmp_path / "credential.json").read_text() == kept


async def test_an_agent_whose_join_token_is_no_good_ends(guarded: Locked, tmp_path: Path) -> None:
    async with guarded(rest_rate_limit=0) as pool:
        used = make_token(TokenKind.JOIN).text
        async with agent(tmp_path, RPN_SERVER=pool.gateway().url, RPN_JOIN_TOKEN=used) as process:
            await asyncio.to_thread(process.wait, JOIN_LIMIT_S)
        assert not (tmp_path / "credential.json").exists()


async def test_a_join_that_fails_ends_as_every_command_does(guarded: Locked, tmp_path: Path) -> None:
    used = make_token(TokenKind.JOIN).text
    words = ("--data-dir", str(tmp_path))
    status, out = await rpn("agent", "join", "127.0.0.1:9", *words, said=used)
    assert (status, "no gateway answers" in out) == (3, True), out
    async with guarded(rest_rate_limit=0) as pool:
        status, out = await rpn("agent", "join", pool.gateway().url, *words, said=used)
        assert status == 4, out


async def test_the_doctor_asks_where_the_agent_joined(guarded: Locked, tmp_path: Path) -> None:
    async with guarded(rest_rate_limit=0) as pool:
        url, words = pool.gateway().url, ("--data-dir", str(tmp_path))
        await rpn("agent", "join", url, *words, said=(await pool.token("join"))["token"])
        _, out = await rpn("agent", "doctor", *words)
        server = json.loads((tmp_path / "credential.json").read_text())["server"]
        assert f"{parse_servers(server)[0]} answers" in out, out


async def _out(data_dir: Path) -> str:
    device_id = (data_dir / "agent-id").read_text().strip()
    path = data_dir / "credential.json"
    return (
        f"this machine is device {device_id} now; {path} holds a key of its own\n"
        f"start it with `rpn agent --data-dir {data_dir}`, or let `rpn agent install --data-dir {data_dir}` "
        "do that at every start of the machine\n"
    )


def _family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


@pytest.mark.parametrize(
    ("said", "told"),
    [("rpn_nonsense", "no token of ours"), (make_token(TokenKind.ADMIN).text, "no join token")],
    ids=["nonsense", "another kind"],
)
async def test_what_is_no_join_token_is_told(tmp_path: Path, said: str, told: str) -> None:
    status, out = await rpn("agent", "join", "127.0.0.1:9", "--data-dir", str(tmp_path), said=said)
    assert (status, told in out) == (2, True), out
    assert not (tmp_path / "credential.json").exists()
