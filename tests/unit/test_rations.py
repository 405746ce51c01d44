"""What a token with a quota may take, and that nobody else is counted."""

from __future__ import annotations

import pytest

from gateway.bearers import EVERYONE, Bearer
from gateway.rations import Rations, task_limits
from rpn.errors import RateLimited
from rpn.store.tasks import TaskLimits
from rpn.store.tokens import Quota, TokenRecord
from rpn.tokens import TokenKind


def bearer(**quota: int) -> Bearer:
    return Bearer(TokenRecord("t", TokenKind.SUBMITTER, b"", "", 0, quota=Quota(**quota)))


def test_who_has_no_quota_is_not_counted() -> None:
    assert Rations().open(EVERYONE, 0) is None
    assert Rations().open(bearer(), 0) is None


def test_a_second_of_messages_may_come_at_once_and_no_more() -> None:
    ration = Rations().open(bearer(messages_per_s=3), 10.0)
    assert ration is not None
    for _ in range(3):
        ration.take(10.0)
    with pytest.raises(RateLimited, match="3 messages a second"):
        ration.take(10.0)
    ration.take(10.5)
    with pytest.raises(RateLimited):
        ration.take(10.5)


def test_all_connections_of_a_token_share_its_ration() -> None:
    rations, one = Rations(), bearer(messages_per_s=2, connections=2)
    assert rations.open(one, 0) is rations.open(one, 0)
    with pytest.raises(RateLimited, match="2 connections"):
        rations.open(one, 0)
    rations.close(one)
    assert rations.open(one, 0) is not None


def test_open_tasks_are_bounded_by_whichever_limit_is_less() -> None:
    limits = TaskLimits(100, 10)
    assert task_limits(limits, EVERYONE) == limits
    assert task_limits(limits, bearer(open_tasks=3)) == TaskLimits(100, 3)
    assert task_limits(limits, bearer(open_tasks=30)) == limits
