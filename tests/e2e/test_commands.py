"""The commands that ask a pool, typed as people type them, against a pool that is really up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.support.cluster import Cluster, running

NOBODY_HAS = "8192"
"""cores"""


class Typed(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(tmp_path_factory.mktemp("commands")) as cluster:
        yield cluster


def rpn(pool: Cluster, *words: str) -> Typed:
    done = subprocess.run(
        [sys.executable, "-m", "rpn.cli", *words],
        env=os.environ | {"RPN_SERVER": pool.urls[0]},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return Typed(done.returncode, done.stdout, done.stderr)


def this_device(pool: Cluster) -> str:
    [device] = json.loads(rpn(pool, "devices", "--json").out)["devices"]
    return str(device["id"])


def test_a_device_is_shown_with_what_it_runs_and_what_is_to_be_had(pool: Cluster) -> None:
    told = rpn(pool, "device", this_device(pool))
    assert told.status == 0, told.err
    facts = dict(line.split("  ", 1) for line in told.out.splitlines())
    facts = {name.strip(): value.strip() for name, value in facts.items()}
    assert facts["id"] == this_device(pool)
    assert "echo" in facts["commands"]
    assert facts["given away"].startswith("0 cores")


def test_a_task_that_cannot_run_is_explained_device_by_device(pool: Cluster) -> None:
    assert rpn(pool, "submit", "render", "{}", "--cpu", NOBODY_HAS, "--id", "too-big").status == 0
    told = rpn(pool, "why", "too-b")
    assert told.status == 0, told.err
    assert "INFEASIBLE" in told.err
    device = told.out.splitlines()[-1]
    assert this_device(pool)[:8] in device
    assert "command render" in device
    assert "cores" in device
    assert rpn(pool, "cancel", "too-big").status == 0
    assert "cancelled" in rpn(pool, "tasks").out


def test_a_request_is_held_listed_explained_and_given_back(pool: Cluster) -> None:
    made = rpn(pool, "request", "--mem", "64M", "--ttl", "60", "--json")
    assert made.status == 0, made.err
    allocation_id = json.loads(made.out)["allocation"]["id"]
    assert allocation_id[:13] in rpn(pool, "allocations").out
    why = rpn(pool, "why", allocation_id)
    assert why.out.startswith("it is held until")
    assert "LACKS" not in why.out
    assert rpn(pool, "release", allocation_id).status == 0
    assert rpn(pool, "why", allocation_id).status != 0


def test_a_request_that_nobody_can_serve_says_what_would_fit(pool: Cluster) -> None:
    told = rpn(pool, "request", "--cpu", NOBODY_HAS)
    assert (told.status, told.out) == (1, "")
    assert "INFEASIBLE" in told.err


def test_a_command_runs_elsewhere_as_if_it_were_here(pool: Cluster) -> None:
    told = rpn(pool, "run", "--", "echo", "hello")
    assert (told.status, told.out.strip()) == (0, "hello"), told.err


def test_a_result_is_waited_for(pool: Cluster) -> None:
    told = rpn(pool, "submit", "primes", '{"n": 100}', "--wait")
    assert (told.status, told.out.strip()) == (0, "25"), told.err
    [device] = json.loads(rpn(pool, "devices", "--json").out)["devices"]
    [row] = [line.split() for line in rpn(pool, "tasks").out.splitlines() if " primes " in line]
    assert row[2:5] == ["primes", "succeeded", device["name"]]


@pytest.mark.parametrize("words", [["token", "list"], ["token", "create", "join"], ["audit"]])
def test_an_open_pool_says_that_it_has_no_tokens(pool: Cluster, words: list[str]) -> None:
    told = rpn(pool, *words)
    assert (told.status, told.out) == (4, "")
    assert "RPN_AUTH=token" in told.err
