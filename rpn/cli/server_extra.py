"""Knows whether what a server needs is installed, without importing it."""

from __future__ import annotations

import importlib.util

from rpn.errors import ServerFailed

PACKAGES = ("starlette", "uvicorn", "redis", "prometheus_client")


def require_server_extra() -> None:
    """Raise ServerFailed if the `[server]` extra is missing."""
    if any(importlib.util.find_spec(package) is None for package in PACKAGES):
        raise ServerFailed("a server needs more packages: pip install 'resource-pooling-network[server]'")
