"""The address that `rpn up` prints for a pool with tokens: it lets one browser in, once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Viewer
from tests.support.cluster import Cluster, running, wait_for

PRINTED = re.compile(r"http://\S+/ui/#ticket=rpn\.ticket\.[0-9a-f]+")
USED_UP = "The ticket in this address is used up, or its time is over."
REFUSED = re.compile(r"status of 401|^WebSocket connection")
"""what the browser says of a ticket that is no good, and of who comes without a token"""


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Each test has the first start of a pool, which alone prints a ticket."""
    with running(tmp_path_factory.mktemp("ticket") / "data", RPN_AUTH="token") as started:
        yield started


@pytest.fixture
def printed(cluster: Cluster) -> str:
    """The address in the words of `rpn up`."""
    wait_for(lambda: PRINTED.search(cluster.log.read_text()), what="the address")
    found = PRINTED.search(cluster.log.read_text())
    assert found is not None
    return found[0]


@pytest.fixture
def stranger(browser: Any, cluster: Cluster) -> Iterator[Viewer]:
    """Another browser, which shares nothing with the first one."""
    context = browser.new_context()
    found = Viewer(context.new_page(), cluster.urls[0])
    found.forgiven = REFUSED
    yield found
    found.check()
    context.close()


def expect_refusal(viewer: Viewer) -> None:
    """The page asks for a token, says why, and the ticket is gone from the address all the same."""
    page = viewer.page
    viewer.expect_words("^no token")
    expect(page.get_by_role("dialog")).to_contain_text("This pool asks for a token")
    expect(page.get_by_role("dialog").get_by_role("alert")).to_have_text(USED_UP)
    assert "ticket" not in page.url


def test_the_printed_address_lets_one_browser_in_and_no_other(
    viewer: Viewer, stranger: Viewer, printed: str
) -> None:
    viewer.page.goto(printed)
    viewer.expect_words("^live")
    expect(viewer.page.locator("[data-device]")).to_have_count(1)
    assert "ticket" not in viewer.page.evaluate("location.href")
    viewer.page.reload()
    viewer.expect_words("^live")
    expect(viewer.page.get_by_role("dialog")).to_have_count(0)
    stranger.page.goto(printed)
    expect_refusal(stranger)
    viewer.forgiven = REFUSED
    viewer.page.goto(printed)
    expect_refusal(viewer)
    viewer.page.reload()
    viewer.expect_words("^live")


def test_a_page_that_asks_for_a_token_takes_the_printed_address_instead(
    stranger: Viewer, printed: str
) -> None:
    stranger.page.goto(f"{stranger.url}/ui/")
    expect(stranger.page.get_by_role("dialog")).to_contain_text("This pool asks for a token")
    stranger.page.goto(printed)
    stranger.expect_words("^live")
    expect(stranger.page.get_by_role("dialog")).to_have_count(0)
    assert "ticket" not in stranger.page.url


def test_the_token_of_the_tab_ends_by_itself(viewer: Viewer, printed: str) -> None:
    viewer.page.goto(printed)
    viewer.expect_words("^live")
    tokens = viewer.page.evaluate("rpn.rest.call('GET', 'api/tokens')")["tokens"]
    [made] = [token for token in tokens if token["name"] == "browser"]
    lasts_ms = viewer.page.evaluate(
        "(token) => Date.parse(token.expiresAt) - Date.parse(token.createdAt)", made
    )
    assert (made["kind"], lasts_ms) == ("admin", 12 * 3_600_000)
