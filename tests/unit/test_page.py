"""The page's files and QR codes: sealed by headers, small on the wire, nothing from elsewhere."""

from __future__ import annotations

import gzip
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from gateway.http import Rest
from gateway.page import QR_LIMIT_BYTES, page, qr_code

UI = Path(__file__).parents[2] / "gateway" / "ui"
SENT = sorted(path for path in UI.rglob("*") if path.suffix in {".html", ".css", ".js", ".svg"})
LIMIT_KIB = 80
LINE_LIMIT = 400


@pytest.fixture
async def site() -> AsyncIterator[httpx.AsyncClient]:
    app = Starlette(routes=[Route("/ui/qr.svg", qr_code, methods=["POST"]), page()])
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


@pytest.mark.parametrize("path", ["/ui/", "/ui/app.js", "/ui/rpn-client/index.js", "/ui/css/tokens.css"])
async def test_every_file_forbids_what_is_not_ours(site: httpx.AsyncClient, path: str) -> None:
    answer = await site.get(path)
    policy = answer.headers["content-security-policy"]
    assert answer.status_code == 200
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-cache"


async def test_the_second_visit_costs_nothing(site: httpx.AsyncClient) -> None:
    etag = (await site.get("/ui/app.js")).headers["etag"]
    assert (await site.get("/ui/app.js", headers={"If-None-Match": etag})).status_code == 304


async def test_a_qr_code_is_an_svg_of_what_was_sent_and_kept_by_nobody(site: httpx.AsyncClient) -> None:
    answer = await site.post("/ui/qr.svg", content=b"http://192.168.1.20:3000/")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.text.startswith("<svg")


@pytest.mark.parametrize("body", [b"", b"x" * (QR_LIMIT_BYTES + 1)])
async def test_a_qr_code_of_nothing_or_too_much_is_refused(body: bytes) -> None:
    app = Starlette(
        routes=[Route("/ui/qr.svg", qr_code, methods=["POST"])],
        exception_handlers={Exception: Rest.on_error.__get__(object())},
    )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.post("/ui/qr.svg", content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_MESSAGE")


def test_the_whole_page_is_small() -> None:
    sizes = {path.name: len(gzip.compress(path.read_bytes())) for path in SENT}
    assert sum(sizes.values()) < LIMIT_KIB * 1024, sizes


@pytest.mark.parametrize("path", SENT, ids=lambda path: str(path.relative_to(UI)))
def test_the_pages_files_are_short_and_bring_nothing_from_elsewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LINE_LIMIT
    loaded = re.findall(r"""(?:src|href|from|import|url)\s*[=(]?\s*["'(]\s*(?:https?:)?//""", text)
    assert not loaded
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|\sstyle=", text)
