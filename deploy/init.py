"""Writes the cluster's secrets, once: passwords of Redis, tokens, and the files of who has to know them.

Run as the one-shot service `init` of docker-compose.yml, into three volumes: `secrets` for what runs in the
network `inside`, `joining` for agents, `watching` for Prometheus. What is there already is kept: a password
that changed would lock everybody out. Nothing starts before it has ended well, so it also refuses
what would let strangers in.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

from rpn.exposure import WARNING, is_loopback
from rpn.tokens import TokenKind, make_token

RIGHTS = (
    "~rpn:* &rpn:* +@read +@write +@stream +@pubsub +@scripting +@transaction +@connection -@dangerous"
    " +info +role +time +wait"
)
"""what gateways and schedulers may do (docs/security.md); replicas, Sentinels and backups go by `default`"""
REDIS = (
    """\
# Nothing acknowledged may be lost, and nothing thrown away to make room.
dir /data
appendonly yes
appendfsync always
maxmemory-policy noeviction
save ""
# A look-up in a longer list takes microseconds.
hash-max-listpack-entries 32
protected-mode no
requirepass {password}
masterauth {password}
min-replicas-max-lag 2
"""
    + f"user rpn on >{{pool_password}} {RIGHTS}\n"
)
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
SENTINELS = "{net}.31:26379,{net}.32:26379,{net}.33:26379/pool"
FILES = {
    "redis.conf": REDIS,
    "replica.conf": REPLICA,
    "sentinel.conf": SENTINEL,
    "redis-url": "redis://rpn:{pool_password}@{net}.21:6379/0\n",
    "sentinel-url": f"redis+sentinel://rpn:{{pool_password}}@{SENTINELS}\n",
    "redis-admin-url": "redis://:{password}@{net}.21:6379/0\n",
    "sentinel-admin-url": f"redis+sentinel://:{{password}}@{SENTINELS}\n",
    "password": "{password}\n",
}
"""the password comes last: where it is, everything is"""


def check_published(environ: dict[str, str]) -> None:
    """End, with both remedies, if other machines would reach a pool that asks nobody who they are."""
    published = environ["RPN_PUBLISH"]
    here = is_loopback(published.rpartition(":")[0].strip("[]"))
    asks = environ.get("RPN_AUTH") == "token"
    if not (here or asks or environ.get("RPN_INSECURE_OPEN") == "yes"):
        sys.exit(f"init: RPN_PUBLISH={published} {WARNING}")


def write_passwords(folder: Path, *, net: str) -> bool:
    """What has to do with Redis, unless it is there; tells whether it wrote."""
    if (folder / "password").exists():
        return False
    known = {"password": secrets.token_urlsafe(32), "pool_password": secrets.token_urlsafe(32), "net": net}
    for name, text in FILES.items():
        _write(folder / name, text.format(**known))
    return True


def write_tokens(folder: Path, joining: Path, watching: Path) -> bool:
    """Tokens of an administrator, of Prometheus, and for agents to join by, unless they are there.

    Gateways know them from the start; they matter where RPN_AUTH is `token`.
    """
    if (folder / "seeds.token").exists():
        return False
    admin, join, metrics = map(make_token, (TokenKind.ADMIN, TokenKind.JOIN, TokenKind.METRICS))
    _write(folder / "admin.token", admin.text + "\n")
    _write(joining / "join.token", join.text + "\n")
    _write(watching / "metrics.token", metrics.text + "\n")
    _write(folder / "seeds.token", "".join(f"{token.text}\n" for token in (admin, join, metrics)))
    return True


def _write(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}")
    fresh.write_text(text)
    fresh.chmod(0o444)  # each service has a user of its own
    fresh.rename(path)


if __name__ == "__main__":
    check_published(dict(os.environ))
    folders = [Path(each) for each in sys.argv[1:]]
    wrote = [write_passwords(folders[0], net=os.environ["RPN_NET"]), write_tokens(*folders)]
    print("init: wrote the secrets" if any(wrote) else "init: the secrets are there already")
