"""Write the reference from the code: `make reference`; a test holds the files up to date."""

from __future__ import annotations

from pathlib import Path

from docs.reference import commands, failures, metrics

FOLDER = Path(__file__).parent
END = "\n<!-- Written by `make reference` from the code: change it there. -->\n"
CHAPTERS = {"cli.md": commands.chapter, "errors.md": failures.chapter, "metrics.md": metrics.chapter}


def pages() -> dict[str, str]:
    """Every file of the reference, by name."""
    return {name: chapter().rstrip() + "\n" + END for name, chapter in CHAPTERS.items()}


if __name__ == "__main__":
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
