"""The promises of rpn.store.mailbox: letters in order, gone when read; what nobody acknowledged is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from rpn.errors import StoreUnavailable
from rpn.store import mailbox
from rpn.store.commits import Commits, Delivery
from rpn.store.connection import Connection
from rpn.store.keys import Keys
from rpn.store.mailbox import Inboxes, Letter, Mailbox
from rpn.store.pool import InboxItem
from tests.store.batches import Gateway
from tests.store.deciding import delivering, lead


@pytest.fixture
async def commits(connection: Connection, keys: Keys, gateway: Gateway) -> Commits:
    """Of a pool in which `a` and `b` speak from s1 on g1."""
    await gateway.join("a", "b")
    return await lead(connection, keys)


@pytest.fixture
async def letters(connection: Connection, keys: Keys) -> AsyncIterator[AsyncIterator[list[Letter]]]:
    async with aclosing(Mailbox(connection, keys, "g1").letters()) as letters:  # type: ignore[type-var]
        yield letters


async def test_letters_come_in_order(commits: Commits, letters: AsyncIterator[list[Letter]]) -> None:
    await commits.send(
        [delivering(Delivery("a", "s1 g1", b"1", "x")), delivering(Delivery("b", "s1 g1", b"2"))]
    )
    await commits.send([delivering(Delivery("a", "s1 g1", b"3"))])
    assert await anext(letters) == [
        Letter("a", "s1", "x", b"1"),
        Letter("b", "s1", "", b"2"),
        Letter("a", "s1", "", b"3"),
    ]


async def test_letters_that_were_read_are_removed(
    connection: Connection,
    keys: Keys,
    commits: Commits,
    letters: AsyncIterator[list[Letter]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mailbox, "REMOVE_COUNT", 1)
    await commits.send([delivering(Delivery("a", "s1 g1", b"1"))])
    await anext(letters)
    await commits.send([delivering(Delivery("a", "s1 g1", b"2"))])
    assert await anext(letters) == [Letter("a", "s1", "", b"2")]
    assert await connection.command("XLEN", keys.mailbox("g1")) == 1


async def test_a_reader_that_broke_off_loses_no_letter(
    connection: Connection, keys: Keys, commits: Commits
) -> None:
    await commits.send([delivering(Delivery("a", "s1 g1", b"1"))])
    for _ in range(2):
        async with aclosing(Mailbox(connection, keys, "g1").letters()) as letters:  # type: ignore[type-var]
            assert await anext(letters) == [Letter("a", "s1", "", b"1")]


async def test_a_broken_connection_is_told(
    connection: Connection, commits: Commits, letters: AsyncIterator[list[Letter]]
) -> None:
    await commits.send([delivering(Delivery("a", "s1 g1", b"1"))])
    await anext(letters)
    await connection.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    with pytest.raises(StoreUnavailable):
        await anext(letters)


async def test_an_inbox_keeps_what_was_not_acknowledged(
    connection: Connection, keys: Keys, commits: Commits, gateway: Gateway
) -> None:
    frames = {"one": b"1", "two": b"2", "three": b"3"}
    await commits.send([delivering(*(Delivery("a", "s1 g1", frames[name], name) for name in frames))])
    await commits.send([delivering(Delivery("b", "s1 g1", b"4", "one"))])
    await Inboxes(connection, keys).received([("a", "one"), ("a", "three"), ("b", "one"), ("b", "unknown")])
    applied = await gateway.join("a", "b", session="s2")
    assert applied.inboxes == {0: [InboxItem("two", b"2")]}
    assert 0 < await connection.command("PTTL", keys.inbox("a")) <= 60_000


async def test_acknowledging_nothing_is_nothing(connection: Connection, keys: Keys) -> None:
    await Inboxes(connection, keys).received([])
