"""The bare loop: what must be read, packed and written for each request, and no thought about any of it.

Read a batch, decode it, make a record and an answer for each, and write all in one transaction: the
records with one HSET, the letters with one XADD a gateway, an inbox each, and one XDEL. No lease, no
sessions, no ledger, no placement: every request gets its own device.
"""

from __future__ import annotations

import asyncio
from typing import Any

from bench.scheduler.filled import Filled
from bench.scheduler.taken import Taken, taking
from rpn.codec import encode, pack, pack_record
from rpn.messages import ResourceAllocation
from rpn.model import Allocation, Share
from rpn.replica import iso
from rpn.store.intake import Intake
from rpn.store.keys import Keys
from rpn.store.records import AllocationRecord, RequestEntry

BATCH = 128
INBOX_MS = 3_600_000


async def bare_loop(pool: Filled) -> Taken:
    """Answer every request; the next batch is read while one is written."""
    intake = Intake(pool.connection, pool.keys)
    with taking(pool) as taken:
        reading = asyncio.create_task(intake.read(block_ms=100, count=BATCH))
        left = pool.requests
        while left:
            requests = (await reading).requests
            reading = asyncio.create_task(intake.read(block_ms=100, count=BATCH))
            await pool.connection.commands(_written(pool.keys, requests))
            left -= len(requests)
    await reading
    await intake.close()
    return taken


def _written(keys: Keys, requests: list[tuple[str, Any]]) -> list[tuple[Any, ...]]:
    records: list[Any] = []
    letters: dict[str, list[Any]] = {}
    inboxes: list[tuple[Any, ...]] = []
    for _, entry in requests:
        record, frame = _answered(entry)
        session, _, gateway = entry.presence.partition(" ")
        records += (record.id, pack_record(record))
        letter = pack((entry.device_id, session, f"allocation:{record.id}", frame))
        letters.setdefault(keys.mailbox(gateway), []).extend(("m", letter))
        inbox = keys.inbox(entry.device_id)
        inboxes.append(("HSET", inbox, f"allocation:{record.id}", frame))
        inboxes.append(("PEXPIRE", inbox, INBOX_MS))
    mail = [("XADD", mailbox, "*", *fields) for mailbox, fields in letters.items()]
    done = ("XDEL", keys.requests, *(entry_id for entry_id, _ in requests))
    return [("MULTI",), ("HSET", keys.allocations, *records), *inboxes, *mail, done, ("EXEC",)]


def _answered(entry: RequestEntry) -> tuple[AllocationRecord, bytes]:
    need = entry.requirements
    share = Share(entry.device_id, entry.device_id, int(need.cpu), int(need.memory), int(need.storage), False)
    record = AllocationRecord(entry.allocation_id, entry.device_id, need, [share], 1_790_000_000_000)
    allocation = Allocation(record.id, entry.device_id, iso(record.created_ms), need, True, [share])
    return record, encode(ResourceAllocation(allocation=allocation, request_id=entry.request_id))
