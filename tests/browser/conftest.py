"""Debian's Chromium, a page in it that may not complain, and a pool that it shows."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import Cluster, running
from tests.support.patience import PATIENCE_S

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

sync_api.expect.set_options(timeout=PATIENCE_S * 1000)

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WATCH = """
window.complaints = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.complaints.push(`CSP: ${event.violatedDirective} ${event.blockedURI}`);
});
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever needs a browser is slow, and skipped where there is none."""
    for item in items:
        if Path(__file__).parent in Path(item.fspath).parents:
            item.add_marker(pytest.mark.slow)
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="no Chromium here (apt install chromium)"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Ends with its module: while playwright runs, no test of another module can have an event loop."""
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(tmp_path_factory.mktemp("page") / "data") as started:
        yield started


class Viewer:
    """Somebody who looks at the page, and notes every complaint of the browser."""

    def __init__(self, page: Any, url: str) -> None:
        self.page, self.url = page, url
        self.complaints: list[str] = []
        self.forgiven = re.compile(r"^$")
        """complaints that a test brings about on purpose"""
        page.on("console", lambda said: self._note(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self._note(str(error)))
        page.add_init_script(WATCH)

    def _note(self, text: str) -> None:
        if not self.forgiven.search(text):
            self.complaints.append(text)

    def go(self, view: str = "devices") -> Any:
        """Show a view; the page is loaded the first time only."""
        self.page.goto(f"{self.url}/ui/#/{view}")
        self.expect_words(r"^live")
        return self.page

    def expect_words(self, pattern: str) -> None:
        """The connection, in the top bar's words."""
        found = self.page.locator("#link-words")
        sync_api.expect(found).to_have_text(re.compile(pattern))

    def card(self, device_id: str) -> Any:
        return self.page.locator(f'[data-device="{device_id}"]')

    def check(self) -> None:
        """Nobody complained."""
        self.complaints += self.page.evaluate("window.complaints")
        assert self.complaints == []


@pytest.fixture
def viewer(browser: Any, cluster: Cluster) -> Iterator[Viewer]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    found = Viewer(context.new_page(), cluster.urls[0])
    yield found
    found.check()
    context.close()
