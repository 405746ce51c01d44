"""An earlier version of the project, installed from its own wheel into an environment of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rpn.store.format import FORMAT
from tests.deploy.engine import HOUSE

FORMAT_FILE = "rpn/store/format.py"


def git(*words: str) -> str:
    """One git command in this checkout; its output, empty where there is no git or no history."""
    try:
        done = subprocess.run(["git", "-C", str(HOUSE), *words], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip()


def earlier_commit() -> str:
    """The oldest commit whose data are in today's format: the furthest that a rolling upgrade reaches back.

    A shallow clone ends somewhere after it, and its last commit does as well. Skips the test where
    there is no commit but the present one.
    """
    commits = git("log", "--reverse", "--format=%H", f"-SFORMAT = {FORMAT}", "--", FORMAT_FILE).split()
    if not commits:
        pytest.skip("git tells nothing of earlier versions here")
    if commits[0] == git("rev-parse", "HEAD"):
        pytest.skip("the history holds no earlier version with data in today's format")
    return commits[0]


def install_earlier(folder: Path) -> Path:
    """Build the earlier commit's wheel and install it, by pip alone; the Python that runs it."""
    source, environment = folder / "source", folder / "environment"
    source.mkdir(parents=True)
    run("git", "-C", str(HOUSE), "archive", "--output", str(folder / "source.tar"), earlier_commit())
    run("tar", "--extract", "--file", str(folder / "source.tar"), "--directory", str(source))
    run(sys.executable, "-m", "venv", "--without-pip", str(environment))
    python = environment / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    run(*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(source))
    [wheel] = folder.glob("*.whl")
    run(*pip, "--python", str(python), "install", "--quiet", f"{wheel}[server]")
    where = run(str(python), "-I", "-c", "import gateway; print(gateway.__file__)")
    assert where.startswith(str(environment)), where
    return python


def run(*words: str) -> str:
    """One command's output. Fails with what it said."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr[-2000:]}"
    return done.stdout
