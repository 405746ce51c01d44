"""Gateways and schedulers as processes, replaced by another version's in the order of deploy/roll."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support.cluster import ready, tails, wait_for
from tests.support.parts import Part
from tests.support.ports import free_ports

START_LIMIT_S = 30
THIS_VERSION = Path(sys.executable)


class Rolling:
    """Two of each: a new one serves before an old one is stopped; three addresses for the gateways."""

    def __init__(self, folder: Path, store_url: str, **settings: object) -> None:
        self._folder = folder
        self._settings = {"RPN_REDIS_URL": store_url, **settings}
        self.urls = [f"http://127.0.0.1:{port}" for port in free_ports(3)]
        self.logs: list[Path] = []
        self._spare_urls = list(self.urls)
        self._gateways: dict[str, Part] = {}
        self._schedulers: list[Part] = []

    @property
    def serving(self) -> list[str]:
        """The addresses of the gateways that there are, oldest first."""
        return list(self._gateways)

    def start(self, python: Path) -> None:
        """All of the version that this Python runs (whose scheduler may have nothing to ask it by)."""
        for _ in range(2):
            self._add_gateway(python)
            self._schedulers.append(self._started("scheduler", python))

    def replace_a_gateway(self) -> None:
        old_url = self.serving[0]
        self._add_gateway(THIS_VERSION)
        assert self._gateways.pop(old_url).stop() == 0
        self._spare_urls.append(old_url)

    def replace_the_schedulers(self) -> None:
        for port in free_ports(len(self._schedulers)):
            self._schedulers.append(self._started("scheduler", THIS_VERSION, RPN_METRICS_PORT=port))
            self._await(f"http://127.0.0.1:{port}")
            assert self._schedulers.pop(0).stop() == 0

    def end_hard(self) -> None:
        for part in (*self._schedulers, *self._gateways.values()):
            part.end_hard()

    def _add_gateway(self, python: Path) -> None:
        url = self._spare_urls.pop(0)
        self._gateways[url] = self._started("gateway", python, RPN_PORT=url.rpartition(":")[2])
        self._await(url)

    def _started(self, module: str, python: Path, **settings: object) -> Part:
        log = self._folder / f"{module}-{len(self.logs)}.log"
        self.logs.append(log)
        # Where this tree is found by PYTHONPATH, the other version must not find it, too.
        apart = "-P" if python == THIS_VERSION else "-I"
        part = Part(log.stem, [str(python), apart, "-m", module], log, **self._settings, **settings)
        part.start()
        return part

    def _await(self, url: str) -> None:
        wait_for(lambda: ready(url), within_s=START_LIMIT_S, what=f"{self.logs[-1].stem} serves")


@contextlib.contextmanager
def rolling(folder: Path, store_url: str, **settings: object) -> Iterator[Rolling]:
    """Processes that are all gone at the end; a failure tells the end of their logs."""
    pool = Rolling(folder, store_url, **settings)
    try:
        yield pool
    except (AssertionError, TimeoutError) as error:
        raise AssertionError(f"{error}; their logs end:\n{tails(pool.logs)}") from error
    finally:
        pool.end_hard()
