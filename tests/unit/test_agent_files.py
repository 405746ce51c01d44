"""A command's files: in from blobs, out as blobs, never past its own folder."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agent.config import AgentConfig, Command
from rpn.messages import TaskAssign
from rpn.model import TaskResult
from tests.support import make
from tests.support.blob_double import BlobDouble, blob_double
from tests.support.workbench import Bench, workbench

PYTHON = [sys.executable, "-S", "-c"]
COMMANDS = {
    "run": Command([*PYTHON, "import os, sys, json; exec(json.load(sys.stdin))"]),
    "upper": Command([*PYTHON, "print(open(0).read().upper(), end='')"], stdin="text", stdout="text"),
    "say": Command([*PYTHON, "import sys; print(sys.argv[1:])", "{word}"], args={"word": "[a-z ;]+"}),
}


@pytest.fixture
async def double() -> AsyncIterator[BlobDouble]:
    async with blob_double() as made:
        yield made


@pytest.fixture
async def bench(tmp_path: Path, double: BlobDouble) -> AsyncIterator[Bench]:
    async with workbench(tmp_path, AgentConfig(COMMANDS), double.gateway) as made:
        yield made


def run(script: str, **data: Any) -> TaskAssign:
    return make.assign(data={"command": "run", "input": script, **data})


def files_of(result: TaskResult) -> dict[str, Any]:
    assert isinstance(result.result, dict), result
    found: dict[str, Any] = result.result["files"]
    return found


async def test_fifty_files_come_in_and_fifty_go_out(bench: Bench, double: BlobDouble) -> None:
    contents = {f"in{number}.bin": os.urandom(1000 + number) for number in range(50)}
    files = {name: {"blob": double.add(content)} for name, content in contents.items()}
    script = """
for name in os.listdir('.'):
    if name.startswith('in'):
        open(name.replace('in', 'out'), 'wb').write(open(name, 'rb').read()[::-1])
print('done', end='')
"""
    outputs = [name.replace("in", "out") for name in contents]
    result = await bench.run(run(script, files=files, outputs=outputs))
    assert isinstance(result.result, dict), result.error
    assert result.result["output"] == "done"
    for name, content in contents.items():
        sent = files_of(result)[name.replace("in", "out")]
        assert (double.blobs[sent["blob"]], sent["size"]) == (content[::-1], len(content))


async def test_a_task_cannot_harm_the_blob_that_others_use(bench: Bench, double: BlobDouble) -> None:
    files = {"a": {"blob": double.add(b"as it was")}}
    script = "os.path.exists('a') and (os.remove('a'), open('a', 'w').write('changed')); print('ok')"
    assert (await bench.run(run(script, files=files))).success
    result = await bench.run(run("print(open('a').read(), end='')", files=files))
    assert result.result == "as it was"


async def test_only_a_file_of_its_own_goes_home(bench: Bench, double: BlobDouble) -> None:
    for script in ("pass", "os.mkdir('a')", "os.symlink('/etc/passwd', 'a')", "os.mkfifo('a')"):
        result = await bench.run(run(script, outputs=["a"]))
        assert (result.success, result.code) == (False, "OUTPUT")
    assert double.blobs == {}


async def test_what_the_pool_has_no_room_for_is_told(bench: Bench, double: BlobDouble) -> None:
    double.refusals = [(404, "NOT_FOUND"), (413, "BLOB_TOO_LARGE")]
    result = await bench.run(run("open('a', 'w').write('x')", outputs=["a"]))
    assert (result.code, "BLOB_TOO_LARGE" in result.error) == ("OUTPUT", True)


async def test_an_input_may_be_a_blob_and_a_text(bench: Bench, double: BlobDouble) -> None:
    for given in ("a text\n", {"blob": double.add(b"a text\n")}):
        result = await bench.run(make.assign(data={"command": "upper", "input": given}))
        assert result.result == "A TEXT\n"


async def test_an_argument_is_one_argument(bench: Bench) -> None:
    said = await bench.run(make.assign(data={"command": "say", "args": {"word": "two words"}}))
    assert said.result == "['two words']\n"
    refused = await bench.run(make.assign(data={"command": "say", "args": {"word": "a; rm"}}))
    assert refused.code == "REJECTED"


async def test_progress_is_told_and_is_no_log(bench: Bench) -> None:
    assign = run("sys.stderr.write('begin\\nRPN_PROGRESS 0.5\\nend\\n')")
    await bench.run(assign)
    assert (bench.progress(assign), bench.logs(assign)) == ([0.5], "begin\nend\n")
