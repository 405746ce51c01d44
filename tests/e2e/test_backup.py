"""`rpn backup` and `rpn restore` on the data of `rpn up`, whether that runs or not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from rpn.store.embedded import EmbeddedServer
from rpn.store.keys import Keys


def rpn(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    told = {name: value for name, value in os.environ.items() if not name.startswith("RPN_")} | environ
    command = [sys.executable, "-P", "-m", "rpn.cli", *arguments]
    return subprocess.run(command, env=told, capture_output=True, text=True, timeout=30)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A pool's data, with nobody at work on them."""
    directory = tmp_path / "data"
    with EmbeddedServer(directory) as server, redis.Redis.from_url(server.url) as client:
        client.hset(Keys("default").meta, "format", "1")
        client.hset(Keys("default").devices, "a", "x")
    return directory


def test_what_was_saved_comes_back_elsewhere(data_dir: Path, tmp_path: Path) -> None:
    file = str(tmp_path / "pool.backup")
    with EmbeddedServer(data_dir):
        saved = rpn("backup", file, "--data-dir", str(data_dir))
        assert (saved.returncode, saved.stdout.partition(",")[0]) == (0, "saved pool default: 2 keys")
    restored = rpn("restore", file, RPN_DATA_DIR=str(tmp_path / "new"))
    assert (restored.returncode, restored.stderr) == (0, "")
    with EmbeddedServer(tmp_path / "new") as server, redis.Redis.from_url(server.url) as client:
        assert client.hgetall(Keys("default").devices) == {b"a": b"x"}


def test_a_backup_of_no_pool_makes_none(tmp_path: Path) -> None:
    saved = rpn("backup", str(tmp_path / "file"), "--data-dir", str(tmp_path / "typo"))
    assert (saved.returncode, "there is no pool in" in saved.stderr) == (2, True), saved.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_backup_goes_through_a_pipe(data_dir: Path, tmp_path: Path) -> None:
    command = f"{sys.executable} -P -m rpn.cli backup - --data-dir {data_dir} | "
    command += f"{sys.executable} -P -m rpn.cli restore - --data-dir {tmp_path / 'new'}"
    piped = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=30)
    assert piped.stdout.startswith("restored pool default: 2 keys")


def test_a_restore_over_something_wants_force(data_dir: Path, tmp_path: Path) -> None:
    file = str(tmp_path / "pool.backup")
    assert rpn("backup", file, "--data-dir", str(data_dir)).returncode == 0
    refused = rpn("restore", file, "--data-dir", str(data_dir))
    assert (refused.returncode, "--force" in refused.stderr) == (1, True)
    assert rpn("restore", file, "--force", "--data-dir", str(data_dir)).returncode == 0
