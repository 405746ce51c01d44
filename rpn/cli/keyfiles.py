"""The token files that `rpn up` keeps beside a pool's data: its owner's, its own agent's."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from rpn.errors import ServerFailed
from rpn.tokens import TokenKind, make_token, parse_token
from rpn.whole_file import write_whole


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
        write_whole(found.seeds, "".join(f"{token}\n" for token in tokens).encode())
    except OSError as error:
        raise ServerFailed(f"cannot keep tokens in {data_dir}: {error.strerror}") from None
    return found


def _kept(path: Path, kind: TokenKind) -> str:
    """The token in this file, or a new one that is there from now on."""
    if path.exists():
        return parse_token(path.read_text(encoding="utf-8")).text
    token = make_token(kind)
    write_whole(path, f"{token.text}\n".encode())
    return token.text
