"""WASI modules: what they are given, what they cannot have, and the one way each of them ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import wasmtime

from agent.config import AgentConfig, Wasm
from agent.wasm import VERSION
from rpn.messages import TaskAssign
from tests.support import make
from tests.support.blob_double import BlobDouble, blob_double
from tests.support.workbench import Bench, workbench

EXAMPLE = Path(__file__).parents[2] / "examples" / "wasm" / "mandelbrot.wasm"

WASI = "wasi_snapshot_preview1"
MODULES = {
    "cat": """
      (func (export "_start")
        (i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const 4096))
        (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
        (i32.store (i32.const 4) (i32.load (i32.const 8)))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
        (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8))))""",
    "loop": '(func (export "_start") (loop $again (br $again)))',
    "flood": """
      (func (export "_start")
        (i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const 60000))
        (loop $again
          (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))) (br $again)))""",
    "trap": '(func (export "_start") unreachable)',
    "exit": '(func (export "_start") (call $exit (i32.const 3)))',
    "grow": """
      (func (export "_start")
        (if (i32.eq (memory.grow (i32.const 10000)) (i32.const -1)) (then (call $exit (i32.const 9)))))""",
    "deep": '(func $f (call $f)) (func (export "_start") (call $f))',
    "open": """
      (func (export "_start")
        (call $exit (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0)
          (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 8))))""",
    "library": '(func (export "add"))',
}


def compiled(body: str, pages: int = 1) -> bytes:
    code = wasmtime.wat2wasm(f"""(module
      (import "{WASI}" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
      (import "{WASI}" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
      (import "{WASI}" "proc_exit" (func $exit (param i32)))
      (import "{WASI}" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
      (memory (export "memory") {pages})
      {body})""")
    return bytes(code)


@pytest.fixture
async def double() -> AsyncIterator[BlobDouble]:
    async with blob_double() as made:
        yield made


@pytest.fixture
async def bench(tmp_path: Path, double: BlobDouble) -> AsyncIterator[Bench]:
    async with workbench(tmp_path, AgentConfig(wasm=Wasm(timeout_s=5)), double.gateway) as made:
        yield made


def run(
    double: BlobDouble, code: bytes, given: Any = None, *, memory: int = 16, **changed: Any
) -> TaskAssign:
    data = {"module": {"blob": double.add(code)}, "input": given, "args": ["one"]}
    return make.assign(task_type="wasm", data=data, memory=memory, **changed)


async def test_input_comes_in_and_output_and_log_go_out(bench: Bench, double: BlobDouble) -> None:
    code = compiled(MODULES["cat"])
    for given, result in (("a text", "a text"), ({"n": [1]}, {"n": [1]})):
        assign = run(double, code, given)
        assert (await bench.run(assign)).result == result
        assert bench.logs(assign)
    assert double.asked == ["GET"], "the module travels once"


async def test_whatever_it_does_ends_in_one_clear_result(bench: Bench, double: BlobDouble) -> None:
    endings = {
        "trap": ("EXIT", "unreachable"),
        "exit": ("EXIT", "exit code 3"),
        "grow": ("EXIT", "exit code 9"),
        "deep": ("EXIT", "stack"),
        "flood": ("OUTPUT", "exceeds"),
        "library": ("REJECTED", "_start"),
        "open": ("EXIT", "exit code 8"),  # there is no folder to open a file in
    }
    for name, (code, said) in endings.items():
        result = await bench.run(run(double, compiled(MODULES[name])))
        assert (name, result.success, result.code) == (name, False, code)
        assert said in result.error


async def test_what_cannot_be_run_is_rejected(bench: Bench, double: BlobDouble) -> None:
    socket = wasmtime.wat2wasm("""(module
      (import "wasi_snapshot_preview1" "sock_open" (func (param i32 i32 i32) (result i32)))
      (memory (export "memory") 1) (func (export "_start")))""")
    for code in (b"", b"no module", b"\0asm\1\0\0\0" + b"\xff" * 100, bytes(socket)):
        assert (await bench.run(run(double, code))).code == "REJECTED"
    result = await bench.run(make.assign(task_type="wasm", data={"module": {"blob": "0" * 64}}))
    assert (result.code, "NOT_FOUND" in result.error) == ("REJECTED", True)


async def test_an_endless_loop_ends_at_its_deadline_and_its_worker_goes_on(
    bench: Bench, double: BlobDouble
) -> None:
    result = await bench.run(run(double, compiled(MODULES["loop"]), timeout_s=0.1))
    assert (result.code, result.error) == ("TIMEOUT", "ran longer than 0.1 s")
    [worker] = bench.warden.children()
    assert (await bench.run(run(double, compiled(MODULES["cat"]), "x"))).result == "x"
    assert bench.warden.children() == [worker]


@pytest.mark.slow
async def test_a_module_that_needs_more_memory_than_it_may_have_does_not_start(
    bench: Bench, double: BlobDouble
) -> None:
    result = await bench.run(run(double, compiled(MODULES["cat"], pages=1000), memory=32))
    assert (result.code, "32 MB" in result.error) == ("OOM", True)


@pytest.mark.slow
async def test_machine_code_of_another_engine_is_made_anew(
    bench: Bench, double: BlobDouble, tmp_path: Path
) -> None:
    assign = run(double, compiled(MODULES["cat"]), "x")
    blob = assign.data["module"]["blob"]
    stale = tmp_path / "blobs" / f"{blob}.{VERSION}"
    stale.write_bytes(b"made by another")
    assert (await bench.run(assign)).result == "x"
    assert stale.read_bytes() != b"made by another"


async def test_a_cancel_ends_it(bench: Bench, double: BlobDouble) -> None:
    assign = run(double, compiled(MODULES["loop"]))
    bench.runner.heard(assign)
    await bench.started(assign)
    bench.cancel(assign)
    assert (await bench.end_of(assign)).code == "CANCELLED"


async def test_a_program_from_a_public_compiler_tells_its_progress(bench: Bench, double: BlobDouble) -> None:
    data = {"module": {"blob": double.add(EXAMPLE.read_bytes())}, "args": ["32", "8", "500"]}
    assign = make.assign(task_type="wasm", data=data, memory=16)
    picture = (await bench.run(assign)).result
    assert isinstance(picture, str)
    assert [len(line) for line in picture.splitlines()] == [32] * 8
    assert bench.progress(assign)[-1] == 1
    assert bench.logs(assign) == ""
