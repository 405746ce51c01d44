"""`python -P -m agent.worker`: a warm process that runs one call after the other, until its input ends.

Calls come on standard input and answers go out on what was standard output. A call has neither of
the two: what it prints is its log, on standard error.
"""

from __future__ import annotations

import json
import os
import sys
from typing import BinaryIO

from agent import builtins, frames
from agent.frames import BuiltinCall, Call, Hello, Reply, WasmCall


def _own_streams() -> tuple[BinaryIO, BinaryIO]:
    """The agent's two streams, out of the reach of `print` and `input`."""
    calls, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", 0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    return calls, replies


def answer(call: Call) -> Reply:
    """Run a call."""
    if isinstance(call, BuiltinCall):
        return _builtin(call)
    if isinstance(call, WasmCall):
        from agent import wasm  # brings wasmtime

        return wasm.run(call)
    from agent import functions  # brings cloudpickle

    return functions.run(call)


def _builtin(call: BuiltinCall) -> Reply:
    try:
        result = builtins.BUILTINS[call.name](json.loads(call.given))
    except builtins.BadInput as error:
        return Reply(code="EXIT", error=f"{call.name}: {error}")
    return Reply(output=json.dumps(result).encode())


def main() -> None:
    calls, replies = _own_streams()
    kind = sys.argv[1]
    replies.write(frames.framed(_hello(kind)))
    while (body := frames.read(calls)) is not None:
        reply = answer(frames.calls.decode(body))
        reply.cpu_s = _cpu_s()
        sys.stdout.flush()
        sys.stderr.flush()
        replies.write(frames.framed(reply))


def _hello(kind: str) -> Hello:
    if kind != "wasm":
        return Hello(cpu_s=_cpu_s())
    from agent import wasm

    return Hello(wasmtime=wasm.VERSION, cpu_s=_cpu_s())


def _cpu_s() -> float:
    """By the clock that the meter goes by: this process, and children it has waited for."""
    return sum(os.times()[:4])


if __name__ == "__main__":
    main()
