"""Where attempts are worked on: what each kind of work runs in, and the one result that it ends with."""

from __future__ import annotations

import asyncio
import os

from agent import program
from agent.attempt import Attempt, Stopped
from agent.blob_cache import BlobCache
from agent.calls import Calls
from agent.config import AgentConfig
from agent.crew import Crews
from agent.files import Undelivered
from agent.plan import OUTPUT, Builtin, Function, Module, Nap, Plan, Program, failed, rejected
from agent.spawner import CannotStart, Spawner
from rpn.errors import RPNError
from rpn.model import TaskResult

CORES_SHARE = max(4, 2 * (os.cpu_count() or 1))
"""warm workers of one kind at once, where they only compute"""
FUNCTIONS_SHARE = 64
"""Python functions of one submitter at once: they may wait for something"""
PROGRAMS_SHARE = 256
"""processes of one command at once, unless its owner says less"""
MODULE_GRACE_S = 1.0
"""a module that passed its deadline is ended by its worker; so long after it, the worker is"""


class Workshop:
    """Runs attempts; `serve` must be running meanwhile."""

    def __init__(self, spawner: Spawner, blobs: BlobCache, config: AgentConfig) -> None:
        self.spawner = spawner
        self._blobs = blobs
        self._crews = Crews(spawner)
        self._calls = Calls(self._crews, blobs, config)

    async def serve(self) -> None:
        """Hear what becomes of the processes; raises WardenLost."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.spawner.serve())
            group.create_task(self._crews.run())

    async def run(self, attempt: Attempt) -> TaskResult:
        """Work on an attempt until it has its result. Raises WardenLost."""
        attempt.begun = True
        alarm = self._alarm(attempt)
        try:
            return await self._work(attempt)
        except Stopped:
            assert attempt.verdict is not None  # noqa: S101 - that is what Stopped means
            return attempt.verdict
        except (CannotStart, OSError) as error:
            return rejected(f"cannot start {attempt.plan.name}: {error}")
        except Undelivered as error:
            return failed(OUTPUT, str(error))
        except RPNError as error:
            return rejected(f"what the task brings cannot be had: {error} ({error.code})")
        finally:
            if alarm is not None:
                alarm.cancel()

    def _alarm(self, attempt: Attempt) -> asyncio.TimerHandle | None:
        """What ends it when its time is over; the warden does so for programs."""
        timeout_s = attempt.plan.timeout_s
        if timeout_s is None or isinstance(attempt.plan.work, Program):
            return None
        grace_s = MODULE_GRACE_S if isinstance(attempt.plan.work, Module) else 0.0
        return asyncio.get_running_loop().call_later(timeout_s + grace_s, attempt.stop_late)

    async def _work(self, attempt: Attempt) -> TaskResult:
        work = attempt.plan.work
        if isinstance(work, Nap):
            return await _nap(attempt, work)
        if isinstance(work, Program):
            return await program.run(attempt, work, self.spawner, self._blobs)
        return await self._calls.run(attempt, work)


async def _nap(attempt: Attempt, nap: Nap) -> TaskResult:
    attempt.started()
    await attempt.unless_stopped(asyncio.sleep(nap.seconds))
    return TaskResult(success=True, result={"slept": nap.seconds})


def turn_of(plan: Plan) -> tuple[str, int] | None:
    """Whose turns a plan waits for, and how many have one at once; None if it need not wait."""
    work = plan.work
    if isinstance(work, Nap):
        return None
    if isinstance(work, Program):
        return f"command:{plan.name}", plan.max_parallel or PROGRAMS_SHARE
    if isinstance(work, Function):
        return f"python:{work.submitter_id}", FUNCTIONS_SHARE
    return ("builtin" if isinstance(work, Builtin) else "wasm"), CORES_SHARE
