"""Commands that mean harm, on a real pool: each ends in a clear failure, and the machine is as it was."""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from agent import jail, users
from tests.chaos.crowd import OUTCOME_LIMIT_S, Submitter
from tests.support.cluster import Cluster, running, wait_for

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]
full = pytest.mark.skipif(jail.level() != "full", reason="this kernel has no Landlock")

DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(1000)
    os._exit(0)
os.wait()
"""
PYTHON = [sys.executable, "-S", "-c", "import sys, json; exec(json.load(sys.stdin))"]
TOML = f"""
[commands]
python = {{ argv = {json.dumps(PYTHON)} }}
cat = {{ argv = ["cat"] }}
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    data_dir = tmp_path_factory.mktemp("attacked") / "data"
    (data_dir / "agent").mkdir(parents=True)
    (data_dir / "agent" / "agent.toml").write_text(TOML)
    with running(data_dir) as cluster:
        yield cluster


@pytest.fixture
def submitter(cluster: Cluster) -> Iterator[Submitter]:
    submitter = Submitter(cluster.urls, accepts=["acks"])
    submitter.start()
    yield submitter
    submitter.end()


def outcome(submitter: Submitter, command: str, given: Any, **task: Any) -> dict[str, Any]:
    task_id = submitter.submit({"command": command, "input": given}, memory=1024)
    submitter.tasks[task_id]["task"].update(task)
    wait_for(
        lambda: task_id in submitter.outcomes, within_s=OUTCOME_LIMIT_S, what=f"the end of {given!r:.80}"
    )
    return submitter.outcomes[task_id][0]


def unharmed(cluster: Cluster, submitter: Submitter) -> bool:
    """The same agent still works, and soon nothing of the attack is left."""
    assert outcome(submitter, "echo", "still there")["result"] == "still there"
    return wait_for(lambda: only_workers_are_left(cluster), what="nothing of the attack is left")


def only_workers_are_left(cluster: Cluster) -> bool:
    """Of the agent's processes and folders."""
    [agent] = cluster.of_role("agent")
    [warden] = agent.children()
    [work] = (cluster.data_dir / "agent" / "agent-work").iterdir()
    first = users.first_user(str(work)) or 0
    its_users = range(first, first + users.COUNT if first else 0)  # other agents may run on this machine
    strays = [each for each in psutil.process_iter(["uids"]) if each.info["uids"].real in its_users]
    kept = {warden.pid, *(worker.pid for worker in warden.children())}
    return len(list(work.iterdir())) <= len(kept) - 1 and all(stray.pid in kept for stray in strays)


ATTACKS = {
    "fork bomb": ("python", "import os\nwhile True:\n try: os.fork()\n except OSError: pass", {"LIMIT"}),
    "10 GB of memory": ("python", "x = b'x' * (10 * 2**30)\nimport time; time.sleep(60)", {"OOM"}),
    "memory bit by bit": ("python", "x = []\nwhile True: x.append(b'x' * 2**20)", {"OOM"}),
    "10 GB of output": ("python", "[sys.stdout.write('x' * 2**20) for _ in range(10240)]", {"OUTPUT"}),
    "a result of 100 MB": ("python", "print(json.dumps('x' * 100 * 2**20))", {"OUTPUT"}),
    "10 GB of files": ("python", "f = open('f', 'wb')\nwhile True: f.write(bytes(2**24))", {"LIMIT", "EXIT"}),
    "many files": ("python", "for i in range(10**7): open(str(i), 'wb').write(bytes(65536))", {"LIMIT"}),
    "a daemon": ("python", DAEMON, {"EXIT"}),
    "its warden's end": ("python", "import os; os.kill(os.getppid(), 9)", {"EXIT"}),
    "everybody's end": ("python", "import os; os.kill(-1, 9); open('/etc/passwd', 'a')", {"EXIT"}),
    "a socket": ("python", "import socket; socket.create_connection(('127.0.0.1', 1))", {"EXIT"}),
}


@full
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_a_failed_task_and_nothing_more(
    cluster: Cluster, submitter: Submitter, name: str
) -> None:
    command, script, codes = ATTACKS[name]
    found = outcome(submitter, command, script)
    assert (found["success"], found["code"] in codes, bool(found["error"])) == (False, True, True), found
    assert unharmed(cluster, submitter)


