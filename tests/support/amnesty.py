"""Lets a pool look as if it had been swept all the time: a new one spares everybody for ten seconds."""

from __future__ import annotations

import time

import redis

from rpn.store.keys import Keys


def end_amnesty(url: str, pool: str) -> None:
    """From here on who is gone for too long is removed, as in a pool that has run for long."""
    with redis.Redis.from_url(url) as connection:
        run_id = connection.info("server")["run_id"]
        swept = {"swept": int(time.time() * 1000), "run_id": run_id, "amnesty": 0}
        connection.hset(Keys(pool).meta, mapping=swept)
