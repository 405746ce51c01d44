"""Several servers on loopback, from the embedded server's program alone: a Cluster, replicas, Sentinels."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import redis

from rpn.store.embedded.binary import find_server
from rpn.store.locate import SLOTS, slot_of
from rpn.tether import tethered
from tests.support.patience import PATIENCE_S
from tests.support.ports import free_ports

LOOK_EVERY_S = 0.02
NODES_LIMIT = 5
"""of a Cluster, replicas included"""


def wait_until(true: Callable[[], Any], what: str) -> None:
    """Look until it is so; a server that is not there yet counts as no."""
    until_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            if true():
                return
        except redis.RedisError:
            pass
        assert time.monotonic() < until_s, f"not within {PATIENCE_S} s: {what}"
        time.sleep(LOOK_EVERY_S)


class Node:
    """One server (or Sentinel) on a port of loopback, with its files in a directory."""

    def __init__(self, directory: Path, port: int, *arguments: str, password: str | None = None) -> None:
        self.port = port
        self._password = password
        directory.mkdir(parents=True, exist_ok=True)
        named = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory)]
        self._command = [find_server(), *arguments, *named, "--logfile", str(directory / "log")]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        self._process = subprocess.Popen(tethered(self._command), stdout=subprocess.DEVNULL)
        wait_until(lambda: self.ask("PING"), f"an answer on port {self.port}")

    def kill(self) -> None:
        """As a machine goes: without a word."""
        self.stop(signal.SIGKILL)

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(sign)
            process.send_signal(signal.SIGCONT)
            process.wait(PATIENCE_S)

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def ask(self, *words: Any) -> Any:
        with redis.Redis(port=self.port, password=self._password, socket_timeout=5) as client:
            return client.execute_command(*words)


class ClusterServer:
    """A Cluster of three nodes that share the slots; to be used like an EmbeddedServer."""

    def __init__(self, data_dir: Path, *, node_timeout_ms: int = 5000) -> None:
        self._data_dir = data_dir
        self._node_timeout_ms = node_timeout_ms
        self._free_ports = iter(free_ports(2 * NODES_LIMIT))
        self._buses: dict[int, int] = {}
        self._made = False
        self.nodes = [self._node() for _ in range(3)]

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    @property
    def pid(self) -> int:
        """The process that has the pool `default`."""
        return self.owner("default").pid

    def owner(self, pool: str) -> Node:
        """The node that has this pool, as the slots were given out."""
        return self.nodes[slot_of(pool) * 3 // SLOTS]

    def start(self) -> None:
        for node in self.nodes:
            node.start()
        if not self._made:
            self._make()
        wait_until(lambda: all(self._whole(node) for node in self.nodes), "a Cluster that is whole")

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _node(self) -> Node:
        port, self._buses[port] = next(self._free_ports), next(self._free_ports)
        return Node(
            self._data_dir / str(port),
            port,
            *("--cluster-enabled", "yes", "--cluster-port", str(self._buses[port])),
            *("--cluster-node-timeout", str(self._node_timeout_ms)),
            *("--appendonly", "yes", "--save", "", "--repl-diskless-sync-delay", "0"),
        )

    def _meet(self, node: Node) -> None:
        first = self.nodes[0].port
        node.ask("CLUSTER", "MEET", "127.0.0.1", first, self._buses[first])

    def _make(self) -> None:
        bounds = [-(-SLOTS * part // 3) for part in range(4)]
        for number, node in enumerate(self.nodes):
            node.ask("CLUSTER", "ADDSLOTSRANGE", bounds[number], bounds[number + 1] - 1)
            self._meet(node)
        self._made = True

    def _whole(self, node: Node) -> bool:
        return b"cluster_state:ok" in _bytes(node.ask("CLUSTER", "INFO")) and len(
            node.ask("CLUSTER", "SLOTS")
        ) == len(self.nodes)


class ReplicatedCluster(ClusterServer):
    """A Cluster in which one pool's master has two replicas: one takes its place when it dies."""

    def __init__(self, data_dir: Path, *, pool: str) -> None:
        super().__init__(data_dir, node_timeout_ms=1000)
        self.master = self.owner(pool)
        self.replicas = [self._node() for _ in range(2)]

    def start(self) -> None:
        super().start()
        master_id = self.master.ask("CLUSTER", "MYID")
        for replica in self.replicas:
            replica.start()
            self._meet(replica)
            wait_until(partial(self._follows, replica, master_id), "a replica that knows its master")
        wait_until(lambda: self.master.ask("WAIT", 2, 100) == 2, "two replicas")
        for node in (self.master, *self.replicas):
            node.ask("CONFIG", "SET", "min-replicas-to-write", 1, "min-replicas-max-lag", 2)

    def stop(self) -> None:
        for node in (*self.replicas, *self.nodes):
            node.stop(signal.SIGKILL)

    def _follows(self, replica: Node, master_id: bytes) -> bool:
        """Refused until the newcomer has heard of that master."""
        return bool(replica.ask("CLUSTER", "REPLICATE", master_id))


