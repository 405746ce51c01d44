"""Ids are random UUIDs, written as everybody writes them."""

from __future__ import annotations

from uuid import RFC_4122, UUID

from gateway.ids import new_id


def test_an_id_is_a_random_uuid() -> None:
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    for text in ids:
        found = UUID(text)
        assert (str(found), found.version, found.variant) == (text, 4, RFC_4122)
