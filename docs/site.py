"""Lets mkdocs show documents that stand outside docs/, and mends the links that lead out of it."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
TAKEN_IN = {
    "examples/README.md": "examples.md",
    "SECURITY.md": "security-policy.md",
    "CHANGELOG.md": "changelog.md",
}
"""documents from elsewhere, and the pages that they become"""
_LINK = re.compile(r"\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")


def on_files(files: Files, *, config: Any) -> Files:
    """mkdocs calls this once it has looked through docs/."""
    for source, page in TAKEN_IN.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: Any, files: Files) -> str:
    """mkdocs calls this for every page before it reads it."""
    return mended(markdown, page.file.src_uri)


def mended(markdown: str, page: str) -> str:
    """`markdown` of the page with this address, with links that hold in the site.

    What the site does not have, like a program, stays as its name alone.
    """
    origin = next((source for source, taken in TAKEN_IN.items() if taken == page), f"docs/{page}")

    def mend(link: re.Match[str]) -> str:
        text, target, anchor = link[1], link[2], link[3] or ""
        if "://" in target:
            return link[0]
        meant = posixpath.normpath(posixpath.join(posixpath.dirname(origin), target))
        shown = TAKEN_IN.get(meant) or (meant.removeprefix("docs/") if meant.startswith("docs/") else None)
        if shown is None:
            return text if text.startswith("`") else f"`{text}`"
        return f"[{text}]({posixpath.relpath(shown, posixpath.dirname(page) or '.')}{anchor})"

    return _LINK.sub(mend, markdown)
