"""Whether a pool does everything it is there for, through every one of its gateways."""

from __future__ import annotations

import contextlib
import http.client
import time

from websockets.exceptions import WebSocketException

from tests.support.cluster import call
from tests.support.ws import BIG_MB, Client, about, fresh_id, resources

RECOVERY_LIMIT_S = 60.0
"""on a busy machine; how long it took is told"""

ANSWER_LIMIT_S = 10.0
"""after which the whole probe begins again"""

TROUBLE = (AssertionError, OSError, WebSocketException, http.client.HTTPException, KeyError)


def wait_works(urls: list[str], *, within_s: float = RECOVERY_LIMIT_S) -> float:
    """Probe until the pool works; how long that took, seconds."""
    started = time.monotonic()
    while True:
        try:
            probe(urls)
        except TROUBLE as error:
            if time.monotonic() - started > within_s:
                raise AssertionError(f"does not work after {within_s} s: {error}") from error
            time.sleep(0.2)
        else:
            return time.monotonic() - started


def probe(urls: list[str]) -> None:
    """Join, report, allocate and run a task at every gateway, with a neighbour at the next."""
    for i, url in enumerate(urls):
        _probe(url, urls[(i + 1) % len(urls)])


def _probe(url: str, neighbour_url: str) -> None:
    with contextlib.ExitStack() as stack:
        device, neighbour = Client(url, device_id=fresh_id("probe")), Client(neighbour_url)
        for client in (device, neighbour):
            stack.callback(client.close)
            client.register()
        device.update(resources(memoryTotal=3 * BIG_MB, memoryAvailable=3 * BIG_MB))
        neighbour.expect("resource_update", about(device.device_id), within_s=ANSWER_LIMIT_S)
        assert neighbour.ask({"memory": 2 * BIG_MB}, within_s=ANSWER_LIMIT_S)["fulfilled"] is True
        task_id = fresh_id("task")
        neighbour.submit(task_id, {"command": "echo", "input": task_id})
        assert neighbour.result_of(task_id, within_s=ANSWER_LIMIT_S) == {"success": True, "result": task_id}
        listed = call(f"{url}/api/devices", timeout_s=ANSWER_LIMIT_S)
        assert "x-rpn-stale" not in listed.headers, "the gateway has no store"
