"""Says which pool this machine's agent goes to: where it joined, unless it was told another."""

from __future__ import annotations

from pathlib import Path

from rpn.client import credential
from rpn.client.credential import Credential
from rpn.errors import BadSettings
from rpn.settings import AgentSettings


def joined(settings: AgentSettings, device_id: str) -> Credential | None:
    """What `rpn agent join` got, if this device joined and has no other token. Raises BadSettings."""
    found = None if settings.token else credential.kept(Path(settings.data_dir))
    if found is not None and found.device_id != device_id:
        raise BadSettings(
            f"RPN_DEVICE_ID: {found.device_id} joined the pool, not {device_id}: do that by `rpn agent join`"
        )
    return found


def server(settings: AgentSettings, joined: Credential | None) -> str:
    """Where it joined, unless another server is named."""
    named = settings.server != AgentSettings().server
    return settings.server if named or joined is None else joined.server
