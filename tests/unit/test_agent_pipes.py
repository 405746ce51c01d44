"""A process's pipes on the loop: nothing is lost, nothing blocks, no end stays open."""

from __future__ import annotations

import asyncio
import os

import psutil

from agent.output import Collector
from agent.pipes import READ_BYTES, Pipes, pipes


class Heard(asyncio.Protocol):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.data = b""
        self.ended = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.data += data

    def connection_lost(self, _: Exception | None) -> None:
        self.ended.set_result(None)


def close_theirs(joined: Pipes) -> None:
    for fd in joined.theirs:
        os.close(fd)


async def test_what_does_not_fit_is_written_as_it_is_read() -> None:
    joined = pipes(Heard(), Heard())
    given = bytes(range(256)) * 4096
    joined.stdin.write(given[:1000])
    joined.stdin.write(given[1000:])
    joined.stdin.end()
    with os.fdopen(joined.theirs[0], "rb", closefd=False) as stdin:
        assert await asyncio.to_thread(stdin.read) == given
    joined.close()
    close_theirs(joined)


async def test_all_that_was_written_is_heard_before_the_end() -> None:
    output = Heard()
    joined = pipes(output, Heard())
    os.write(joined.theirs[1], b"x" * READ_BYTES)
    close_theirs(joined)
    await output.ended
    assert len(output.data) == READ_BYTES
    joined.close()


async def test_input_that_nobody_reads_is_dropped() -> None:
    joined = pipes(Heard(), Heard())
    close_theirs(joined)
    joined.stdin.write(b"x")
    joined.stdin.write(b"y")
    joined.stdin.end()
    joined.close()


async def test_who_is_paused_hears_nothing_unless_asked() -> None:
    output = Heard()
    joined = pipes(output, Heard())
    joined.stdout.pause_reading()
    os.write(joined.theirs[1], b"early")
    await asyncio.sleep(0)
    assert output.data == b""
    joined.stdout.drain()
    assert output.data == b"early"
    close_theirs(joined)
    joined.close()


async def test_no_file_stays_open() -> None:
    before = psutil.Process().num_fds()
    joined = pipes(Collector(lambda: None), Heard())
    close_theirs(joined)
    joined.close()
    joined.close()
    assert psutil.Process().num_fds() == before
