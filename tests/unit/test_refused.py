"""What one device's owner does not want is no attempt: another device has its turn, while there is one."""

from __future__ import annotations

from rpn.model import TaskState
from tests.support.leadership import Leadership
from tests.support.scheduling import FakeStore, task

REFUSED = b'{"success":false,"error":"not for you","code":"REFUSED"}'


def test_a_task_that_one_owner_refuses_runs_on_anothers_device_and_loses_no_attempt(
    store: FakeStore, leads: Leadership
) -> None:
    store.submit(task("t", retries=0))
    leads.rounds()
    assert store.lives["sub", "t"].device_id == "a"
    store.finish("a", success=False, outcome=REFUSED)
    leads.rounds()
    assert (store.lives["sub", "t"].device_id, store.lives["sub", "t"].attempts) == ("b", 1)
    store.finish("b")
    leads.rounds()
    assert store.state("t") is TaskState.SUCCEEDED


def test_a_task_that_every_owner_refuses_is_rejected(store: FakeStore, leads: Leadership) -> None:
    store.submit(task("t"))
    leads.rounds()
    store.finish("a", success=False, outcome=REFUSED)
    leads.rounds()
    store.finish("b", success=False, outcome=REFUSED)
    leads.rounds()
    assert store.outcomes["sub", "t"] == [b'{"error":"not for you","code":"REJECTED","success":false}']
