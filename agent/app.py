"""The agent's parts, put together: the device, its measurements, its owner, its work."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

from agent import identity, jail, kernel, proc, whereto
from agent.blob_cache import BlobCache
from agent.builtins import BUILTINS
from agent.capabilities import battery, capabilities, offered_commands
from agent.config import FILE_NAME, AgentConfig, load_config
from agent.control import Control
from agent.gpu import GpuProbe
from agent.kinds import labels
from agent.meter import Meter
from agent.metrics import CONTENT_TYPE, Standing, exposition
from agent.offer import cpu_share, offered
from agent.owner import Owner
from agent.plan import failed, refused
from agent.platforms import this_platform
from agent.reporter import Reporter
from agent.results import Results
from agent.runner import Runner
from agent.sampler import Sampler
from agent.spawner import Spawner
from agent.workshop import Workshop
from rpn.client import credential, trust
from rpn.client.blobs import Gateway
from rpn.client.device import Device
from rpn.client.servers import parse_servers
from rpn.errors import BadSettings, Unauthorized
from rpn.lookout import Answer, Lookout
from rpn.messages import Error, FromServer, Register, TaskAssign
from rpn.model import Outcome, PoolUsage, Resources, TaskResult
from rpn.service import Job, cause, serve
from rpn.settings import AgentSettings

if sys.platform != "win32":
    import resource

log = logging.getLogger(__name__)

RESULTS_FOLDER = "agent-results"
BLOBS_FOLDER = "agent-blobs"
WORK_FOLDER = "agent-work"
OPEN_FILES_LIMIT = 8192
"""Each running task takes three of them."""
INTRODUCE_S = 60.0
"""How often we tell anew who we are, should the battery or the like have changed."""


class Agent:
    """One device of a pool. `run` lasts until `stop` is set, or fails when the warden is lost."""

    def __init__(self, settings: AgentSettings, config: AgentConfig) -> None:
        data_dir = Path(settings.data_dir)
        self._config = config
        self._device_id = identity.device_id(data_dir, chosen=settings.device_id)
        self._device_name = identity.device_name(chosen=settings.device_name)
        joined = whereto.joined(settings, self._device_id)
        self._token = joined.token if joined is not None else settings.token
        trust.rely_on(joined.certificate if joined is not None else "")
        self._device = Device(
            parse_servers(whereto.server(settings, joined)),
            self._register,
            self._heard,
            on_online=self._online,
            token=self._token,
            prove=joined.proof if joined is not None else lambda nonce: "",
        )
        platform = this_platform()
        self._owner = Owner(config.policy, data_dir, platform, on_change=self._owner_changed)
        self._spawner, self._runner = self._workplace(data_dir)
        self._meter = Meter(self._runner)
        self._metrics_at = settings.agent_metrics_host, settings.agent_metrics_port
        self.lookout = Lookout({"/metrics": self._metrics, "/livez": self._livez, "/readyz": self._readyz})
        self._sampler = Sampler(data_dir, GpuProbe(others=platform.gpus))
        self._reporter = Reporter(self._device_id, self._sample, self._pool_usage, self._device.send)
        self._introduced: dict[str, Any] = {}
        self._advised = False
        """we have said how one gets into this pool"""
        self._control = Control(data_dir, self._owner, self._status, warden=self._spawner.warden_pid)

    def _workplace(self, data_dir: Path) -> tuple[Spawner, Runner]:
        needed = {place for command in self._config.commands.values() for place in command.places}
        spawner = _spawner_of_this_platform()(data_dir / WORK_FOLDER, needed=needed)
        spawner.cpu_share = cpu_share(self._owner.policy)
        results = Results(data_dir / RESULTS_FOLDER)
        blobs = BlobCache(data_dir / BLOBS_FOLDER, lambda: Gateway(self._device.server, self._token))
        workshop = Workshop(spawner, blobs, self._config)
        return spawner, Runner(workshop, results, self._config, self._device.send, refuse=self._refuse)

    async def run(self, stop: asyncio.Event) -> None:
        log.info("this is device %s (%s)", self._device_id, self._device_name)
        jobs: list[Job] = [self._owner.run, self._control.run, self._keep_introduced]
        jobs += [self._runner.run, self._meter.run]
        if self._metrics_at[1]:
            jobs.append(partial(self.lookout.serve, *self._metrics_at, setting="RPN_AGENT_METRICS_PORT"))
        try:
            await serve(*jobs, self._reporter.run, self._device.run, stop=stop, drain=self._end_work)
        except BaseExceptionGroup as failure:
            raise cause(failure, BadSettings) or failure from None
        finally:
            await self._end_work()

    async def _end_work(self) -> None:
        """Kill what runs before we leave: the pool runs it elsewhere from then on."""
        await self._spawner.close()

    # --- what the pool hears ------------------------------------------------------------------

    def _register(self) -> Register:
        running, finished = self._runner.for_register()
        self._introduced = self._capabilities()
        return Register(
            device_id=self._device_id,
            device_name=self._device_name,
            platform=identity.platform(),
            labels={"jail": jail.level(), **labels(self._config)},
            capabilities=self._introduced,
            accepts=frozenset({"tasks", "acks"}),
            receives="none",
            running=running,
            finished=finished,
        )

    def _capabilities(self) -> dict[str, Any]:
        commands = [*self._config.commands, *BUILTINS]
        return capabilities(self._owner, self._sampler.gpus, self._runner.types, commands)

    async def _keep_introduced(self) -> None:
        while True:
            await asyncio.sleep(INTRODUCE_S)
            self._introduce()

    def _introduce(self) -> None:
        if self._introduced and self._capabilities() != self._introduced:
            self._device.introduce()

    def _heard(self, message: FromServer) -> None:
        if isinstance(message, Error) and message.code == Unauthorized.code and not self._advised:
            self._advised = True
            log.warning("this pool takes devices that have joined it: `rpn agent join HOST:PORT`")
        self._runner.heard(message)

    def _online(self) -> None:
        self._reporter.online()
        self._runner.online()

    # --- what operators see, where RPN_AGENT_METRICS_PORT lets them ---------------------------

    async def _livez(self) -> Answer:
        return Answer(200, b'{"status":"alive"}')

    async def _readyz(self) -> Answer:
        if self._device.online.is_set():
            return Answer(200, b'{"status":"connected"}')
        return Answer(503, b'{"error":"no gateway has taken us","code":"UNAVAILABLE"}')

    async def _metrics(self) -> Answer:
        standing = Standing(
            connected=self._device.online.is_set(),
            running=len(self._runner.attempts),
            unacknowledged=self._runner.unacknowledged,
            ended=self._runner.ended,
            usage=self._pool_usage() or PoolUsage(),
            own=proc.look(os.getpid()),
        )
        return Answer(200, exposition(standing), CONTENT_TYPE)

    def _pool_usage(self) -> PoolUsage | None:
        return self._meter.usage

    def _sample(self) -> Resources:
        is_open = self._owner.verdict.open
        return offered(self._sampler.sample(), self._pool_usage(), self._owner.policy, is_open=is_open)

    # --- what the owner wants -----------------------------------------------------------------

    def _owner_changed(self) -> None:
        """First tell that nothing more is wanted, then deal with what runs."""
        self._reporter.online()
        self._introduce()
        self._spawner.cpu_share = cpu_share(self._owner.policy)
        if self._owner.verdict.open:
            self._runner.resume()
        elif self._owner.policy.when_withheld == "suspend":
            self._runner.suspend()
        elif self._owner.policy.when_withheld == "return":
            self._runner.give_back("; ".join(self._owner.verdict.reasons))

    def _refuse(self, assign: TaskAssign) -> TaskResult | None:
        """The answer to an assignment that the owner does not want."""
        policy, verdict = self._owner.policy, self._owner.verdict
        if policy.submitters is not None and assign.submitter_id not in policy.submitters:
            return refused(f"this device's owner runs nothing for {assign.submitter_id}")
        command = assign.data.get("command")
        if assign.task_type == "compute" and isinstance(command, str):
            known = [*self._config.commands, *BUILTINS]
            if command in known and command not in offered_commands(self._owner, known):
                return refused(f"this device's owner does not offer {command!r}")
        return None if verdict.open else failed(Outcome.RETURNED, "; ".join(verdict.reasons))

    def _status(self) -> dict[str, Any]:
        """For the owner: how the agent is."""
        verdict, said = self._owner.verdict, self._owner.said
        return {
            "device": {"id": self._device_id, "name": self._device_name},
            "online": self._device.online.is_set(),
            "open": verdict.open,
            "reasons": list(verdict.reasons),
            "paused_until": said.until_s if said.paused else None,
            "policy": self._owner.policy,
            "policy_from": "rpn agent policy" if said.policy is not None else FILE_NAME,
            "jail": jail.level(),
            "battery": battery(self._owner.battery) if self._owner.battery is not None else None,
            "running": len(self._runner.attempts),
            "pool_usage": self._pool_usage(),
        }


def _spawner_of_this_platform() -> type[Spawner]:
    if sys.platform != "win32":
        return Spawner
    from agent.job_spawner import JobSpawner

    return JobSpawner


async def run_agent(settings: AgentSettings, stop: asyncio.Event) -> None:
    """Be the agent of this machine until `stop`; raises BadSettings."""
    config = _prepare(settings)
    data_dir = Path(settings.data_dir)
    with identity.only_agent_of(data_dir):
        if settings.join_token and not settings.token and credential.kept(data_dir) is None:
            from agent.join import join_when_possible  # HTTP, once in an agent's life

            await join_when_possible(settings, stop)
        _tidy_up(data_dir / WORK_FOLDER)
        await Agent(settings, config).run(stop)


def _tidy_up(work: Path) -> None:
    """End what an agent and its warden have left that were both killed."""
    if sys.platform != "win32":
        from agent import leftovers

        kernel.adopt_orphans()  # should our own warden be killed, its tasks come to us
        count = leftovers.end_all(str(work))
        if count:
            log.warning("%d processes of an earlier agent's tasks were ended", count)
    shutil.rmtree(work, ignore_errors=True)


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
    config = load_config(Path(chosen) if chosen else data_dir / FILE_NAME, required=bool(chosen))
    return config.with_python_for_all() if settings.allow_python == "yes" else config
