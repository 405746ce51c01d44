"""The load generator, started beside the servers and told what to do line by line."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import msgspec
from msgspec import Struct, field

from rpn.tether import tethered

BUILT = Path(__file__).parents[2] / "build" / "load"
"""where `make build/load` leaves it"""
END_LIMIT_S = 5


class Process(Struct, frozen=True):
    """What one server process used."""

    pid: int
    cpu_s: float
    rss_before_kib: int
    rss_kib: int


class Connected(Struct, frozen=True, tag_field="did", tag="connect"):
    """All connections have their list, or were lost."""

    connections: int
    listed: int
    lost: int
    seconds: float
    processes: list[Process]


class Step(Struct, frozen=True, tag_field="did", tag="step"):
    """What came back at one rate."""

    readers: int
    rate: float
    """updates a second of each device"""
    seconds: float
    sent: int
    expected: int
    """deliveries: each update to each reader, its sender included"""
    received: int
    arrivals: int
    """deliveries that came within the measured time, whenever they were sent"""
    reads: int
    disordered: int
    """older than one already heard of the same sender"""
    repeated: int
    malformed: int
    refused: int
    cut: int = field(name="lost")
    """connections that ended"""
    p50_ms: float
    p99_ms: float
    max_ms: float
    late_ms: float
    """how late the generator was with an update: if much, it or the machine is the limit"""
    own_cpu_s: float
    processes: list[Process]
    skipped: int = 0
    """deliveries that our gateways left out for connections that lagged; they heard the latest of each"""
    folded: int = 0
    """deliveries that our gateways left out because the store was behind, and a newer update waited too"""

    @property
    def missing(self) -> int:
        return self.expected - self.received

    @property
    def lost(self) -> int:
        """What is missing and no server says why; servers other than ours never do."""
        return max(0, self.missing - self.skipped - self.folded)

    @property
    def whole(self) -> bool:
        """Everything came, once, in order, and nobody was cut off."""
        broken = self.disordered + self.repeated + self.malformed + self.refused + self.cut
        return self.received > 0 and self.missing == 0 and broken == 0

    @property
    def deliveries_per_s(self) -> float:
        """Within the measured time."""
        return self.arrivals / self.seconds

    @property
    def cpu_s(self) -> float:
        """Of all server processes, within the measured time."""
        return sum(process.cpu_s for process in self.processes)

    @property
    def core_s_per_million(self) -> float:
        """Core-seconds of all server processes per million deliveries."""
        return 1e6 * self.cpu_s / self.arrivals if self.arrivals else float("inf")


class Storm(Struct, frozen=True, tag_field="did", tag="storm"):
    """All were cut at once and came back."""

    connections: int
    back: int
    lost: int
    seconds: float
    processes: list[Process]


class Stopped(Struct, frozen=True, tag_field="did", tag="stop"):
    """Some read no more."""

    readers: int


Answer = Connected | Step | Storm | Stopped
T = TypeVar("T", bound=Answer)
_answers: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)


def parse(line: str | bytes) -> Answer:
    """One line of the generator's output. Raises msgspec.DecodeError."""
    return _answers.decode(line)


class LoadFailed(Exception):
    """The generator ended before it answered."""


class Load:
    """Connected devices, at one or more servers, for as long as the `with` lasts."""

    def __init__(
        self, ports: Sequence[int], connections: int, *, pids: Sequence[int] = (), deaf: bool = False
    ) -> None:
        self._command = [str(BUILT), "-n", str(connections)]
        self._command += [word for pid in pids for word in ("-p", str(pid))]
        self._command += ["-d"] * deaf
        self._command += [f"127.0.0.1:{port}" for port in ports]
        self.connected: Connected

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            tethered(self._command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            self.connected = self._answer(Connected)
            if self.connected.listed < self.connected.connections:
                raise LoadFailed(f"only {self.connected.listed} connections got their list")
        except BaseException:
            self._end()
            raise
        return self

    def step(self, rate: float, seconds: float) -> Step:
        """Every device sends `rate` updates a second, measured over `seconds` after a warm-up."""
        self._tell(f"step {rate:.6f} {seconds:.3f}")
        return self._answer(Step)

    def storm(self) -> Storm:
        """Cut all connections at once, and reconnect all."""
        self._tell("storm")
        return self._answer(Storm)

    def stop(self, count: int) -> Stopped:
        """From here on `count` more connections neither send nor read."""
        self._tell(f"stop {count}")
        return self._answer(Stopped)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def _answer(self, kind: type[T]) -> T:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise LoadFailed(f"the load generator ended with {self._process.wait()}")
        answer = parse(line)
        assert isinstance(answer, kind)
        return answer

    def _end(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(END_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.terminate()
            self._process.wait()
        self._process.stdout.close()
