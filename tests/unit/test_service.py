"""How a process lives: its jobs start together, fail together and end after the drain."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from rpn.service import serve, stop_on_signals
from tests.support.patience import PATIENCE_S


class Patient:
    """A job that runs until it is cancelled, and knows it."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.ended = False

    async def run(self) -> None:
        self.started.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended = True


async def broken() -> None:
    raise ValueError("boom")


async def test_a_failing_job_ends_the_service() -> None:
    patient = Patient()
    with pytest.raises(ExceptionGroup) as caught:
        await serve(patient.run, broken, stop=asyncio.Event())
    assert caught.group_contains(ValueError, match="boom")


async def test_a_job_that_fails_later_ends_the_others_too() -> None:
    patient, now = Patient(), asyncio.Event()

    async def breaks_when_told() -> None:
        await now.wait()
        raise ValueError("late")

    service = asyncio.create_task(serve(patient.run, breaks_when_told, stop=asyncio.Event()))
    await patient.started.wait()
    now.set()
    with pytest.raises(ExceptionGroup):
        await service
    assert patient.ended


async def test_a_job_that_ends_by_a_cancel_nobody_asked_for_fails_the_service() -> None:
    async def cancels_itself() -> None:
        raise asyncio.CancelledError

    patient = Patient()
    with pytest.raises(ExceptionGroup) as caught:
        await serve(patient.run, cancels_itself, stop=asyncio.Event())
    assert caught.group_contains(RuntimeError, match="cancels_itself was cancelled by nobody")
    assert patient.ended


async def test_jobs_still_run_while_the_service_drains() -> None:
    patient, stop, seen = Patient(), asyncio.Event(), []

    async def drain() -> None:
        await asyncio.sleep(0)
        seen.append(patient.ended)

    service = asyncio.create_task(serve(patient.run, stop=stop, drain=drain))
    await patient.started.wait()
    stop.set()
    await service
    assert (seen, patient.ended) == ([False], True)


async def test_a_drain_that_fails_ends_the_service_with_its_error() -> None:
    patient, stop = Patient(), asyncio.Event()
    stop.set()
    with pytest.raises(ExceptionGroup) as caught:
        await serve(patient.run, stop=stop, drain=broken)
    assert caught.group_contains(ValueError)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_asks_to_stop_instead_of_ending_the_process(number: signal.Signals) -> None:
    stop = stop_on_signals()
    try:
        os.kill(os.getpid(), number)
        await asyncio.wait_for(stop.wait(), PATIENCE_S)
    finally:
        for each in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().remove_signal_handler(each)
