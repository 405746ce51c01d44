"""What may stand behind the `?` of a route: each route's query as the struct that it is read into."""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field
from starlette.requests import Request

from rpn.errors import BadMessage
from rpn.model import Name, TaskState

WAIT_LIMIT_S = 60
Limit = Annotated[int, Meta(ge=1, le=1000)]
Cursor = Annotated[str, Meta(pattern=r"^[0-9]{1,15}:")]
Month = Annotated[str, Meta(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])\Z")]
Q = TypeVar("Q")


class OfRequester(Struct, frozen=True):
    """Of whom the allocations are."""

    requester: Name | UnsetType = UNSET
    """only of this one"""


class SomeTasks(Struct, frozen=True):
    """Which tasks a list shows."""

    state: TaskState | UnsetType = UNSET
    """only those in it"""
    submitter: Name | UnsetType = UNSET
    """only of this one"""
    limit: Limit = 100
    cursor: Cursor | UnsetType = UNSET
    """of the page before"""


class WhoseTask(Struct, frozen=True):
    """Whose task is meant; ids are the submitter's own."""

    submitter: Name | UnsetType = UNSET
    """needed where several have a task of this id, or it ended long ago"""


class OneTask(WhoseTask, frozen=True):
    """Which task is shown, and when."""

    wait_s: Annotated[float, Meta(ge=0, le=WAIT_LIMIT_S)] = field(default=0, name="wait")
    """seconds to wait for its end"""


class OneMonth(Struct, frozen=True):
    """Of which month the usage is."""

    month: Month | UnsetType = UNSET
    """UTC, like 2026-11; all that are kept unless told"""


class SomeDeeds(Struct, frozen=True):
    """How much of the audit is shown."""

    limit: Limit = 100


def query_of(kind: type[Q], request: Request) -> Q:
    """The query of a request; of a name that comes twice the last one counts. Raises BadMessage."""
    try:
        return msgspec.convert(dict(request.query_params), kind, strict=False)
    except msgspec.ValidationError as error:
        raise BadMessage(str(error).replace("$.", "")) from None
