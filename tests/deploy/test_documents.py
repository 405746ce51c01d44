"""What docs/operations.md tells to type does what it says, typed as it stands there."""

from __future__ import annotations

import asyncio
import re

import pytest

from rpn.client.pool import AsyncPool
from rpn.errors import TaskConflict
from tests.deploy.conftest import Started
from tests.deploy.crowd import LITTLE
from tests.deploy.engine import HOUSE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PATIENCE_S = 30


def to_type(heading: str) -> list[str]:
    """The blocks of commands under a heading, in order."""
    section = (HOUSE / "docs/operations.md").read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


async def echo(url: str, device_id: str, task_id: str, word: str) -> object:
    """Submit a task under this id; its result, maybe of long ago."""
    async with asyncio.timeout(PATIENCE_S), AsyncPool(url, device_id=device_id) as pool:
        return await pool.submit("echo", word, task_id=task_id, requirements=LITTLE)


async def test_what_was_saved_is_there_again_and_what_came_after_is_not(cluster: Started) -> None:
    save, restore = to_type("Back up")
    assert await echo(cluster.url, "saver", "before", "first") == "first"
    await asyncio.to_thread(cluster.run, "sh", "-ec", save)
    assert await echo(cluster.url, "saver", "after", "first") == "first"
    await asyncio.to_thread(cluster.run, "sh", "-ec", restore)
    with pytest.raises(TaskConflict):
        await echo(cluster.url, "saver", "before", "second")
    assert await echo(cluster.url, "saver", "after", "second") == "second"