class SentinelServers:
    """A master, two replicas that know it by password, and three Sentinels that ask for none."""

    name = "pool"
    password = "se cret/@"

    def __init__(self, data_dir: Path, *, down_after_ms: int = 1000) -> None:
        ports = free_ports(6)
        self.master, *self.replicas = [self._server(data_dir, port, ports[0]) for port in ports[:3]]
        self.sentinels = [
            self._sentinel(data_dir, port, ports[0], down_after_ms=down_after_ms) for port in ports[3:]
        ]

    @property
    def url(self) -> str:
        nodes = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://:{quote(self.password, safe='')}@{nodes}/{self.name}"

    def __enter__(self) -> Self:
        for node in (self.master, *self.replicas, *self.sentinels):
            node.start()
        wait_until(lambda: all(map(self._informed, self.sentinels)), "Sentinels that know all there is")
        wait_until(lambda: self.master.ask("WAIT", 2, 100) == 2, "two replicas")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for node in (*self.sentinels, *self.replicas, self.master):
            node.stop(signal.SIGKILL)

    def _server(self, data_dir: Path, port: int, master_port: int) -> Node:
        follows = ["--replicaof", f"127.0.0.1 {master_port}"] if port != master_port else []
        return Node(
            data_dir / str(port),
            port,
            *("--requirepass", self.password, "--masterauth", self.password),
            *("--appendonly", "yes", "--save", "", "--repl-diskless-sync-delay", "0"),
            *("--min-replicas-to-write", "1", "--min-replicas-max-lag", "2"),
            *follows,
            password=self.password,
        )

    def _sentinel(self, data_dir: Path, port: int, master_port: int, *, down_after_ms: int) -> Node:
        directory = data_dir / str(port)
        directory.mkdir(parents=True)
        written = directory / "sentinel.conf"
        written.write_text(
            f"sentinel monitor {self.name} 127.0.0.1 {master_port} 2\n"
            f'sentinel auth-pass {self.name} "{self.password}"\n'
            f"sentinel down-after-milliseconds {self.name} {down_after_ms}\n"
            f"sentinel failover-timeout {self.name} 5000\n"
        )
        return Node(directory, port, str(written), "--sentinel")

    def _informed(self, sentinel: Node) -> bool:
        flat = sentinel.ask("SENTINEL", "MASTER", self.name)
        known = flat if isinstance(flat, dict) else dict(zip(flat[::2], flat[1::2], strict=True))
        told = {_text(key): _text(value) for key, value in known.items()}
        return (told["num-slaves"], told["num-other-sentinels"]) == ("2", "2")


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _bytes(reply: Any) -> bytes:
    """What redis-py may have made a dict of, as it came."""
    if isinstance(reply, dict):
        return b" ".join(f"{key}:{value}".encode() for key, value in reply.items())
    return bytes(reply)
