"""Which files a registered program is made of, so that its jail lets it read them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path


def of_program(argv: Sequence[str]) -> list[str]:
    """The program, and the files that its owner named in `argv`."""
    named = [each for each in argv[1:] if os.path.isabs(each)]
    return [*_program(argv[0]), *named]


def path_of(name: str) -> str:
    """Where the program of this name is; empty if it is nowhere."""
    return next(iter(_program(name)), "")


@cache
def _program(name: str) -> tuple[str, ...]:
    found = shutil.which(name)
    if found is None:
        return ()
    real = os.path.realpath(found)
    return tuple(dict.fromkeys((found, real, *_environment(Path(found)), *_environment(Path(real)))))


def _environment(program: Path) -> list[str]:
    """If this is a Python interpreter: its virtual environment, and what that is made from."""
    prefix = program.parent.parent
    if not program.name.startswith(("python", "pypy")) or program.parent.name != "bin":
        return []
    try:
        lines = (prefix / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    except OSError:
        return [str(found) for found in prefix.glob("lib*/python3*")]
    values = {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}
    base = Path(values.get("home", "/nowhere/bin")).parent
    return [str(prefix), *(str(found) for found in base.glob("lib*/python3*"))]
