"""The agent's parts, put together: the device, its measurements, its work."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sys
from functools import partial
from pathlib import Path

from agent import identity, jail, proc
from agent.config import FILE_NAME, AgentConfig, load_config
from agent.meter import Meter
from agent.metrics import CONTENT_TYPE, Standing, exposition
from agent.reporter import Reporter
from agent.results import Results
from agent.runner import Runner
from agent.sampler import Sampler
from agent.spawner import CAN_SPAWN, Spawner
from rpn.client.device import Device
from rpn.client.servers import parse_servers
from rpn.errors import BadSettings
from rpn.lookout import Answer, Lookout
from rpn.messages import FromServer, Register
from rpn.model import PoolUsage
from rpn.service import Job, cause, serve
from rpn.settings import AgentSettings

if sys.platform != "win32":
    import resource

log = logging.getLogger(__name__)

RESULTS_FOLDER = "agent-results"
WORK_FOLDER = "agent-work"
OPEN_FILES_LIMIT = 8192
"""Each running task takes three of them."""


class Agent:
    """One device of a pool. `run` lasts until `stop` is set, or fails when the warden is lost."""

    def __init__(self, settings: AgentSettings, config: AgentConfig) -> None:
        data_dir = Path(settings.data_dir)
        self._device_id = identity.device_id(data_dir, chosen=settings.device_id)
        self._device_name = identity.device_name(chosen=settings.device_name)
        self._device = Device(
            parse_servers(settings.server), self._register, self._heard, on_online=self._online
        )
        needed = {place for command in config.commands.values() for place in command.places}
        self._spawner = Spawner(data_dir / WORK_FOLDER, needed=needed) if CAN_SPAWN else None
        self._runner: Runner | None = None
        self._meter: Meter | None = None
        if self._spawner is not None:
            results = Results(data_dir / RESULTS_FOLDER)
            self._runner = Runner(self._spawner, results, config, self._device.send)
            self._meter = Meter(self._runner)
        else:
            log.warning("on this platform the agent shows its machine but runs no tasks")
        self._metrics_at = settings.agent_metrics_host, settings.agent_metrics_port
        self.lookout = Lookout({"/metrics": self._metrics, "/livez": self._livez, "/readyz": self._readyz})
        sampler = Sampler(data_dir)
        self._reporter = Reporter(self._device_id, sampler.sample, self._pool_usage, self._device.send)

    async def run(self, stop: asyncio.Event) -> None:
        log.info("this is device %s (%s)", self._device_id, self._device_name)
        working: list[Job] = [self._runner.run] if self._runner is not None else []
        if self._meter is not None:
            working.append(self._meter.run)
        if self._metrics_at[1]:
            working.append(partial(self.lookout.serve, *self._metrics_at, setting="RPN_AGENT_METRICS_PORT"))
        try:
            await serve(*working, self._reporter.run, self._device.run, stop=stop, drain=self._end_work)
        except BaseExceptionGroup as failure:
            raise cause(failure, BadSettings) or failure from None
        finally:
            await self._end_work()

    async def _end_work(self) -> None:
        """Kill what runs before we leave: the pool runs it elsewhere from then on."""
        if self._spawner is not None:
            await self._spawner.close()

    def _register(self) -> Register:
        running, finished = self._runner.for_register() if self._runner is not None else ([], [])
        return Register(
            device_id=self._device_id,
            device_name=self._device_name,
            platform=identity.platform(),
            labels={"jail": jail.level()} if self._runner is not None else {},
            accepts=frozenset({"tasks", "acks"} if self._runner is not None else {"acks"}),
            receives="none",
            running=running,
            finished=finished,
        )

    def _heard(self, message: FromServer) -> None:
        if self._runner is not None:
            self._runner.heard(message)

    def _online(self) -> None:
        self._reporter.online()
        if self._runner is not None:
            self._runner.online()

    # --- what operators see, where RPN_AGENT_METRICS_PORT lets them ---------------------------

    async def _livez(self) -> Answer:
        return Answer(200, b'{"status":"alive"}')

    async def _readyz(self) -> Answer:
        if self._device.online.is_set():
            return Answer(200, b'{"status":"connected"}')
        return Answer(503, b'{"error":"no gateway has taken us","code":"UNAVAILABLE"}')

    async def _metrics(self) -> Answer:
        runner = self._runner
        standing = Standing(
            connected=self._device.online.is_set(),
            running=len(runner.attempts) if runner is not None else 0,
            unacknowledged=runner.unacknowledged if runner is not None else 0,
            ended=runner.ended if runner is not None else {},
            usage=self._pool_usage() or PoolUsage(),
            own=proc.look(os.getpid()),
        )
        return Answer(200, exposition(standing), CONTENT_TYPE)

    def _pool_usage(self) -> PoolUsage | None:
        return self._meter.usage if self._meter is not None else None


async def run_agent(settings: AgentSettings, stop: asyncio.Event) -> None:
    """Be the agent of this machine until `stop`; raises BadSettings."""
    config = _prepare(settings)
    data_dir = Path(settings.data_dir)
    with identity.only_agent_of(data_dir):
        shutil.rmtree(data_dir / WORK_FOLDER, ignore_errors=True)  # of an agent that was killed
        await Agent(settings, config).run(stop)


def _prepare(settings: AgentSettings) -> AgentConfig:
    data_dir = Path(settings.data_dir)
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise BadSettings(f"RPN_DATA_DIR: {error}") from None
    if sys.platform != "win32":
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        limit = OPEN_FILES_LIMIT if hard == resource.RLIM_INFINITY else min(OPEN_FILES_LIMIT, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    chosen = settings.agent_config
    return load_config(Path(chosen) if chosen else data_dir / FILE_NAME, required=bool(chosen))
