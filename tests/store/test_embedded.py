"""The promises of rpn.store.embedded: durable, alone in its directory, gone with its parent, back at once."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from rpn.errors import ServerFailed
from rpn.store.embedded import DataLock, EmbeddedServer, binary
from rpn.store.embedded.place import SOCKET_PATH_LIMIT_BYTES, Place
from rpn.store.embedded.server import CAUSES
from tests.support.processes import gone

OWNER = """
import sys, time
from rpn.store.embedded import EmbeddedServer
server = EmbeddedServer(sys.argv[1])
server.start()
print(server.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(tmp_path / "data") as started:
        yield started


def ask(server: EmbeddedServer, *command: str) -> object:
    with redis.Redis.from_url(server.url, decode_responses=True) as connection:
        return connection.execute_command(*command)


def fill(server: EmbeddedServer) -> None:
    with redis.Redis.from_url(server.url) as connection:
        for number in range(1000):
            connection.set(str(number), bytes(10_000))


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that started a server in `data`, and has printed its pid."""
    command = [sys.executable, "-P", "-c", OWNER, str(tmp_path / "data")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def server_pid(owner: subprocess.Popen[str]) -> int:
    assert owner.stdout is not None
    return int(owner.stdout.readline())


def test_it_is_reached_by_a_socket_that_only_its_user_may_open(server: EmbeddedServer) -> None:
    assert ask(server, "PING") is True
    path = server.url.removeprefix("unix://").removesuffix("?db=0")
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o700
    assert ask(server, "CONFIG", "GET", "port") == {"port": "0"}


def test_it_is_durable_and_refuses_rather_than_forgets(server: EmbeddedServer) -> None:
    wanted = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction", "save": ""}
    assert ask(server, "CONFIG", "GET", *wanted) == wanted


def test_it_listens_on_loopback_where_asked(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path, port=0) as server:
        assert server.url.startswith("redis://127.0.0.1:")
        assert ask(server, "CONFIG", "GET", "bind") == {"bind": "127.0.0.1"}


def test_what_was_written_is_there_after_a_stop(server: EmbeddedServer) -> None:
    ask(server, "SET", "kept", "yes")
    server.stop()
    server.start()
    assert ask(server, "GET", "kept") == "yes"


def test_a_killed_server_starts_again_at_once_with_all_it_acknowledged(server: EmbeddedServer) -> None:
    ask(server, "SET", "kept", "yes")
    os.kill(server.pid, signal.SIGKILL)
    server.stop()
    server.start()
    assert ask(server, "GET", "kept") == "yes"


def test_it_ends_when_its_parent_is_killed_and_the_next_start_works(
    owner: subprocess.Popen[str], tmp_path: Path
) -> None:
    pid = server_pid(owner)
    owner.kill()
    owner.wait()
    with EmbeddedServer(tmp_path / "data") as server:
        assert gone(pid)
        assert ask(server, "PING") is True


def test_a_half_written_last_entry_does_not_stop_it(server: EmbeddedServer, tmp_path: Path) -> None:
    ask(server, "SET", "kept", "yes")
    os.kill(server.pid, signal.SIGKILL)
    server.stop()
    log = next((tmp_path / "data/valkey/appendonlydir").glob("*.incr.aof"))
    with log.open("ab") as file:
        file.write(b"*3\r\n$3\r\nSET\r\n$4\r\nke")
    server.start()
    assert ask(server, "GET", "kept") == "yes"


def test_a_directory_has_one_owner_and_the_error_names_it(
    owner: subprocess.Popen[str], tmp_path: Path
) -> None:
    server_pid(owner)
    with pytest.raises(ServerFailed, match=rf"in use by .* \(pid {owner.pid}\).*--data-dir"):
        EmbeddedServer(tmp_path / "data").start()


def test_a_lock_goes_with_its_holder(tmp_path: Path) -> None:
    first, second = DataLock(tmp_path, "first"), DataLock(tmp_path, "second")
    first.take()
    with pytest.raises(ServerFailed, match="in use by first"):
        second.take(patience_s=0)
    first.release()
    second.take(patience_s=0)
    second.release()


def test_a_server_that_still_lives_keeps_the_next_one_out(
    server: EmbeddedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rpn.store.embedded.server.STOP_LIMIT_S", 0)
    with pytest.raises(ServerFailed, match=f"in use by a server \\(pid {server.pid}\\)"):
        EmbeddedServer(tmp_path / "data").prepare()


def test_a_deep_directory_has_its_socket_in_a_short_private_one(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    with EmbeddedServer(deep) as server:
        folder = Path(server.url.removeprefix("unix://").removesuffix("/valkey.sock?db=0"))
        assert ask(server, "PING") is True
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    shutil.rmtree(folder)


def test_a_socket_path_is_the_same_at_every_start_and_never_too_long(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 200)
    assert Place(deep).socket == Place(deep).socket
    assert len(os.fsencode(Place(deep).socket)) <= SOCKET_PATH_LIMIT_BYTES


def test_a_directory_that_cannot_be_written_is_named_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ServerFailed, match=r"cannot write in .*file.*: .*--data-dir"):
        EmbeddedServer(tmp_path / "file").start()


@pytest.mark.parametrize("sign", list(CAUSES))
def test_a_reason_in_its_log_is_told_with_the_directory(tmp_path: Path, sign: str) -> None:
    server = EmbeddedServer(tmp_path)
    server.log_path.parent.mkdir()
    server.log_path.write_text(f"oO0OoO0OoO0Oo\n1:M # Fatal: {sign}\n")
    assert str(tmp_path / "valkey") in server.explain()


def test_the_reason_of_an_earlier_death_is_not_told_again(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path)
    server.log_path.parent.mkdir()
    server.log_path.write_text("oO0OoO0OoO0Oo\nPermission denied\noO0OoO0OoO0Oo\n1:M # another one\n")
    assert "1:M # another one" in server.explain()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="mounting takes root")
def test_a_full_disk_is_said_to_be_full(tmp_path: Path) -> None:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(tmp_path)], check=False)
    if mounted.returncode != 0:
        pytest.skip("may not mount here")
    try:
        with EmbeddedServer(tmp_path / "data") as server:
            with pytest.raises(redis.ConnectionError):
                fill(server)
            assert server.wait(5) == 1
            assert "No space left" in server.explain() or "is full" in server.explain()
        with pytest.raises(ServerFailed, match="No space left on device; free space"):
            server.start()
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_without_a_server_program_the_ways_out_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binary, "_bundled", lambda: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ServerFailed, match=r"pip install .*RPN_REDIS_URL"):
        EmbeddedServer(tmp_path).start()


def test_the_systems_server_is_used_where_none_was_brought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "redis-server"
    program.touch(mode=0o755)
    monkeypatch.setattr(binary, "_bundled", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert binary.find_server() == str(program)


# --- its allocator ----------------------------------------------------------------------------


def test_the_bundled_program_gets_a_better_allocator_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled = binary.find_server()
    monkeypatch.setattr(binary, "_bundled", lambda: bundled)
    monkeypatch.setattr(binary, "JEMALLOC", (str(tmp_path / "libjemalloc*"),))
    assert binary.with_allocator(bundled) == [bundled]
    (tmp_path / "libjemalloc.so.2").touch()
    assert binary.with_allocator(bundled)[1:] == [f"LD_PRELOAD={tmp_path}/libjemalloc.so.2", bundled]
    assert binary.with_allocator("/usr/bin/valkey-server") == ["/usr/bin/valkey-server"]
