"""Fetches a JavaScript package for a test; where it cannot be had, the test is skipped and says so."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

FETCH_LIMIT_S = 60
ONCE = ("--fetch-retries=0", "--silent", "--no-audit", "--no-fund")


def fetched(package: str, folder: Path) -> Path:
    """The folder `node_modules` that has the package, in `folder`."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("no node and npm here")
    try:
        subprocess.run(
            [npm, "install", *ONCE, package],
            cwd=folder,
            capture_output=True,
            timeout=FETCH_LIMIT_S,
            check=True,
        )
    except subprocess.SubprocessError:
        pytest.skip(f"npm cannot fetch {package}")
    return folder / "node_modules"
