"""Tasks on the page: run from it, followed, stopped, run again."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.conftest import Viewer


def test_a_task_that_is_run_from_the_page_brings_its_result_there(viewer: Viewer) -> None:
    page = viewer.go("work")
    form = page.get_by_role("form", name="Run a task")
    form.get_by_label("Command").fill("primes")
    form.get_by_label("Input").fill('{"n": 100000}')
    form.get_by_label("CPU cores").fill("0.1")
    form.get_by_role("button", name="Run").click()
    expect(page.locator("#task-result")).to_have_text("9592")
    expect(page.get_by_role("heading", name="primes")).to_be_visible()
    expect(page.locator(".badge").first).to_have_text("done")
    page.get_by_role("link", name="All work").click()
    expect(page.locator(".task .badge").first).to_have_text("done")


def test_a_task_that_runs_is_seen_on_its_device_and_can_be_stopped(viewer: Viewer) -> None:
    page = viewer.go("work")
    form = page.get_by_role("form", name="Run a task")
    form.get_by_label("Command").fill("sleep")
    form.get_by_label("Input").fill('{"seconds": 600}')
    form.get_by_label("CPU cores").fill("0.1")
    form.get_by_role("button", name="Run").click()
    state = page.locator(".badge").first
    expect(state).to_have_text("running")
    page.keyboard.press("1")
    expect(page.locator(".card .running")).to_have_text("sleep")
    expect(page.locator("#meter-cpu .key.pool")).to_have_text(re.compile(r"^0\.1 pool"))
    page.go_back()
    page.get_by_role("button", name="Cancel").click()
    expect(state).to_have_text("cancelled")


def test_why_a_task_waits_is_said_in_words(viewer: Viewer) -> None:
    page = viewer.go("work")
    form = page.get_by_role("form", name="Run a task")
    form.get_by_label("CPU cores").fill("5000")
    form.get_by_role("button", name="Run").click()
    expect(page.locator(".why .reason")).not_to_be_empty()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".badge").first).to_have_text("cancelled")


def test_a_task_of_this_page_can_be_run_again(viewer: Viewer) -> None:
    page = viewer.go("work")
    page.get_by_role("form", name="Run a task").get_by_label("CPU cores").fill("0.1")
    page.get_by_role("button", name="Run").click()
    expect(page.locator("#task-result")).to_have_text("9592")
    first = page.url
    page.get_by_text("Run it again").click()
    page.get_by_label("Input").fill('{"n": 10}')
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator("#task-result")).to_have_text("4")
    assert page.url != first
