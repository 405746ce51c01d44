"""schemathesis asks a running pool whatever /openapi.json allows, and what it does not, and finds nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import Cluster, clean_environment, running

EXAMPLES = 10
"""made up for each operation, beside those that cover every edge of its schema"""
SEED = 20261123
"""what they are made up from: another seed finds other things, and whoever looks for them changes this"""
TIME_LIMIT_S = 400
"""many times what it takes"""

pytest.importorskip("schemathesis")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(TIME_LIMIT_S + 60)]

ROOT = Path(__file__).parents[2]
COUNTED_ON = {"RPN_BLOB_RATE_LIMIT": 0}


def examined(cluster: Cluster, folder: Path, *options: str) -> str:
    """What schemathesis prints; it fails if anything was found."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{cluster.urls[0]}/openapi.json"]
    command += ["--no-color", "--max-examples", str(EXAMPLES), "--seed", str(SEED), *options]
    done = subprocess.run(
        command,
        cwd=folder,
        env=clean_environment(
            {"SCHEMATHESIS_HOOKS": "tests.support.schemathesis_hooks", "PYTHONPATH": str(ROOT)}
        ),
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-8000:]}\n{done.stderr[-2000:]}\n{cluster.log_tail()}"
    return done.stdout


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with running(tmp_path / "data", **COUNTED_ON) as cluster:
        yield cluster


def test_an_open_pool_keeps_its_word(cluster: Cluster, tmp_path: Path) -> None:
    assert " passed" in examined(cluster, tmp_path, "--checks", "all")


def test_a_pool_with_tokens_keeps_its_word(tmp_path: Path) -> None:
    """But for one check, which shows so many wrong tokens that it is not listened to any more."""
    with running(tmp_path / "data", RPN_AUTH="token", **COUNTED_ON) as cluster:
        token = (cluster.data_dir / "admin.token").read_text().split()[0]
        told = examined(
            cluster,
            tmp_path,
            *("--checks", "all", "--exclude-checks", "ignored_auth"),
            *("--header", f"Authorization: Bearer {token}"),
            *("--include-path-regex", "^/api/(tokens|join|tickets|audit)|json$"),
        )
    assert " passed" in told
