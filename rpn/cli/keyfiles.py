"""The token files that `rpn up` keeps beside a pool's data: its owner's, its own agent's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from rpn.errors import ServerFailed
from rpn.tokens import TokenKind, make_token, parse_token


class KeyFiles(NamedTuple):
    """Each holds one token and is readable by its owner alone; `fresh` when they were made just now."""

    admin: Path
    agent: Path
    seeds: Path
    """both, for the gateways"""
    fresh: bool


def key_files(data_dir: Path) -> KeyFiles:
    """The files of this pool, made if they are not there. Raises ServerFailed."""
    found = KeyFiles(
        data_dir / "admin.token",
        data_dir / "agent.token",
        data_dir / "seeds.token",
        fresh=not (data_dir / "admin.token").exists(),
    )
    try:
        tokens = [_kept(found.admin, TokenKind.ADMIN), _kept(found.agent, TokenKind.DEVICE)]
        _write(found.seeds, "\n".join(tokens))
    except OSError as error:
        raise ServerFailed(f"cannot keep tokens in {data_dir}: {error.strerror}") from None
    return found


def _kept(path: Path, kind: TokenKind) -> str:
    """The token in this file, or a new one that is there from now on."""
    if path.exists():
        return parse_token(path.read_text(encoding="utf-8")).text
    token = make_token(kind)
    _write(path, token.text)
    return token.text


def _write(path: Path, text: str) -> None:
    """Whole or not at all, and never readable by others."""
    beside = path.with_suffix(".new")
    beside.unlink(missing_ok=True)
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text + "\n")
    beside.replace(path)
