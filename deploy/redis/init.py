"""Writes the cluster's secrets, once: a password for Redis and all that has to know it.

Run as the one-shot service `init` of docker-compose.yml, into a volume that only the services of the
network `inside` mount. What is there already is kept: a password that changed would lock everybody out.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

REDIS = """\
# Nothing acknowledged may be lost, and nothing thrown away to make room.
dir /data
appendonly yes
appendfsync always
maxmemory-policy noeviction
save ""
protected-mode no
requirepass {password}
masterauth {password}
min-replicas-max-lag 2
"""
REPLICA = (
    REDIS
    + """\
replicaof {net}.21 6379
"""
)
SENTINEL = """\
dir /data
port 26379
protected-mode no
sentinel monitor pool {net}.21 6379 2
sentinel auth-pass pool {password}
sentinel down-after-milliseconds pool 1500
sentinel failover-timeout pool 6000
"""
FILES = {
    "redis.conf": REDIS,
    "replica.conf": REPLICA,
    "sentinel.conf": SENTINEL,
    "redis-url": "redis://:{password}@{net}.21:6379/0\n",
    "sentinel-url": "redis+sentinel://:{password}@{net}.31:26379,{net}.32:26379,{net}.33:26379/pool\n",
    "password": "{password}\n",
}
"""the password comes last: where it is, everything is"""


def write(folder: Path, *, net: str) -> bool:
    """Write every file unless that was done before; tells whether it wrote."""
    if (folder / "password").exists():
        return False
    password = secrets.token_urlsafe(32)
    for name, text in FILES.items():
        fresh = folder / f".{name}"
        fresh.write_text(text.format(password=password, net=net))
        fresh.chmod(0o444)  # each service has a user of its own
        fresh.rename(folder / name)
    return True


if __name__ == "__main__":
    wrote = write(Path(sys.argv[1]), net=os.environ["RPN_NET"])
    print("init: wrote the secrets" if wrote else "init: the secrets are there already")
