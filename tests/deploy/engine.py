"""A cluster of docker-compose.yml under a name and in a network of its own, and what one does to it."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.support.cluster import call, clean_environment

HOUSE = Path(__file__).parents[2]
COMMAND_LIMIT_S = 600


def engine_runs() -> bool:
    """Whether a Docker engine answers, and Compose v2 is there to talk to it."""
    if shutil.which("docker") is None:
        return False
    asked = [["docker", "info"], ["docker", "compose", "version"]]
    return all(subprocess.run(words, capture_output=True, check=False).returncode == 0 for words in asked)


class Compose:
    """One cluster, from a clean clone."""

    def __init__(self, folder: Path, *, project: str, net: str, **settings: object) -> None:
        self.folder = folder
        self.project = project
        self.environment = clean_environment(
            {
                "COMPOSE_PROJECT_NAME": project,
                "RPN_NET": net,
                "RPN_PUBLISH": "127.0.0.1:0",
                "RPN_PUBLISH_PROMETHEUS": "127.0.0.1:0",
                "RPN_REST_RATE_LIMIT": 0,
                **settings,
            }
        )

    def __call__(self, *words: str) -> str:
        return self.run("docker", "compose", *words)

    def run(self, *words: str) -> str:
        """One command in the clone; its output. Fails with what it said."""
        done = subprocess.run(
            words,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_LIMIT_S,
        )
        assert done.returncode == 0, f"{' '.join(words)}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
        return done.stdout

    def published(self, service: str, port: int) -> str:
        """The base URL of a published port."""
        return f"http://{self('port', service, str(port)).strip()}"

    def containers(self, service: str) -> list[dict[str, Any]]:
        """What the engine says of each container of a service that runs."""
        ids = self("ps", "--quiet", service).split()
        found: list[dict[str, Any]] = json.loads(self.run("docker", "inspect", *ids)) if ids else []
        return found

    def inside(self, service: str, port: int) -> list[str]:
        """The base URLs of a service's containers in the inner network; this machine is in it."""
        network = f"{self.project}_inside"
        addresses = [
            one["NetworkSettings"]["Networks"][network]["IPAddress"] for one in self.containers(service)
        ]
        return [f"http://{address}:{port}" for address in addresses]

    def leader(self) -> str:
        """The id of the scheduler that leads."""
        latest = ("", "")
        for container in self.containers("scheduler"):
            words = ["docker", "logs", "--timestamps", container["Id"]]
            log = subprocess.run(words, capture_output=True, text=True, check=True).stderr
            took = [line.split()[0] for line in log.splitlines() if "leading, fence" in line]
            latest = max(latest, (took[-1], container["Id"])) if took else latest
        assert latest[1], "no scheduler leads"
        return latest[1]

    def back(self) -> None:
        """Start again whatever a test has killed, and wait until all is well."""
        self("--profile", "demo", "up", "--detach", "--wait", "--no-recreate")


def connections(url: str) -> int:
    """How many WebSockets a gateway holds."""
    lines = call(f"{url}/metrics").body.decode().splitlines()
    return sum(int(float(line.split()[-1])) for line in lines if line.startswith("rpn_gateway_connections{"))


def seconds_since(start_s: float) -> float:
    return time.monotonic() - start_s
