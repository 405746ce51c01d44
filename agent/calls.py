"""Calls of warm workers for an attempt: built-ins, WASI modules, Python functions."""

from __future__ import annotations

import base64
from pathlib import Path

import msgspec

from agent.attempt import Attempt
from agent.blob_cache import BlobCache
from agent.config import AgentConfig
from agent.crew import Crew, Crews, Trade, Worker, WorkerGone
from agent.ending import explained
from agent.files import sent_home
from agent.frames import UNFIT, BuiltinCall, PythonCall, Reply, WasmCall
from agent.given import Blob
from agent.limits import limits_for
from agent.output import Log, result_of
from agent.plan import Builtin, Function, Module, failed
from agent.spawner import Limits
from rpn.model import Outcome, TaskResult

VALUE_LIMIT_KIB = 128
"""of a pickled value that travels in the result; a larger one travels as a blob"""
PYTHON_CALLS_LIMIT = 1000
"""functions that one worker calls: what they leave in it should not grow for ever"""
WASM_ROOM_MB = 128
"""for the engine, beside a module's own memory"""
PYTHON_ROOM_MB = 32
"""for the interpreter, beside what a function needs"""


class Calls:
    """Runs what warm workers run."""

    def __init__(self, crews: Crews, blobs: BlobCache, config: AgentConfig) -> None:
        self._crews = crews
        self._blobs = blobs
        self._config = config

    async def run(self, attempt: Attempt, work: Builtin | Module | Function) -> TaskResult:
        """The result of the call. Raises Stopped, CannotStart, OSError, RPNError."""
        if isinstance(work, Builtin):
            return await self._builtin(attempt, work)
        return await (
            self._module(attempt, work) if isinstance(work, Module) else self._function(attempt, work)
        )

    async def _builtin(self, attempt: Attempt, work: Builtin) -> TaskResult:
        crew = self._crews.of("builtin", lambda: self._trade("builtin"))
        async with _Hired(crew, attempt) as hired:
            reply = await hired.ask(BuiltinCall(work.name, work.given))
        if isinstance(reply, TaskResult):
            return reply
        return _failure(reply) or TaskResult(success=True, result=msgspec.json.decode(reply.output))

    async def _module(self, attempt: Attempt, work: Module) -> TaskResult:
        crew = self._crews.of("wasm", lambda: self._trade("wasm"))
        given = await self._brought(attempt, work.given)
        async with _Hired(crew, attempt, room_mb=WASM_ROOM_MB) as hired:
            call = WasmCall(work.module.sha256, given, work.args, work.memory_mb, work.deadline_s)
            if call.module not in hired.worker.known:
                await attempt.unless_stopped(self._equip(call, hired.worker))
            reply = await hired.ask(call)
            if isinstance(reply, Reply) and reply.code == UNFIT:
                await self._blobs.forget(self._compiled(call, hired.worker))
                call.compiled = b""
                await attempt.unless_stopped(self._equip(call, hired.worker))
                reply = await hired.ask(call)
            if isinstance(reply, Reply):
                await self._learn(call, reply, hired.worker)
        if isinstance(reply, TaskResult):
            return reply
        return _failure(reply, hired.log.tail) or result_of(reply.output)

    async def _equip(self, call: WasmCall, worker: Worker) -> None:
        """Give a worker the module that it does not have, as machine code if we have that."""
        try:
            call.compiled = self._compiled(call, worker).read_bytes()
        except OSError:
            call.code = await self._blobs.read(call.module)

    def _compiled(self, call: WasmCall, worker: Worker) -> Path:
        return self._blobs.derived(call.module, worker.hello.wasmtime)

    async def _learn(self, call: WasmCall, reply: Reply, worker: Worker) -> None:
        if reply.code != "REJECTED":
            worker.known.add(call.module)
        if reply.compiled:
            await self._blobs.keep(self._compiled(call, worker), reply.compiled)

    async def _function(self, attempt: Attempt, work: Function) -> TaskResult:
        crew = self._crews.of(f"python:{work.submitter_id}", self._python_trade)
        pickled = await self._brought(attempt, work.pickled)
        async with _Hired(crew, attempt, room_mb=PYTHON_ROOM_MB) as hired:
            reply = await hired.ask(PythonCall(pickled))
        if isinstance(reply, TaskResult):
            return reply
        return _failure(reply) or TaskResult(
            success=True, result={"value": await self._carried(reply.output)}
        )

    async def _brought(self, attempt: Attempt, given: bytes | Blob) -> bytes:
        """What the task brings, fetched if it is a blob. Raises Stopped, RPNError."""
        if isinstance(given, bytes):
            return given
        return await attempt.unless_stopped(self._blobs.read(given.sha256))

    async def _carried(self, pickled: bytes) -> object:
        if len(pickled) <= VALUE_LIMIT_KIB * 1024:
            return base64.b64encode(pickled).decode()
        return {"blob": (await sent_home(pickled, self._blobs)).blob}

    def _trade(self, kind: str) -> Trade:
        return Trade(kind, processes=self._config.limits.processes)

    def _python_trade(self) -> Trade:
        allowed = self._config.python
        return Trade(
            "python",
            processes=self._config.limits.processes,
            reads=allowed.reads,
            writes=allowed.writes,
            network=allowed.network,
            calls_limit=PYTHON_CALLS_LIMIT,
            trusted=False,
        )


class _Hired:
    """A worker for the time of one call; whatever goes wrong with the call is its end."""

    worker: Worker

    def __init__(self, crew: Crew, attempt: Attempt, *, room_mb: float = 0) -> None:
        self.log = Log(attempt.tell)
        self._crew = crew
        self._attempt = attempt
        limits = limits_for(attempt.plan, attempt.requirements)
        memory_mb = attempt.plan.memory_limit_mb + room_mb
        self._limits: Limits = msgspec.structs.replace(limits, memory_mb=memory_mb, wall_s=msgspec.UNSET)
        self._stale = False

    async def __aenter__(self) -> _Hired:
        await self._crew.take_place(self._attempt)
        try:
            self.worker = await self._crew.hire()
        except BaseException:
            self._crew.give_place_back()
            raise
        return self

    async def ask(self, call: BuiltinCall | WasmCall | PythonCall) -> Reply | TaskResult:
        """The worker's reply, or how it came to its end. Raises Stopped."""
        self.worker.prints.begin(self.log)
        try:
            reply = await self.worker.ask(call, self._attempt, self._limits)
        except WorkerGone as gone:
            self._stale = True
            self.worker.prints.finish()
            ended = explained(gone.end, self._limits, self.log.tail)
            return ended or failed(Outcome.EXIT, "it ended its process")
        self._stale = reply.stale
        self.worker.prints.finish()
        return reply

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._attempt.rests()
        try:
            if kind is None:
                await self._crew.release(self.worker, stale=self._stale)
            else:
                self.worker.prints.finish()
                await self.worker.end()
        finally:
            self._crew.give_place_back()


def _failure(reply: Reply, last_words: str = "") -> TaskResult | None:
    """The result of a call that did not succeed; None of one that did."""
    if not reply.code:
        return None
    result = failed(reply.code, "\n".join(filter(None, (reply.error, last_words.strip()))))
    if reply.exception:
        exception = base64.b64encode(reply.exception).decode()
        return msgspec.structs.replace(result, result={"exception": exception})
    return result
