"""Small and large screens, light and dark, with a keyboard or a screen reader, and few bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Viewer
from tests.browser.devices import FakeDevice
from tests.support.npm import fetched

VIEWS = ["devices", "devices?as=table", "devices?as=map", "devices/everybody", "work", "request", "activity"]
VIEWS += ["system", "add"]
SIZE_LIMIT_KIB = 80


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The accessibility checker, fetched for the test; it is no part of the project."""
    modules = fetched("axe-core@4", tmp_path_factory.mktemp("axe"))
    return (modules / "axe-core/axe.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_accessibility_checker_finds_nothing(viewer: Viewer, axe: str, scheme: str) -> None:
    viewer.page.emulate_media(color_scheme=scheme)
    with FakeDevice(viewer.url, "everybody", "Everybody's", cpuUsage=40, hasGPU=True):
        page = viewer.go()
        page.evaluate(axe)
        found = {view: _violations(page, view) for view in VIEWS}
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_be_visible()
        found["help"] = _run(page)
    assert {view: each for view, each in found.items() if each} == {}


def _violations(page: Any, view: str) -> list[str]:
    page.evaluate("(view) => { location.hash = `#/${view}`; }", view)
    page.wait_for_timeout(600)
    return _run(page)


def _run(page: Any) -> list[str]:
    violations = page.evaluate("axe.run().then((result) => result.violations)")
    return [json.dumps([each["id"], [node["html"][:200] for node in each["nodes"]]]) for each in violations]


@pytest.mark.parametrize("width", [360, 1280, 1920])
def test_nothing_is_wider_than_the_screen(viewer: Viewer, width: int) -> None:
    viewer.page.set_viewport_size({"width": width, "height": 740})
    with FakeDevice(viewer.url, "everybody", "Everybody's", hasGPU=True, gpuName="A GPU with a long name"):
        page = viewer.go()
        for view in VIEWS:
            page.evaluate("(view) => { location.hash = `#/${view}`; }", view)
            page.wait_for_timeout(300)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, view


def test_everything_can_be_reached_from_the_keyboard(viewer: Viewer) -> None:
    page = viewer.go()
    for key, title in zip("2345", ["Work", "Try a request", "Activity", "System"], strict=True):
        page.keyboard.press(key)
        expect(page).to_have_title(f"{title} · Resource pool")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("search devices")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()


def test_the_heat_map_is_walked_with_arrow_keys(viewer: Viewer) -> None:
    with FakeDevice(viewer.url, "a", "000 first"):
        page = viewer.go("devices?as=map")
        page.locator(".map").focus()
        page.keyboard.press("ArrowRight")
        expect(page.locator(".map-tip")).to_contain_text("000 first: CPU")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("000 first")


def test_a_chosen_theme_stays(viewer: Viewer) -> None:
    page = viewer.go()
    page.get_by_role("button", name="Theme").click()
    page.get_by_role("button", name="Theme").click()
    page.reload()
    viewer.expect_words("^live")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(13, 16, 20)"


def test_the_page_is_small(viewer: Viewer) -> None:
    page = viewer.go()
    sent = page.evaluate(
        "performance.getEntries().reduce((sum, each) => sum + (each.encodedBodySize ?? 0), 0)"
    )
    painted_ms = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    print(f"first paint after {painted_ms:.0f} ms; {sent / 1024:.1f} KiB")
    assert 20_000 < sent < SIZE_LIMIT_KIB * 1024
