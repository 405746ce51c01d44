"""Which types of tasks this device runs: what its owner allows, and what is installed for it."""

from __future__ import annotations

import sys
from functools import cache
from importlib.util import find_spec

from agent.config import AgentConfig


@cache
def _installed(module: str) -> bool:
    return find_spec(module) is not None


def types(config: AgentConfig) -> list[str]:
    """The types of tasks that this device runs."""
    found = ["compute"]
    if config.wasm.allow and _installed("wasmtime"):
        found.append("wasm")
    if config.python.allow and config.python.submitters and _installed("cloudpickle"):
        found.append("python")
    return found


def labels(config: AgentConfig) -> dict[str, str]:
    """What tasks of these types ask for: pickled code fits one minor version of Python only."""
    return {"python": f"{sys.version_info[0]}.{sys.version_info[1]}"} if "python" in types(config) else {}
