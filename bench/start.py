"""How soon `rpn up` serves: the median of several starts, each on a fresh data directory."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from subprocess import DEVNULL

from tests.support.cluster import clean_environment, ready, wait_for
from tests.support.ports import free_ports


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--starts", type=int, default=5)
    options.add_argument("--gateways", type=int, default=1)
    given = options.parse_args()
    took_s = [start_s(given.gateways) for _ in range(given.starts)]
    print(f"{given.gateways} gateway(s): median {statistics.median(took_s):.2f} s, worst {max(took_s):.2f} s")


def start_s(gateways: int) -> float:
    """Seconds from typing `rpn up` until every gateway is ready."""
    first = free_ports(gateways)[0]
    urls = [f"http://127.0.0.1:{first + i}" for i in range(gateways)]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-P", "-m", "rpn.cli", "up", "--data-dir", folder]
        command += ["--port", str(first), "--gateways", str(gateways)]
        began_s = time.monotonic()
        up = subprocess.Popen(command, env=clean_environment({}), stdout=DEVNULL, stderr=DEVNULL)
        try:
            wait_for(lambda: all(map(ready, urls)), within_s=30, what="ready", every_s=0.01)
            return time.monotonic() - began_s
        finally:
            up.terminate()
            up.wait()


if __name__ == "__main__":
    main()
