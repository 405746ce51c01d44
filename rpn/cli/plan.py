"""Which processes make a pool on one machine, in which order, with which settings."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rpn.cli.address import far, near, netloc
from rpn.cli.certfiles import CertFiles
from rpn.cli.flags import with_flags
from rpn.cli.keeper import Program
from rpn.cli.keyfiles import KeyFiles
from rpn.cli.process import module_command
from rpn.cli.readiness import all_ready
from rpn.cli.supervisor import Stage
from rpn.client.trust import fingerprint
from rpn.settings import UpSettings, default_data_dir
from rpn.store.embedded import EmbeddedServer
from rpn.tether import tethered


@dataclass(frozen=True)
class Plan:
    """A pool on this machine."""

    data_dir: Path
    host: str
    ports: Sequence[int]
    redis_url: str | None
    """the server the user named; None: one of our own is started"""
    with_agent: bool
    environ: Mapping[str, str]
    keys: KeyFiles | None = None
    """of a pool that asks for tokens"""
    certificate: CertFiles | None = None
    """by which the gateways speak TLS; None: they speak plainly"""
    lan: bool = False
    """the network is told of it"""

    def stages(self) -> list[Stage]:
        stages = []
        redis_url = self.redis_url
        if redis_url is None:
            server = EmbeddedServer(self.data_dir)
            redis_url = server.url
            stages.append(_store(server))
        stages += [self._scheduler(redis_url), self._gateways(redis_url)]
        if self.with_agent:
            stages.append(self._agent())
        return stages

    @property
    def web(self) -> str:
        """Where this machine finds the first gateway."""
        return f"http{self._s}://{netloc(near(self.host), self.ports[0])}"

    @property
    def _s(self) -> str:
        return "" if self.certificate is None else "s"

    def welcome(self, ticket: str = "") -> list[tuple[str, list[str]]]:
        """What to open, and what to type next; `ticket` lets a browser in at the first start."""
        rows = [("Open", self._what_to_open(ticket))]
        if len(self.ports) > 1:
            rows.append(("Gateways", [*self._sockets()]))
        rows.append(("Ask", self._how_to_ask()))
        rows.append(("Connect", [self._sockets()[0]]))
        if self.lan:
            rows.append(("On this network", self._on_this_network()))
        rows.append(("Add a machine", self._how_to_join()))
        if self.keys is not None:
            rows.append(
                ("Token", [str(self.keys.admin), "(who holds what is in this file may do everything)"])
            )
        if self.certificate is not None:
            rows.append(("Certificate", [str(self.certificate.cert), fingerprint(self.certificate.text)]))
        rows.append(("Data and logs", [str(self.data_dir)]))
        return rows

    def _what_to_open(self, ticket: str) -> list[str]:
        if not ticket:
            return [f"{self.web}/"]
        return [f"{self.web}/ui/#ticket={ticket}", "(lets one browser in, once, within ten minutes)"]

    def _how_to_ask(self) -> list[str]:
        """What asks this pool; a token comes from its file, because everybody sees a command line."""
        if self.keys is None:
            trusting = f"--cacert {self.certificate.cert} " if self.certificate is not None else ""
            return [f"curl {trusting}{self.web}/api/{what}" for what in ("devices", "resources")]
        return [f"{self._known}rpn devices --server {self._near} --token-file {self.keys.admin}"]

    @property
    def _known(self) -> str:
        """What a command needs before it, so that it knows our certificate."""
        return f"RPN_SERVER_CERT_FILE={self.certificate.cert} " if self.certificate is not None else ""

    @property
    def _near(self) -> str:
        """The first gateway, for `--server` on this machine."""
        address = netloc(near(self.host), self.ports[0])
        return address if self.certificate is None else f"https://{address}"

    def _on_this_network(self) -> list[str]:
        there = netloc(far(self.host) or self.host, self.ports[0])
        return [f"http{self._s}://{there}/", "(told by zeroconf: there, `rpn agent join` finds it by itself)"]

    def _how_to_join(self) -> list[str]:
        address = far(self.host)
        if address is None:
            again = f"RPN_AUTH=token rpn up --host 0.0.0.0{self._in_force()}"
            return [f"{again}   (here: now only this machine reaches the pool)"]
        there = netloc(address, self.ports[0])
        if self.keys is None:
            return [f"rpn agent --server ws{self._s}://{there}/ws   (there)"]
        pinned = there
        if self.certificate is not None:
            pinned = f"https://{there} --pin {fingerprint(self.certificate.text)}"
        asked = f"--server {self._near} --token-file {self.keys.admin}"
        return [
            f"{self._known}rpn token create join {asked}   (here: prints a token)",
            f"rpn agent join {pinned} && rpn agent   (there: asks for it)",
        ]

    def _in_force(self) -> str:
        """The flags that make it this very pool again, but for its address."""
        flags = []
        if self.ports[0] != UpSettings().port:
            flags.append(f"--port {self.ports[0]}")
        if len(self.ports) > 1:
            flags.append(f"--gateways {len(self.ports)}")
        if self.data_dir != Path(default_data_dir()):
            flags.append(f"--data-dir {shlex.quote(str(self.data_dir))}")
        if self.certificate is not None:
            flags.append(self.certificate.flags(self.data_dir))
        return "".join(f" {flag}" for flag in flags)

    def _scheduler(self, redis_url: str) -> Stage:
        environ = with_flags(self.environ, {"redis_url": redis_url})
        return Stage("the scheduler", [_module("scheduler", "scheduler", environ)])

    def _gateways(self, redis_url: str) -> Stage:
        programs = []
        for number, port in enumerate(self.ports, 1):
            name = f"gateway-{number}" if len(self.ports) > 1 else "gateway"
            told = {"redis_url": redis_url, "host": self.host, "port": port}
            if self.keys is not None:
                told["seed_tokens_file"] = self.keys.seeds
            if self.certificate is not None:
                told |= {"tls_cert": self.certificate.cert, "tls_key": self.certificate.key}
            programs.append(_module(name, "gateway", with_flags(self.environ, told)))
        word = "the gateways" if len(programs) > 1 else "the gateway"
        tls = self.certificate is not None
        return Stage(word, programs, ready=lambda: all_ready(near(self.host), self.ports, tls=tls))

    def _agent(self) -> Stage:
        told: dict[str, object] = {"server": ",".join(self._sockets()), "data_dir": self.data_dir / "agent"}
        if self.keys is not None:
            told["token_file"] = self.keys.agent
        if self.certificate is not None:
            told["server_cert_file"] = self.certificate.cert
        return Stage("the agent", [_module("agent", "agent", with_flags(self.environ, told))])

    def _sockets(self) -> list[str]:
        return [f"ws{self._s}://{netloc(near(self.host), port)}/ws" for port in self.ports]


def _module(name: str, module: str, environ: Mapping[str, str]) -> Program:
    return Program(name, lambda: tethered(module_command(module)), environ)


def _store(server: EmbeddedServer) -> Stage:
    async def ready() -> bool:
        return server.ready()  # a unix socket answers at once or not at all

    return Stage("the store", [Program("valkey", server.prepare, explain=server.explain)], ready)
