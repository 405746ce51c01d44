"""Names that would like to be more than names, fed to the page as a recording: they stay text, everywhere."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Viewer
from tests.browser.devices import resources

MARKUP = "<img src=x onerror=alert(1)>"
TURNED = "invoice\u202egnp.exe"
WIDE = "\u65e5" * 128
NAMES = [MARKUP, "<script>alert(1)</script>", TURNED, "\u2066hidden\u2069\u0000\u001b[31m", WIDE, "😀" * 128]
VIEWS = ["devices", "devices?as=table", "devices?as=map", "work", "request", "activity", "system", "add"]
AT_MS = 1_760_000_000_000


def log() -> list[Any]:
    """Everything that carries a name, carrying these."""
    messages: list[dict[str, Any]] = [{"type": "devices", "devices": []}]
    for name in NAMES:
        messages += _about(name)
    tasks = [_task(name) for name in NAMES]
    messages.append({"type": "answer", "name": "tasks", "value": {"tasks": tasks}})
    messages.append({"type": "device_left", "deviceId": NAMES[-1]})
    return [[AT_MS + number, message] for number, message in enumerate(messages)]


def _about(name: str) -> list[dict[str, Any]]:
    at = "2025-10-09T08:53:20.000Z"
    device = {
        "id": name,
        "name": name,
        "platform": name,
        "ipAddress": name,
        "lastSeen": at,
        "isOnline": True,
        "resources": resources(hasGPU=True, gpuName=name),
    }
    event = {"type": "pool_event", "at": at, "deviceId": name, "reason": name}
    return [
        {"type": "device_joined", "device": device},
        {**event, "kind": "task", "taskId": name, "submitterId": name, "state": name},
        {**event, "kind": "allocation", "allocationId": name, "state": name},
        {**event, "kind": "gateway", "gatewayId": name, "state": "up"},
    ]


def _task(name: str) -> dict[str, Any]:
    reason = {"code": "INSUFFICIENT", "message": name, "devices": 1, "exhausted": {name: 1}}
    named = {
        "taskId": name,
        "submitterId": name,
        "type": name,
        "command": name,
        "deviceId": name,
        "log": name,
    }
    return {**named, "state": "queued", "requirements": {}, "attempts": 0, "reason": reason}


@pytest.fixture
def replayed(viewer: Viewer) -> Any:
    page = viewer.go("system")
    recording = {"name": "log.json", "mimeType": "application/json", "buffer": json.dumps(log()).encode()}
    page.set_input_files("#replay-file", recording)
    viewer.expect_words("recording")
    page.on("dialog", lambda dialog: viewer.complaints.append(dialog.message))
    return page


def show(page: Any, view: str) -> None:
    page.evaluate("(view) => { location.hash = `#/${view}`; }", view)
    page.wait_for_timeout(400)


@pytest.mark.parametrize("width", [360, 1920])
def test_no_view_takes_a_name_for_anything_but_text(replayed: Any, width: int) -> None:
    replayed.set_viewport_size({"width": width, "height": 800})
    for view in VIEWS:
        show(replayed, view)
        assert replayed.locator('[src="x"], [onerror], main script').count() == 0
        shown = replayed.locator("body").inner_text()
        assert not re.search(r"[\u202a-\u202e\u2066-\u2069\x00\x1b]", shown), view
        assert replayed.evaluate("document.documentElement.scrollWidth") <= width, view


def test_a_name_that_looks_like_markup_is_shown_as_it_is(replayed: Any) -> None:
    show(replayed, "devices")
    expect(replayed.locator(".card-name").first).to_have_text(MARKUP)
    replayed.locator(".card-head").first.click()
    expect(replayed.get_by_role("heading", level=1)).to_have_text(MARKUP)
    show(replayed, "devices")
    expect(replayed.locator(".card-name").nth(2)).to_have_text("invoice\ufffdgnp.exe")


def test_a_recording_is_never_taken_for_the_present(replayed: Any, viewer: Viewer) -> None:
    expect(replayed.locator("#notice")).to_contain_text("This is a recording")
    replayed.reload()
    viewer.expect_words("^live")
    expect(replayed.locator("#notice")).to_be_hidden()
