"""Runs the programs of examples/ as they stand, but for the address of the pool."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.cluster import Cluster, clean_environment
from tests.support.patience import PROGRAM_LIMIT_S

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


def placed(name: str, cluster: Cluster, folder: Path) -> Path:
    """A copy of an example, for this pool."""
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    here = folder / Path(name).name
    here.write_text(text.replace("127.0.0.1:3000", cluster.urls[0].removeprefix("http://")), encoding="utf-8")
    return here


def said_by(command: Sequence[str | os.PathLike[str]], folder: Path, **environ: str) -> str:
    """What a program prints that ends by itself; fails unless it ends well."""
    ran = subprocess.run(
        command,
        cwd=folder,
        env=surroundings(environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PROGRAM_LIMIT_S,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def surroundings(more: Mapping[str, str]) -> dict[str, str]:
    return clean_environment({}) | dict(more)
