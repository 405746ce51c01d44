"""The small server that operators and Prometheus look through."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from rpn import lookout
from rpn.errors import BadSettings
from rpn.lookout import Answer, Lookout
from tests.support.patience import PATIENCE_S


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """Of a lookout with one page."""

    async def page() -> Answer:
        return Answer(200, b"here", "text/plain")

    opened = Lookout({"/page": page})
    serving = asyncio.create_task(opened.serve("127.0.0.1", 0, setting="RPN_METRICS_PORT"))
    await opened.listening.wait()
    yield opened.port
    serving.cancel()
    await asyncio.wait([serving])


async def said(port: int, request: bytes) -> bytes:
    """All that comes back until the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    ("line", "status"),
    [("GET /page", b"200"), ("GET /page?x=1", b"200"), ("GET /", b"404"), ("PUT /page", b"405")],
)
async def test_a_lookout_answers_what_there_is(port: int, line: str, status: bytes) -> None:
    answer = await said(port, f"{line} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert answer.split(b" ")[1] == status
    assert answer.endswith(b"here") == (status == b"200")


async def test_a_head_has_no_body(port: int) -> None:
    assert (await said(port, b"HEAD /page HTTP/1.1\r\n\r\n")).endswith(b"\r\n\r\n")


async def test_who_says_too_much_or_nothing_is_let_go(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookout, "TIME_LIMIT_S", 0.05)
    assert await said(port, b"") == b""
    assert await said(port, b"x" * (2 * lookout.HEAD_LIMIT)) == b""
    assert (await said(port, b"GET /page HTTP/1.1\r\n\r\n")).endswith(b"here")


async def test_a_port_that_is_taken_names_its_setting(port: int) -> None:
    with pytest.raises(BadSettings, match=f"RPN_METRICS_PORT: cannot listen on 127.0.0.1:{port}"):
        await Lookout({}).serve("127.0.0.1", port, setting="RPN_METRICS_PORT")
