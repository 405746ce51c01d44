"""The Redis user of docs/security.md may do all that a pool needs, and nothing to the server itself."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path

import pytest

from rpn.store.connection import Connection
from rpn.store.embedded import EmbeddedServer
from tests.support.amnesty import end_amnesty
from tests.support.cluster import clean_environment
from tests.support.gateways import gateways

DOCUMENT = Path(__file__).parents[2] / "docs/security.md"
PASSWORD = "least"


def documented() -> list[str]:
    """The words of the `ACL SETUSER` that operators are told to type."""
    found = re.search(r"^ACL SETUSER .*$", DOCUMENT.read_text(), re.MULTILINE)
    assert found is not None
    return found[0].replace("PASSWORD", PASSWORD).split()


async def test_a_pool_runs_with_the_least_rights(own_valkey: EmbeddedServer) -> None:
    owner = Connection(own_valkey.url)
    await owner.command(*documented())
    end_amnesty(own_valkey.url, "least")
    url = own_valkey.url.replace("unix://", f"unix://rpn:{PASSWORD}@")
    environ = clean_environment({"RPN_REDIS_URL": url, "RPN_POOL": "least"})
    scheduler = await asyncio.create_subprocess_exec(sys.executable, "-P", "-m", "scheduler", env=environ)
    async with gateways(url, "least", count=2) as pool:
        first, second = await pool.talk(0, "a"), await pool.talk(1, "b", accepts=["acks"])
        await first.expect("device_joined")
        task = {"id": "t", "type": "compute", "submitterId": "b", "data": {}, "requirements": {"cpu": 1}}
        await second.connection.send(json.dumps({"type": "task_submit", "task": task}))
        await second.expect("task_status")
        await first.say("resource_request", requirements={"cpu": 100})
        answer = await first.expect("resource_allocation", within_s=20)
        assert not answer["allocation"]["fulfilled"]  # nobody has reported that it has any
    scheduler.terminate()
    assert await scheduler.wait() == 0
    user = Connection(url)
    for words in (("CONFIG", "GET", "*"), ("FLUSHALL",), ("KEYS", "*"), ("ACL", "LIST"), ("GET", "other")):
        with pytest.raises(Exception, match=r"(?i)NOPERM|permission"):
            await user.command(*words)
    await user.close()
    await owner.close()
