"""The device's id, and the lock on its directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent import identity
from rpn.errors import BadSettings


def test_an_id_is_made_once_and_is_its_owners_secret(tmp_path: Path) -> None:
    made = identity.device_id(tmp_path)
    assert identity.device_id(tmp_path) == made
    assert (tmp_path / identity.ID_FILE).stat().st_mode & 0o777 == 0o600


def test_a_chosen_id_wins_and_is_checked(tmp_path: Path) -> None:
    assert identity.device_id(tmp_path, chosen="mine") == "mine"
    with pytest.raises(BadSettings, match="RPN_DEVICE_ID"):
        identity.device_id(tmp_path, chosen="a\nb")


def test_a_host_has_a_name_the_pool_takes() -> None:
    assert 1 <= len(identity.device_name()) <= 128


def test_a_directory_has_one_agent(tmp_path: Path) -> None:
    with (
        identity.only_agent_of(tmp_path),
        pytest.raises(BadSettings, match="running agent"),
        identity.only_agent_of(tmp_path),
    ):
        pass
    with identity.only_agent_of(tmp_path):
        pass
