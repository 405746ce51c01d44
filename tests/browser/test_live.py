"""The page shows the pool as it is: who joins, what they report, who leaves, what would fit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from playwright.sync_api import expect

from tests.browser.conftest import Viewer
from tests.browser.devices import FakeDevice


def test_a_device_comes_moves_and_goes_on_the_page_as_it_does_in_the_pool(viewer: Viewer) -> None:
    viewer.go()
    with FakeDevice(viewer.url, "mover", "The mover") as device:
        card = viewer.card("mover")
        expect(card).to_be_visible()
        expect(card.locator(".card-name")).to_have_text("The mover")
        for usage in (75, 20):
            device.report(cpuUsage=usage, cpuAvailable=100 - usage)
            expect(card.locator(".card-load")).to_have_text(f"{usage} %")
            bar = card.locator(".card-line.cpu .owners")
            assert float(bar.evaluate("bar => bar.style.getPropertyValue('--part')")) == usage
    expect(card).to_have_count(0)


def test_who_comes_and_goes_is_told_with_the_reason(viewer: Viewer) -> None:
    viewer.go("activity")
    with FakeDevice(viewer.url, "guest", "A guest"):
        expect(viewer.page.locator(".event.device_joined")).to_contain_text("A guest joined")
    expect(viewer.page.locator(".event.device_left")).to_contain_text("A guest left it closed its connection")


def test_a_device_has_an_address_and_what_was_before_the_page_came(viewer: Viewer) -> None:
    with FakeDevice(viewer.url, "own view", "Own view", cpuUsage=50, cpuAvailable=50):
        page = viewer.go("devices/own%20view")
        expect(page.get_by_role("heading", name="Own view")).to_be_visible()
        expect(page.locator(".device .badge").first).to_have_text("in the pool")
    expect(page.locator(".device .badge").first).to_have_text("left the pool")


def test_a_search_finds_by_name_and_by_what_a_device_is(viewer: Viewer) -> None:
    with (
        FakeDevice(viewer.url, "p", "Painter", hasGPU=True, gpuName="RTX"),
        FakeDevice(viewer.url, "w", "Writer"),
    ):
        page = viewer.go()
        expect(viewer.card("w")).to_be_visible()
        page.keyboard.press("/")
        page.keyboard.type("gpu pain")
        expect(viewer.card("w")).to_have_count(0)
        expect(viewer.card("p")).to_be_visible()
        assert "q=gpu+pain" in page.url


def test_the_dry_run_of_a_request_is_what_is_then_allocated(viewer: Viewer) -> None:
    with FakeDevice(viewer.url, "one"), FakeDevice(viewer.url, "two"):
        page = viewer.go("request?cpu=1200&memory=1024")
        verdict = page.locator(".verdict")
        expect(verdict).to_have_text(re.compile(r"^Yes, split over 2"))
        planned = _shares(page)
        page.get_by_role("button", name="Reserve for 10 minutes").click()
        held = page.locator("[data-allocation]")
        expect(held).to_be_visible()
        assert _shares_of(page, held.get_attribute("data-allocation")) == planned
        expect(verdict).to_have_text(re.compile(r"^Not now"))
        expect(page.locator(".why")).to_contain_text("lack")
        held.get_by_role("button", name="Release").click()
        expect(held).to_have_count(0)
        expect(page.locator("#meter-cpu .key.pool")).to_have_text("0 pool")


def _shares(page: Any) -> dict[str, str]:
    rows = page.locator(".share").all()
    return {row.get_attribute("data-device"): row.locator(".hint").inner_text() for row in rows}


def _shares_of(page: Any, allocation_id: str) -> dict[str, str]:
    """What an allocation gives, in the page's words."""
    found: dict[str, str] = page.evaluate(
        """async (id) => {
          const { allocation } = await (await fetch(`../api/allocations/${id}`)).json();
          const { needs } = await import("./format.js");
          return Object.fromEntries(allocation.allocatedDevices.map((share) => [share.deviceId, needs({
            cpu: share.allocatedCpu, memory: share.allocatedMemory, storage: share.allocatedStorage,
          })]));
        }""",
        allocation_id,
    )
    return found


def test_a_page_of_ones_own_watches_the_pool_by_the_same_client(viewer: Viewer) -> None:
    viewer.forgiven = re.compile("404")  # a page without an icon
    example = Path(__file__).parents[2] / "examples" / "javascript" / "watch.html"
    viewer.page.goto(f"{viewer.url}/livez")
    viewer.page.set_content(example.read_text(encoding="utf-8"))
    with FakeDevice(viewer.url, "seen", "Seen elsewhere", cpuUsage=7, cpuAvailable=93):
        expect(viewer.page.locator("#devices")).to_contain_text("Seen elsewhere: 7 %")
