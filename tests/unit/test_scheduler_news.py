"""What the pool is told of itself: only what was written, in order, and never too much at once."""

from __future__ import annotations

from rpn.model import Requirements
from rpn.store.commits import Committed, Decision
from scheduler.docket import Item
from scheduler.news import News
from scheduler.rate import LIMIT as RATE_LIMIT
from scheduler.rate import SPAN_MS
from tests.support.leadership import Leadership, small_pool
from tests.support.scheduling import FakeStore


def told(news: News, now_ms: int) -> list[str | None]:
    return [event.task_id for event in news.due(now_ms)]


def test_news_are_told_once_and_in_order() -> None:
    news = News()
    news.add("task", 1000, task_id="1", state="queued")
    news.add("task", 2000, task_id="2", state="queued")
    events = news.due(2000)
    assert [(each.kind, each.at, each.task_id) for each in events] == [
        ("task", "1970-01-01T00:00:01.000Z", "1"),
        ("task", "1970-01-01T00:00:02.000Z", "2"),
    ]
    assert not news.due(2000)


def test_of_too_many_the_newest_are_told_when_there_is_room_again() -> None:
    news = News()
    for number in range(RATE_LIMIT):
        news.add("task", 0, task_id=f"first {number}")
    assert len(told(news, 0)) == RATE_LIMIT
    for number in range(100):
        news.add("task", 0, task_id=str(number))
    assert told(news, SPAN_MS - 1) == []
    assert told(news, SPAN_MS) == [str(number) for number in range(100 - RATE_LIMIT, 100)]


def test_one_kind_does_not_silence_another() -> None:
    news = News()
    for _ in range(RATE_LIMIT + 1):
        news.add("task", 0)
    news.add("leader", 0, state="up")
    assert [each.kind for each in news.due(0)].count("leader") == 1


def test_what_the_store_skipped_is_not_told() -> None:
    leads = small_pool(FakeStore())
    leads.matchmaker.news.due(0)
    written, skipped = Decision(), Decision()
    written.announce("task", task_id="written")
    skipped.announce("task", task_id="skipped")
    leads.matchmaker.settle([Item(written), Item(skipped)], Committed([1], []), 5)
    assert told(leads.matchmaker.news, 5) == ["written"]


def test_a_new_leader_says_so_and_devices_are_told_with_the_reason_why_they_left() -> None:
    store = FakeStore()
    leads: Leadership = small_pool(store)
    store.join("c", None)
    store.leave("a", "silent")
    store.ask("x", "me", Requirements(cpu=1))
    leads.round()
    told = [(each.kind, each.state or each.device_id, each.reason) for each in leads.matchmaker.news.due(9)]
    assert ("leader", "up", None) in told
    assert ("device_joined", "c", None) in told
    assert ("device_left", "a", "silent") in told
