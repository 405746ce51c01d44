"""What a jailed task cannot do: reach files that are not its own, sockets, others' processes, or too much."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from agent import jail, seccomp
from agent.guard import holds_more_than
from agent.users import COUNT, Users
from rpn.model import Requirements
from tests.support import make
from tests.support.workbench import Bench
from tests.unit.test_agent_runner import bench, python

__all__ = ["bench"]
UNTIL_LET_GO = """
import os, time
while not os.path.exists("go"):
    time.sleep(0.01)
"""
full = pytest.mark.skipif(jail.level() != "full", reason="this kernel has no Landlock")


def let_go(bench: Bench) -> None:
    """End every task that waits for it."""
    for folder in bench.folder.iterdir():
        (folder / "go").touch()


@full
@pytest.mark.parametrize("place", ["~/secret", "/tmp/rpn-escape", "/etc/rpn-escape", "/var/tmp/rpn-escape"])
async def test_it_writes_nowhere_but_in_its_folder(bench: Bench, place: str) -> None:
    path = os.path.expanduser(place)
    result = await bench.run(python(f"open({path!r}, 'w')"))
    assert (result.code, "Permission" in result.error or "No such file" in result.error) == ("EXIT", True)
    assert not os.path.exists(path)


@full
async def test_it_reads_nothing_of_the_owners(bench: Bench) -> None:
    with TemporaryDirectory(prefix="rpn-owner-") as folder:  # not below tmp_path, which is root's alone
        secret = Path(folder) / "secret"
        secret.write_text("x")
        Path(folder).chmod(0o755)
        result = await bench.run(python(f"print(open({str(secret)!r}).read())"))
    assert (result.success, result.result) == (False, None)


@full
@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK"])
async def test_it_opens_no_socket(bench: Bench, family: str) -> None:
    result = await bench.run(python(f"import socket; socket.socket(socket.{family})"))
    assert "PermissionError" in result.error


@full
async def test_it_cannot_end_its_warden(bench: Bench) -> None:
    result = await bench.run(python("import os; os.kill(os.getppid(), 9)"))
    assert "PermissionError" in result.error
    assert bench.warden.is_running()


async def test_it_has_no_files_open_but_its_three(bench: Bench) -> None:
    script = "import os; print(json.dumps(sorted(map(int, os.listdir('/proc/self/fd')))))"
    for _ in range(4):  # from the third on, it was forked before it was needed
        opened = (await bench.run(python(script))).result
        assert opened == [0, 1, 2, 3], "the last is the folder that it lists"


async def test_it_has_a_home_of_its_own_to_write_in(bench: Bench) -> None:
    script = "import os; open('a', 'w').write('mine'); print(open(os.path.expanduser('~/a')).read(), end='')"
    assert (await bench.run(python(script))).result == "mine"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives its tasks users of their own")
async def test_under_root_no_two_tasks_share_a_user(bench: Bench) -> None:
    assigns = [
        python(f"import os; print(json.dumps([os.getuid(), os.getgroups()])){UNTIL_LET_GO}") for _ in "ab"
    ]
    for assign in assigns:
        bench.runner.heard(assign)
    for assign in assigns:
        await bench.started(assign)
    let_go(bench)
    answers = [(await bench.end_of(assign)).result for assign in assigns]
    (first, _), (second, _) = answers
    assert len({first, second, 0}) == 3
    assert [groups for _, groups in answers] == [[], []]


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core cannot be shared out")
async def test_a_task_runs_on_no_more_cores_than_it_asked_for(bench: Bench) -> None:
    asked = Requirements(cpu=100)
    result = await bench.run(python("import os; print(len(os.sched_getaffinity(0)))", requirements=asked))
    assert result.result == 1


async def test_a_daemon_is_held_against_its_task_also_while_that_runs_on(bench: Bench) -> None:
    script = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(1)  # it is seen among its task's processes
        os.setsid()
        time.sleep(1000)
    time.sleep(1)
    os._exit(0)
time.sleep(3)
"""
    result = await bench.run(python(script))
    assert (result.code, "left processes behind" in result.error) == ("EXIT", True)


async def test_nobody_is_blamed_for_the_daemons_of_another(bench: Bench) -> None:
    script = """
import os, time
while True:
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(1000)
        os._exit(0)
    os.wait()
    print('.', file=sys.stderr, flush=True)
    time.sleep(0.01)
"""
    guilty = python(script)
    bench.runner.heard(guilty)
    await bench.until(lambda: bool(bench.logs(guilty)))
    innocent = await bench.run(python("print(1)"))
    bench.cancel(guilty)
    await bench.end_of(guilty)
    assert (innocent.success, innocent.error) == (True, "")


async def test_a_fork_bomb_is_ended(bench: Bench) -> None:
    result = await bench.run(python("import os\nwhile True:\n try: os.fork()\n except OSError: pass"))
    assert (result.code, "processes" in result.error) == ("LIMIT", True)
    assert bench.warden.children(recursive=True) == []


async def test_too_large_a_file_is_the_end(bench: Bench) -> None:
    result = await bench.run(python("open('big', 'wb').truncate(1100 * 2**20)"))
    assert (result.code, "File too large" in result.error) == ("EXIT", True)


async def test_memory_is_limited_also_where_nothing_was_asked(bench: Bench) -> None:
    result = await bench.run(python("x = b'x' * (3 * 2**30); import time; time.sleep(60)"))
    assert (result.code, "1024 MB" in result.error) == ("OOM", True)


async def test_a_suspended_task_stands_still_until_it_is_resumed(bench: Bench) -> None:
    assign = python(f"print('.', file=sys.stderr, flush=True){UNTIL_LET_GO}")
    bench.runner.heard(assign)
    await bench.until(lambda: bool(bench.logs(assign)))
    await bench.suspend(assign)
    [leader] = bench.warden.children()
    await bench.until(lambda: leader.status() == "stopped")
    let_go(bench)
    assert not bench.done(assign)
    await bench.resume(assign)
    assert (await bench.end_of(assign)).success


def test_many_small_files_count_too(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / f"{number}").write_bytes(bytes(4096))
    assert holds_more_than(str(tmp_path), 9 * 4096)
    assert not holds_more_than(str(tmp_path), 11 * 4096)


def test_a_user_is_given_again_only_when_it_is_free() -> None:
    users = Users(1000)
    taken = [users.take() for _ in range(COUNT)]
    assert len(set(taken)) == COUNT
    users.give_back(1005)
    assert users.take() == 1005
    assert Users(None).take() is None


def test_the_filter_knows_this_machine() -> None:
    assert seccomp.available() == (os.uname().machine in ("x86_64", "aarch64"))


async def test_a_refused_assignment_starts_nothing(bench: Bench) -> None:
    for command in ("../sh", "-c", "echo; rm -rf /", "echo\x00", "", "/bin/sh"):
        result = await bench.run(make.assign(command))
        assert result.code == "REJECTED"
