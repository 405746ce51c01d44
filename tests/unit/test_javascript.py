"""What the page and the JavaScript client promise without a browser, told by node's own test runner."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

TESTS = sorted((Path(__file__).parents[1] / "javascript").glob("*.test.mjs"))
NODE = shutil.which("node")


@pytest.mark.skipif(NODE is None, reason="no node here (apt install nodejs)")
def test_the_javascript_keeps_its_promises() -> None:
    ran = subprocess.run([str(NODE), "--test", *TESTS], capture_output=True, text=True, check=False)
    assert TESTS
    assert ran.returncode == 0, ran.stdout + ran.stderr
