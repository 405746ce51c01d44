"""A command of the owner's at work for an attempt: a process of its own, in a folder of its own."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import msgspec

from agent.attempt import Attempt, Stopped
from agent.blob_cache import BlobCache
from agent.ending import explained
from agent.files import bring_in, content_of, removed, take_out
from agent.limits import limits_for
from agent.output import Collector, Log, result_of
from agent.pipes import pipes
from agent.plan import Program, too_much
from agent.programs import path_of
from agent.spawner import End, Order, Spawned, Spawner, WardenLost, environment_in
from rpn.model import TaskResult

LAST_WORDS_S = 1.0
"""How long we read on after a task has ended, should something still hold its streams."""


async def run(attempt: Attempt, program: Program, spawner: Spawner, blobs: BlobCache) -> TaskResult:
    """Run it, and bring home what it wrote. Raises Stopped, CannotStart, OSError, Undelivered, RPNError."""
    folder = spawner.new_folder()
    try:
        given = await attempt.unless_stopped(_prepared(program, folder, blobs))
        result = await _run_in(folder, given, attempt, program, spawner)
        if not result.success or not program.outputs:
            return result
        files = await attempt.unless_stopped(take_out(program.outputs, folder, blobs))
        return msgspec.structs.replace(result, result={"output": result.result, "files": files})
    finally:
        attempt.rests()
        await removed(folder)


async def _prepared(program: Program, folder: str, blobs: BlobCache) -> bytes:
    """Its files in its folder; what standard input will hold."""
    await bring_in(program.files, folder, blobs)
    return await content_of(program.given, blobs)


async def _run_in(
    folder: str, given: bytes, attempt: Attempt, program: Program, spawner: Spawner
) -> TaskResult:
    output = Collector(lambda: attempt.stop(too_much()))
    log = Log(attempt.tell)
    order = _order(folder, attempt, program)
    joined = pipes(output, log)
    try:
        joined.stdin.write(given)
        joined.stdin.end()
        spawned = await spawner.start(order, joined.theirs)
        await attempt.works(spawned, spawner)
        end = await _until_ended(attempt, spawned, spawner)
        await asyncio.wait({output.ended, log.ended}, timeout=LAST_WORDS_S)
    finally:
        joined.close()
    if attempt.verdict is not None:
        raise Stopped
    failure = explained(end, order.limits, log.tail)
    return failure or result_of(bytes(output.written), program.command.stdout)


def _order(folder: str, attempt: Attempt, program: Program) -> Order:
    command = program.command
    return Order(
        folder,
        environment_in(folder),
        argv=program.argv,
        program=path_of(command.argv[0]),
        limits=limits_for(attempt.plan, attempt.requirements),
        reads=command.places,
        writes=command.writes,
        network=command.network,
        gpu=attempt.requirements.gpu,
    )


async def _until_ended(attempt: Attempt, spawned: Spawned, spawner: Spawner) -> End:
    try:
        return await attempt.unless_stopped(spawned.ended)
    except Stopped:
        with suppress(WardenLost):  # whoever listens to the warden says so
            await spawner.kill(spawned)
        return await spawned.ended
