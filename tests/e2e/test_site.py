"""The documentation builds as a site that is whole, and fetches nothing from elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.patience import PROGRAM_LIMIT_S

pytest.importorskip("mkdocs")

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    built = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=PROGRAM_LIMIT_S, check=False
    )
    assert built.returncode == 0, built.stderr
    return folder


def test_every_document_is_a_page_with_no_link_astray(site: Path) -> None:
    sources = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    pages = {path.relative_to(site) for path in site.rglob("*.html")}
    assert sources <= pages
    assert {Path("examples.html"), Path("changelog.html"), Path("security-policy.html")} <= pages


def test_a_page_asks_nobody_else_for_anything(site: Path) -> None:
    fetched = re.compile(r"""<(?:script|link|img|iframe)[^>]*(?:src|href)=["'](?:https?:)?//[^"']*""")
    found = {match for page in site.rglob("*.html") for match in fetched.findall(page.read_text("utf-8"))}
    assert found == set()