@full
def test_an_endless_loop_ends_at_its_timeout(cluster: Cluster, submitter: Submitter) -> None:
    found = outcome(submitter, "python", "while True: pass", timeout=0.5)
    assert found["code"] == "TIMEOUT"
    assert unharmed(cluster, submitter)


@full
def test_what_is_not_its_own_can_be_neither_read_nor_written(cluster: Cluster, submitter: Submitter) -> None:
    secret = Path(tempfile.mkdtemp(prefix="rpn-owner-")) / "secret"
    secret.write_text("x")
    os.chmod(secret.parent, 0o777)
    try:
        for script in (
            f"print(open({str(secret)!r}).read())",
            f"open({str(secret)!r}, 'a')",
            f"open({str(secret.parent / 'new')!r}, 'w')",
            "import os; print(os.listdir(os.path.expanduser('~root')))",
            "open('/proc/1/environ').read()",
            f"import os; os.symlink({str(secret)!r}, 'link'); print(open('link').read())",
        ):
            found = outcome(submitter, "python", script)
            assert (found["success"], "Permission" in found["error"]) == (False, True), (script, found)
        assert [each.name for each in secret.parent.iterdir()] == ["secret"]
        assert unharmed(cluster, submitter)
    finally:
        secret.unlink()
        secret.parent.rmdir()


def test_names_that_are_paths_flags_or_commands_are_only_names(
    cluster: Cluster, submitter: Submitter
) -> None:
    for nasty in ("../../bin/sh", "-rf", "; touch /tmp/rpn-was-here", "$(id)", "cat; id", "/bin/sh"):
        assert outcome(submitter, nasty, nasty, queueTimeout=2)["success"] is False
        assert outcome(submitter, "cat", nasty)["result"] == nasty, "input is data and nothing else"
        found = outcome(submitter, "echo", nasty, type=nasty, queueTimeout=2)
        assert found["success"] is False
    assert not Path("/tmp/rpn-was-here").exists()
    assert unharmed(cluster, submitter)


def test_bytes_that_are_no_text_arrive_as_well_as_they_can(cluster: Cluster, submitter: Submitter) -> None:
    found = outcome(submitter, "python", r"sys.stdout.buffer.write(b'a\xff\xfe\x00b')")
    assert (found["success"], found["result"][0], found["result"][-1]) == (True, "a", "b")


def test_a_thousand_mixed_tasks_with_cancels_leave_nothing(cluster: Cluster, submitter: Submitter) -> None:
    chance = random.Random(6)
    [agent] = cluster.of_role("agent")
    outcome(submitter, "echo", "warm")
    before_mb = agent.memory_info().rss / 2**20
    kinds: list[tuple[str, Any]] = [
        ("echo", {"a": 1}),
        ("sha256", "abc"),
        ("sleep", {"seconds": 0.05}),
        ("sleep", {"seconds": 60}),
        ("cat", "x"),
        ("python", "raise SystemExit(3)"),
        ("python", "open('left', 'w').write('x'); print(1)"),
        ("nothing", None),
    ]
    tasks = []
    for _ in range(1000):
        command, given = kinds[min(len(kinds) - 1, int(chance.expovariate(0.5)))]
        tasks.append(submitter.submit({"command": command, "input": given}, memory=64))
        if given == {"seconds": 60} or chance.random() < 0.2:
            submitter.say({"type": "task_cancel", "taskId": tasks[-1]})
    submitter.wait_all_done(within_s=180)
    time.sleep(1)  # a second outcome would come now
    assert all(len(submitter.outcomes[task]) == 1 for task in tasks)
    ends = Counter(submitter.outcomes[task][0].get("code", "ok") for task in tasks)
    assert min(ends[code] for code in ("ok", "EXIT", "CANCELLED", "REJECTED")) > 10, ends
    assert unharmed(cluster, submitter)
    results = cluster.data_dir / "agent" / "agent-results"
    wait_for(lambda: not list(results.iterdir()), what="every result is acknowledged")
    assert agent.memory_info().rss / 2**20 < before_mb + 25
    assert agent.num_fds() < 100
