"""Look tasks up for whoever asks: one by its id, or the newest of them a page at a time."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from rpn.codec import unpack_record
from rpn.errors import AmbiguousTask, BadMessage, NotFound
from rpn.model import TaskInfo, TaskState
from rpn.replica import iso
from rpn.store.connection import Connection
from rpn.store.keys import Keys, task_member, task_of
from rpn.store.records import TaskLife, TaskOutline

CHUNK = 500
"""tasks looked at in one round trip"""
LOOK_LIMIT = 20_000
"""tasks looked at for one page: what is not found among them is on a later one"""

_SHORT = ("brief", "life", "submitted_ms")
_WHOLE = (*_SHORT, "progress", "log", "result")

Place = tuple[int, str]
"""(submitted ms, member): where a task stands in the list; the newest first, so the largest"""


class Page(NamedTuple):
    """Some tasks, the newest first."""

    tasks: list[TaskInfo]
    cursor: str | None
    """where the next page begins; None: this was the last"""


class TaskIndex:
    """The open tasks of one pool, and those that ended last."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys

    async def submitter(self, task_id: str) -> str:
        """Whose task this is. Raises NotFound, AmbiguousTask or StoreUnavailable."""
        first = task_member(task_id, "")
        found = await self._connection.command(
            "ZRANGE", self._keys.names, f"[{first}", f"({first[:-1]};", "BYLEX", "LIMIT", 0, 2
        )
        if not found:
            raise NotFound(f"there is no task {task_id}; one that ended long ago is found with `submitter`")
        if len(found) > 1:
            raise AmbiguousTask(f"several submitters have a task {task_id}: add ?submitter=")
        return task_of(found[0].decode())[1]

    async def get(self, submitter_id: str, task_id: str) -> TaskInfo:
        """One task with its result. Raises NotFound or StoreUnavailable."""
        [found] = await self._load([(submitter_id, task_id)], _WHOLE)
        if found is None:
            raise NotFound(f"{submitter_id} has no task {task_id}")
        return found

    async def over(self, names: list[tuple[str, str]]) -> list[bool]:
        """Which of these tasks have ended, or are not there. Raises StoreUnavailable."""
        reads = [("HMGET", self._keys.task(*name), "digest", "result") for name in names]
        replies = await self._connection.commands(reads)
        return [digest is None or result is not None for digest, result in replies]

    async def page(
        self, *, state: TaskState | None, submitter_id: str | None, limit: int, cursor: str | None
    ) -> Page:
        """At most `limit` tasks from `cursor` on. Raises BadMessage or StoreUnavailable.

        Where few tasks are wanted among many others, a page may be short, even empty, and have a
        cursor all the same.
        """
        place, found, looked = _place(cursor), list[TaskInfo](), 0
        while looked < LOOK_LIMIT:
            places = await self._before(place)
            if not places:
                return Page(found, None)
            looked += len(places)
            wanted = [each for each in places if submitter_id in (None, task_of(each[1])[0])]
            infos = await self._load([task_of(member) for _, member in wanted], _SHORT)
            for at, info in zip(wanted, infos, strict=True):
                if info is not None and state in (None, info.state):
                    found.append(info)
                    if len(found) == limit:
                        return Page(found, _cursor(at))
            place = places[-1]
        return Page(found, None if place is None else _cursor(place))

    async def _before(self, place: Place | None) -> list[Place]:
        """The next tasks behind this place, in both lists together."""
        keys = (self._keys.open, self._keys.ended)
        highest, same = "+inf", [0, 0]
        if place is not None:
            highest = str(place[0])
            same = await self._connection.commands([("ZCOUNT", key, highest, highest) for key in keys])
        replies = await self._connection.commands(
            [
                ("ZRANGE", key, highest, "-inf", "BYSCORE", "REV", "LIMIT", 0, CHUNK + ties, "WITHSCORES")
                for key, ties in zip(keys, same, strict=True)
            ]
        )
        lists = [_behind(reply, place) for reply in replies]
        return sorted(lists[0] + lists[1], reverse=True)[:CHUNK]

    async def _load(self, names: list[tuple[str, str]], fields: tuple[str, ...]) -> list[TaskInfo | None]:
        if not names:
            return []
        reads = [("HMGET", self._keys.task(*name), *fields) for name in names]
        replies = [dict(zip(fields, reply, strict=True)) for reply in await self._connection.commands(reads)]
        small = [i for i, reply in enumerate(replies) if reply["brief"] is None and reply["life"] is not None]
        reads = [("HGET", self._keys.task(*names[index]), "task") for index in small]
        for index, record in zip(small, await self._connection.commands(reads) if reads else [], strict=True):
            replies[index]["brief"] = record
        return [_info(reply) for reply in replies]


def _behind(reply: list[Any], place: Place | None) -> list[Place]:
    pairs = zip(reply[::2], reply[1::2], strict=True)
    places = [(int(float(score)), member.decode()) for member, score in pairs]
    return [each for each in places if place is None or each < place]


def _place(cursor: str | None) -> Place | None:
    if cursor is None:
        return None
    time_ms, _, member = cursor.partition(":")
    if not time_ms.isdigit() or len(time_ms) > 15:
        raise BadMessage("`cursor` is none that an earlier page gave")
    return int(time_ms), member


def _cursor(place: Place) -> str:
    return f"{place[0]}:{place[1]}"


def _info(reply: dict[str, Any]) -> TaskInfo | None:
    if reply["brief"] is None or reply["life"] is None:
        return None
    task, life = unpack_record(TaskOutline, reply["brief"]), unpack_record(TaskLife, reply["life"])
    result, log = reply.get("result"), reply.get("log")
    return TaskInfo(
        task_id=task.id,
        submitter_id=task.submitter_id,
        type=task.type,
        command=task.data.command if isinstance(task.data.command, str) else None,
        state=life.state,
        requirements=task.requirements,
        priority=task.priority,
        parent_id=task.parent_id,
        attempts=life.attempts,
        device_id=life.device_id or None,
        submitted_at=iso(life.submitted_ms or int(reply["submitted_ms"])),
        assigned_at=_time(life.assigned_ms),
        started_at=_time(life.started_ms),
        ended_at=_time(life.ended_ms) if life.state.final else None,
        stopping=None if life.state.final else life.ending or None,
        progress=_progress(reply.get("progress"), life),
        log=None if log is None else log.decode(errors="ignore"),
        result=msgspec.UNSET if result is None else msgspec.Raw(result),
    )


def _progress(noted: bytes | None, life: TaskLife) -> float | None:
    """What its latest attempt said; an earlier one's no longer counts."""
    attempt, _, part = (noted or b"").decode().partition(" ")
    return float(part) if part and attempt == life.attempt else None


def _time(at_ms: int) -> str | None:
    return iso(at_ms) if at_ms else None
