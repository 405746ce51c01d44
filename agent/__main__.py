"""`python -P -m agent`: give this machine to a pool, until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import os
import sys

from agent.app import run_agent
from rpn.errors import BadSettings
from rpn.observe import configure_logging
from rpn.service import stop_on_signals
from rpn.settings import AgentSettings, load


async def _run(settings: AgentSettings) -> None:
    await run_agent(settings, stop_on_signals())


def main() -> int:
    """Run the agent; returns the exit code: 0 when told to stop, 2 for a bad setting."""
    try:
        settings = load(AgentSettings, os.environ)
        configure_logging(settings)
        asyncio.run(_run(settings))
    except BadSettings as error:
        print(f"rpn agent: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
