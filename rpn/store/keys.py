"""The names of everything we keep in Redis, and which of them never expire.

The braces keep all keys of a pool in one cluster slot, so that one script may touch them all.
"""

from __future__ import annotations

_PERMANENT = (
    "meta",
    "devices",
    "sessions",
    "resources",
    "seen",
    "lost",
    "gateways",
    "batches",
    "requests",
    "tasks",
    "tokens",
    "audit",
    "allocations",
    "open",
    "standing",
    "open_counts",
    "ended",
    "names",
    "due",
    "fence",
)


class Keys:
    """The keys of one pool."""

    def __init__(self, pool: str) -> None:
        self.prefix = prefix = f"rpn:{{{pool}}}:"
        self.meta = prefix + "meta"
        self.devices = prefix + "devices"
        self.sessions = prefix + "sessions"
        self.resources = prefix + "resources"
        self.seen = prefix + "seen"
        self.lost = prefix + "lost"
        self.gateways = prefix + "gateways"
        self.batches = prefix + "batches"
        self.events = prefix + "events"
        """a channel, not a key"""
        self.news = prefix + "news"
        """a channel, too"""
        self.requests = prefix + "requests"
        self.tasks = prefix + "tasks"
        self.allocations = prefix + "allocations"
        self.open = prefix + "open"
        self.standing = prefix + "standing"
        self.open_counts = prefix + "open_counts"
        """submitter -> how many of its tasks are open"""
        self.ended = prefix + "ended"
        """the tasks that ended last, as many as `ENDED_LIMIT`"""
        self.names = prefix + "names"
        """`ID:SUBMITTER` of every task in `open` and `ended`"""
        self.due = prefix + "due"
        self.lease = prefix + "lease"
        self.fence = prefix + "fence"
        self.vitals = prefix + "vitals"
        """what gateways tell of themselves; goes when none has told anything for a while"""
        self.blob_ends = prefix + "blob_ends"
        """when each blob and each upload expires; goes with the last of them"""
        self.blob_sizes = prefix + "blob_sizes"
        """how many bytes each has, and `total`"""
        self.tokens = prefix + "tokens"
        """field: token id, or `device:` and a device's id; value: the token, or which one speaks for it"""
        self.audit = prefix + "audit"

    @property
    def permanent(self) -> frozenset[str]:
        """Those that never expire."""
        return frozenset(getattr(self, name) for name in _PERMANENT)

    def task(self, submitter_id: str, task_id: str) -> str:
        return self.task_of_member(task_member(submitter_id, task_id))

    def task_of_member(self, member: str) -> str:
        return f"{self.prefix}task:{member}"

    def inbox(self, device_id: str) -> str:
        return f"{self.prefix}inbox:{device_id}"

    def mailbox(self, gateway: str) -> str:
        return f"{self.prefix}mailbox:{gateway}"

    def request(self, mark: str) -> str:
        """Remembers that entries went into the stream of requests, so that they go in once."""
        return f"{self.prefix}request:{mark}"

    def blob(self, name: str) -> str:
        """Of a SHA-256, or of an upload that may become one."""
        return f"{self.prefix}blob:{name}"

    def call(self, call_id: str) -> str:
        """What a caller asked, and the answer; both expire."""
        return f"{self.prefix}call:{call_id}"

    def given(self, month: str) -> str:
        """What devices gave in a month, like 2026-11; expires."""
        return f"{self.prefix}given:{month}"

    def used(self, month: str) -> str:
        """What submitters used in a month; expires."""
        return f"{self.prefix}used:{month}"

    def ticket(self, digest: str) -> str:
        """What a browser shows instead of a token."""
        return f"{self.prefix}ticket:{digest}"

    def rate(self, address: str) -> str:
        return f"{self.prefix}rate:{address}"


def task_member(submitter_id: str, task_id: str) -> str:
    """`SUBMITTER:ID` as one string that can be taken apart again."""
    return f"{_escaped(submitter_id)}:{_escaped(task_id)}"


def task_of(member: str) -> tuple[str, str]:
    """(submitter, task id) of a `task_member`."""
    submitter_id, _, task_id = member.partition(":")
    return _unescaped(submitter_id), _unescaped(task_id)


def _escaped(name: str) -> str:
    if "%" not in name and ":" not in name:
        return name
    return name.replace("%", "%25").replace(":", "%3A")


def _unescaped(name: str) -> str:
    return name.replace("%3A", ":").replace("%25", "%")
