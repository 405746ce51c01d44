"""Packs a commit's decisions for its script: column by column, names once, keys as numbers.

Each kind of thing that decisions say is one list over all of them, ready to be written with one
command; beside it stands which decision said it, which matters only if some must be skipped:

     1  [device, presence...]            places: what decisions rest on, and where letters go
     2  [place, decision...]             what rests on what
     3  [[value...], [decision...]] of each: allocations held, allocations freed, requests answered,
                                         entries of the stream of tasks that are dealt with
     4  [[member, ms or ""...], [decision...]]   deadlines; "" for none any more
     5  [[inbox, id, frame...], [decision...]]   what waits in inboxes
     6  [[mailbox, ["m", letter...], [place or 0, decision, delivery...]]...]
     7  [decision, delivery...]          letters for those who are nowhere
     8  [[decision, command, key, argument...]...]  everything else, after all that, in order
     9  [[task, life...], [decision...]]         tasks that go on
    10  [[task, counted as, member, submitted ms, life, outcome, retention ms...], [decision...]]
                                         tasks that are over
    11  how many decisions there are
    12  [[inbox, id...], [decision...]]          what need not wait in inboxes any more
    13  [hash, field, amount...]                 sums that grow, whatever is skipped
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rpn.codec import pack, pack_record
from rpn.store.keys import Keys, task_member

if TYPE_CHECKING:
    from rpn.store.commits import Decision, Delivery, Ending, Life

FIXED = (
    *("lease", "meta", "sessions", "allocations", "requests", "tasks", "due"),
    *("open", "open_counts", "ended", "names"),
)
"""the keys that the script knows by their place"""


class Column:
    """What all decisions say of one kind, and who says it."""

    __slots__ = ("of", "values")

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.of: list[int] = []

    def add(self, decision: int, values: Iterable[Any], count: int = 1) -> None:
        """`count` times as many values as belong together."""
        self.values += values
        if count == 1:
            self.of.append(decision)
        else:
            self.of += [decision] * count

    @property
    def packed(self) -> tuple[list[Any], list[int]]:
        return self.values, self.of


class Packing:
    """One commit on its way into bytes."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._numbers = dict(_fixed(keys))
        self._places: dict[tuple[str, str], int] = {}
        self._rests: list[int] = []
        self._held, self._gone, self._answered, self._dealt_with = Column(), Column(), Column(), Column()
        self._due, self._kept, self._untold = Column(), Column(), Column()
        self._lives, self._ends = Column(), Column()
        self._sums: list[Any] = []
        self._summed: dict[Any, int] = {}
        """hashes of sums, by their names in Keys"""
        self._mail: dict[str, tuple[list[bytes | str], list[int]]] = {}
        self._nowhere: list[int] = []
        self._commands: list[tuple[Any, ...]] = []
        self._freed: set[str] = set()
        """allocations: when one of these is held again, the order matters"""

    def packed(self, decisions: Sequence[Decision]) -> tuple[list[str], bytes]:
        """The keys the script needs, and what it is to do."""
        for number, decision in enumerate(decisions):
            self._add(number, decision)
        places = [word for place in self._places for word in place]
        gathered = [column.packed for column in (self._held, self._gone, self._answered, self._dealt_with)]
        mail = [
            (self._number(self._keys.mailbox(gateway)), letters, to)
            for gateway, (letters, to) in self._mail.items()
        ]
        said = (
            *(places, self._rests, gathered, self._due.packed, self._kept.packed),
            *(mail, self._nowhere, self._commands, self._lives.packed, self._ends.packed, len(decisions)),
            *(self._untold.packed, self._sums),
        )
        return list(self._numbers), pack(said)

    def _add(self, number: int, decision: Decision) -> None:
        for place in decision.rests.items():
            self._rests += (self._place(place), number)
        if decision.held:
            self._hold(number, decision.held)
        if decision.freed:
            self._free(number, decision)
        if decision.requests:
            self._answered.add(number, decision.requests, len(decision.requests))
        if decision.entries:
            self._dealt_with.add(number, decision.entries, len(decision.entries))
        for words in decision.commands:
            self._say(number, words)
        for life in decision.lives:
            self._live(number, life)
        for ending in decision.ends:
            self._end(number, ending)
        for index, delivery in enumerate(decision.deliveries):
            self._deliver(number, index, delivery)

    def _hold(self, number: int, held: list[Any]) -> None:
        if self._freed and not self._freed.isdisjoint(held[::2]):
            for place in range(0, len(held), 2):
                self._commands.append(
                    self._command(number, ("HSET", "allocations", *held[place : place + 2]))
                )
        else:
            self._held.add(number, held, len(held) // 2)

    def _free(self, number: int, decision: Decision) -> None:
        self._gone.add(number, decision.freed, len(decision.freed))
        self._freed.update(decision.freed)
        for device_id, inbox_id in decision.untold:
            self._untold.add(number, (self._number(self._keys.inbox(device_id)), inbox_id))

    def _say(self, number: int, words: tuple[Any, ...]) -> None:
        if words[1] == "due":
            self._due.add(number, _due(words))
        elif words[0] == "HINCRBY":
            _, name, field, amount = words
            number_of = self._summed.get(name)
            if number_of is None:
                number_of = self._summed[name] = self._number(self._key(name))
            self._sums += (number_of, field, str(amount))
        else:
            self._commands.append(self._command(number, words))

    def _live(self, number: int, said: Life) -> None:
        submitter_id, task_id, life = said
        self._lives.add(number, (self._number(self._keys.task(submitter_id, task_id)), life))

    def _end(self, number: int, said: Ending) -> None:
        submitter_id, task_id, submitted_ms, life, outcome, retention_ms, counted_as = said
        member = task_member(submitter_id, task_id)
        key = self._number(self._keys.task_of_member(member))
        words = (key, counted_as, member, str(submitted_ms), life, outcome, str(retention_ms))
        self._ends.add(number, words)

    def _command(self, number: int, words: tuple[Any, ...]) -> tuple[Any, ...]:
        verb, name, *arguments = words
        return (number, verb, self._number(self._key(name)), *map(_text, arguments))

    def _key(self, name: str | tuple[str, ...]) -> str:
        if isinstance(name, str):
            return getattr(self._keys, name)  # type: ignore[no-any-return]
        return getattr(self._keys, name[0])(*name[1:])  # type: ignore[no-any-return]

    def _deliver(self, number: int, index: int, delivery: Delivery) -> None:
        device_id, presence, frame, inbox_id = delivery
        if inbox_id:
            self._kept.add(number, (self._number(self._keys.inbox(device_id)), inbox_id, frame))
        if not presence:
            self._nowhere += (number, index)
            return
        session, _, gateway = presence.partition(" ")
        mail = self._mail.get(gateway)
        if mail is None:
            mail = self._mail[gateway] = ([], [])
        letters, to = mail
        letters += ("m", pack_record((device_id, session, inbox_id, frame)))
        to += (self._place((device_id, presence)) if device_id else 0, number, index)

    def _number(self, key: str) -> int:
        return self._numbers.setdefault(key, len(self._numbers) + 1)

    def _place(self, place: tuple[str, str]) -> int:
        return self._places.setdefault(place, len(self._places) + 1)


@lru_cache(8)
def _fixed(keys: Keys) -> dict[str, int]:
    """The numbers of the keys that stand in front."""
    return {getattr(keys, name): number for number, name in enumerate(FIXED, start=1)}


def _due(words: tuple[Any, ...]) -> tuple[str, str]:
    """(member, when); nothing when it is due no more."""
    return (words[3], str(words[2])) if words[0] == "ZADD" else (words[2], "")


def _text(value: object) -> object:
    """Numbers as text, because Lua would write a large one with an exponent."""
    return str(value) if isinstance(value, int | float) else value
