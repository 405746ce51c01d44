"""Runs WASI modules, in a worker: no files, no network, so much memory, and never longer than its deadline.

A module has its standard input, output (its result) and error (its log), a clock and chance. Floating
point gives the same bits on every machine.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Final

from wasmtime import (
    Config,
    Engine,
    ExitTrap,
    InstancePre,
    Linker,
    Module,
    Store,
    Trap,
    TrapCode,
    WasiConfig,
    WasmtimeError,
    _bindings,
)

from agent.frames import OUTPUT_LIMIT_KIB, UNFIT, Reply, WasmCall

VERSION: Final = version("wasmtime")
STACK_LIMIT_KIB = 1024
TABLE_LIMIT = 1_000_000
"""entries of a module's tables"""
MODULES_LIMIT = 32
"""modules that one worker keeps; then another takes its place"""
NEVER: Final = float("inf")
_EIO = -5
_MB = 2**20


class _Unfit(Exception):
    """Machine code for another engine, or another processor."""


class _Alarm:
    """Interrupts what the engine runs when its time is over: one thread for all calls."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._changed = threading.Condition()
        self._rings_s = NEVER
        self._looks_s = NEVER
        """when the thread looks again by itself: it is woken only for what comes before that"""
        threading.Thread(target=self._watch, daemon=True).start()

    def set(self, left_s: float) -> None:
        """Ring in so many seconds instead of whatever was set before."""
        with self._changed:
            self._rings_s = time.monotonic() + left_s
            if self._rings_s < self._looks_s:
                self._changed.notify()

    def unset(self) -> None:
        """Ring for nobody: it has rung for the last call, or it will not."""
        with self._changed:
            self._rings_s = NEVER

    def _watch(self) -> None:
        with self._changed:
            while True:
                self._looks_s = self._rings_s
                left_s = self._looks_s - time.monotonic()
                if left_s > 0:
                    self._changed.wait(None if self._looks_s == NEVER else left_s)
                else:
                    self._rings_s = NEVER
                    self._engine.increment_epoch()


class Machine:
    """One engine and the modules it knows."""

    def __init__(self) -> None:
        self._engine = Engine(_config())
        self._linker = Linker(self._engine)
        self._linker.define_wasi()
        self._modules: dict[str, InstancePre] = {}
        self._alarm = _Alarm(self._engine)

    def run(self, call: WasmCall) -> Reply:
        try:
            compiled = self._learn(call)
        except _Unfit:
            return Reply(code=UNFIT)
        except WasmtimeError as error:
            return Reply(code="REJECTED", error=f"this is no module that can be run: {error}")
        reply = self._run(call, self._modules[call.module])
        reply.compiled = compiled
        reply.stale = len(self._modules) >= MODULES_LIMIT
        return reply

    def _learn(self, call: WasmCall) -> bytes:
        """Have the module; its machine code if it had to be compiled."""
        if call.module in self._modules:
            return b""
        if call.compiled:
            try:
                module = Module.deserialize(self._engine, call.compiled)
            except WasmtimeError as error:
                raise _Unfit from error
        else:
            module = Module(self._engine, call.code)
        self._modules[call.module] = self._linker.instantiate_pre(module)
        return b"" if call.compiled else bytes(module.serialize())

    def _run(self, call: WasmCall, module: InstancePre) -> Reply:
        output = _Output(lambda: self._alarm.set(0))
        store = Store(self._engine)
        store.set_limits(
            memory_size=int(call.memory_mb * _MB),
            table_elements=TABLE_LIMIT,
            instances=1,
            tables=8,
            memories=1,
        )
        store.set_epoch_deadline(1)
        store.set_wasi(_wasi(call, output))
        self._alarm.set(call.deadline_s)
        try:
            start = module.instantiate(store).exports(store).get("_start")
            if not callable(start):
                return Reply(code="REJECTED", error="the module has no _start: it is no WASI command")
            start(store)
        except ExitTrap as exit_:
            if exit_.code:
                return Reply(code="EXIT", error=f"exit code {exit_.code}")
        except Trap as trap:
            return _trapped(trap, call, output)
        except WasmtimeError as error:
            return _refused(error, call)
        finally:
            self._alarm.unset()
            store.close()
        return output.reply()


class _Output:
    """What a module writes, up to the limit; `on_too_much` is called when that is passed."""

    def __init__(self, on_too_much: Callable[[], None]) -> None:
        self._on_too_much = on_too_much
        self._written = bytearray()
        self._too_much = False

    def take(self, data: bytes) -> int | None:
        if len(self._written) + len(data) > OUTPUT_LIMIT_KIB * 1024:
            self._too_much = True
            self._on_too_much()
            return _EIO
        self._written += data
        return None

    def reply(self) -> Reply:
        if self._too_much:
            return Reply(code="OUTPUT", error=f"the output exceeds {OUTPUT_LIMIT_KIB} KiB")
        return Reply(output=bytes(self._written))


def _config() -> Config:
    config = Config()
    config.epoch_interruption = True
    config.max_wasm_stack = STACK_LIMIT_KIB * 1024
    config.cranelift_nan_canonicalization = True
    config.wasm_relaxed_simd_deterministic = True
    config.wasm_threads = False
    config.wasm_multi_memory = False
    config.parallel_compilation = False
    return config


def _wasi(call: WasmCall, output: _Output) -> WasiConfig:
    wasi = WasiConfig()
    wasi.argv = ["module", *call.args]
    if call.given:
        _give(wasi, call.given)
    wasi.stdout_custom = output.take
    wasi.stderr_custom = _log
    return wasi


def _give(wasi: WasiConfig, given: bytes) -> None:
    """Let a module read this on its standard input.

    The package has only files for it, which the engine reads by threads of its own: half a millisecond.
    """
    copied = _bindings.wasm_byte_vec_t()
    content = ctypes.cast(ctypes.c_char_p(given), ctypes.POINTER(ctypes.c_ubyte))
    _bindings.wasm_byte_vec_new(ctypes.byref(copied), len(given), content)
    _bindings.wasi_config_set_stdin_bytes(wasi.ptr(), ctypes.byref(copied))  # which owns the copy then


def _log(data: bytes) -> None:
    os.write(sys.stderr.fileno(), data)


def _trapped(trap: Trap, call: WasmCall, output: _Output) -> Reply:
    reply = output.reply()
    if reply.code:
        return reply
    if trap.trap_code == TrapCode.INTERRUPT:
        return Reply(code="TIMEOUT", error=f"ran longer than {call.deadline_s:g} s")
    return Reply(code="EXIT", error=f"the module trapped: {trap.message}")


def _refused(error: WasmtimeError, call: WasmCall) -> Reply:
    text = str(error)
    if "memory" in text and "limit" in text:
        return Reply(code="OOM", error=f"the module wants more than its {call.memory_mb:g} MB of memory")
    return Reply(code="REJECTED", error=f"this is no module that can be run: {text}")


_machine: Machine | None = None


def run(call: WasmCall) -> Reply:
    """Run a module on its input, in the engine of this process."""
    global _machine
    _machine = _machine or Machine()
    return _machine.run(call)
