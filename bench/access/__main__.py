"""Measure what tokens cost, and then what 10,000 wrong ones do to somebody else."""

from __future__ import annotations

import asyncio

from bench.access import cost, guessing

if __name__ == "__main__":
    asyncio.run(cost.measure())
    asyncio.run(guessing.measure())
