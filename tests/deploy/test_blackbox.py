"""The suite of the API, run against the balancer of a cluster as against any server."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.deploy.conftest import Started
from tests.deploy.engine import HOUSE
from tests.support.cluster import clean_environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_the_suite_of_the_api_passes_through_the_balancer(cluster: Started) -> None:
    command = [sys.executable, "-m", "pytest", "tests/blackbox", "-p", "no:cacheprovider"]
    environment = clean_environment({"RPN_BLACKBOX_URLS": cluster.url})
    done = subprocess.run(command, cwd=HOUSE, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    print(done.stdout.splitlines()[-1])
