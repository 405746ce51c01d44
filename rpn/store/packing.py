"""Packs a commit's decisions for its script: what many say is gathered, names go once, keys as numbers.

One decision is a map of what it says; the script gathers each kind over all decisions that hold, and
writes it with one command.

     1  [device number, presence...]           what it rests on
     2  [allocation id, record...]             held
     3  [allocation id...]                     freed
     4  [entry id...]                          requests that are answered
     5  [entry id...]                          entries of the stream of tasks that are dealt with
     6  [member, ms or ""...]                  deadlines; "" for none any more
     7  [[command, key number, argument...]...]  everything else, at once and in order
     8  [[device number, presence, session, mailbox number, inbox number, inbox id, frame]...]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rpn.codec import pack
from rpn.store.keys import Keys

if TYPE_CHECKING:
    from rpn.store.commits import Decision, Delivery

FIXED = (
    *("lease", "meta", "sessions", "allocations", "requests", "tasks", "due"),
    *("open", "open_counts", "ended", "names"),
)
"""the keys that the script knows by their place"""

_GATHERED = {
    ("HSET", "allocations"): 2,
    ("HDEL", "allocations"): 3,
    ("XDEL", "requests"): 4,
    ("XDEL", "tasks"): 5,
}


class Packing:
    """One commit on its way into bytes."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._numbers = {getattr(keys, name): number for number, name in enumerate(FIXED, start=1)}
        self._devices: dict[str, int] = {}

    def packed(self, decisions: Sequence[Decision]) -> tuple[list[str], bytes]:
        """The keys the script needs, and what it is to do."""
        said = [self._decision(each) for each in decisions]
        return list(self._numbers), pack((list(self._devices), said))

    def _decision(self, decision: Decision) -> dict[int, list[Any]]:
        said: dict[int, list[Any]] = {}
        if decision.rests:
            said[1] = self._rests(decision.rests)
        for words in decision.commands:
            gathered = _GATHERED.get(words[:2])
            if gathered is not None:
                said.setdefault(gathered, []).extend(words[2:])
            elif words[1] == "due":
                said.setdefault(6, []).extend(_due(words))
            else:
                said.setdefault(7, []).append(self._command(words))
        if decision.deliveries:
            said[8] = [self._delivery(each) for each in decision.deliveries]
        return said

    def _rests(self, rests: dict[str, str]) -> list[Any]:
        flat: list[Any] = []
        for device_id, presence in rests.items():
            flat += (self._device(device_id), presence)
        return flat

    def _command(self, words: tuple[Any, ...]) -> tuple[Any, ...]:
        verb, name, *arguments = words
        key = getattr(self._keys, name) if isinstance(name, str) else getattr(self._keys, name[0])(*name[1:])
        return (verb, self._number(key), *map(_text, arguments))

    def _delivery(self, delivery: Delivery) -> tuple[Any, ...]:
        device_id, presence, frame, inbox_id = delivery
        session, _, gateway = presence.partition(" ")
        return (
            self._device(device_id) if device_id else 0,
            presence,
            session,
            self._number(self._keys.mailbox(gateway)) if presence else 0,
            self._number(self._keys.inbox(device_id)) if inbox_id else 0,
            inbox_id,
            frame,
        )

    def _number(self, key: str) -> int:
        return self._numbers.setdefault(key, len(self._numbers) + 1)

    def _device(self, device_id: str) -> int:
        return self._devices.setdefault(device_id, len(self._devices) + 1)


def _due(words: tuple[Any, ...]) -> tuple[str, str]:
    """(member, when); nothing when it is due no more."""
    return (words[3], str(words[2])) if words[0] == "ZADD" else (words[2], "")


def _text(value: object) -> object:
    """Numbers as text, because Lua would write a large one with an exponent."""
    return str(value) if isinstance(value, int | float) else value
