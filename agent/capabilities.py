"""What a device tells about itself beside its resources: what it would run, and how things are with it."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import Any

import msgspec

from agent import jail
from agent.gpu import Gpus
from agent.owner import Owner
from agent.policy import Battery
from rpn import __version__

LIMIT_KIB = 4


def capabilities(owner: Owner, gpus: Gpus, types: Sequence[str], commands: Sequence[str]) -> dict[str, Any]:
    """Small JSON values by name; what is not known is not there."""
    found: dict[str, Any] = {
        "types": list(types),
        "commands": offered_commands(owner, commands),
        "jail": jail.level(),
        "policy": standing(owner),
        "gpus": [_known(msgspec.to_builtins(gpu)) for gpu in gpus.each],
        "python": platform.python_version(),
        "agent": __version__,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
    if owner.battery is not None:
        found["battery"] = battery(owner.battery)
    if owner.idle_s is not None:
        found["idleMinutes"] = int(owner.idle_s // 60)
    return _small(found)


def offered_commands(owner: Owner, commands: Sequence[str]) -> list[str]:
    """Those of `commands` that the owner's policy allows."""
    allowed = owner.policy.commands
    return sorted(name for name in commands if allowed is None or name in allowed)


def standing(owner: Owner) -> dict[str, Any]:
    """The policy, and what of it holds now."""
    policy = msgspec.to_builtins(owner.policy)
    policy.pop("submitters", None)  # nobody's business
    return {"open": owner.verdict.open, "reasons": list(owner.verdict.reasons), **policy}


def battery(found: Battery) -> dict[str, Any]:
    return _known({"charge": found.charge, "onMains": found.on_mains})


def _known(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _small(found: dict[str, Any]) -> dict[str, Any]:
    """`found`, without what is too long to be told: first the hours, then the commands."""
    for path in (("policy", "hours"), ("policy", "commands"), ("commands",), ("gpus",)):
        if len(msgspec.json.encode(found)) <= LIMIT_KIB * 1024:
            break
        holder = found[path[0]] if len(path) > 1 else found
        holder.pop(path[-1], None)
    return found
