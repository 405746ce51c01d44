"""Errors have codes that programs may rely on."""

from __future__ import annotations

import inspect
import re

import pytest

from rpn import errors
from rpn.errors import RateLimited, RPNError

EVERY = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, RPNError)]
LEAVES = [each for each in EVERY if not each.__subclasses__()]


def test_every_leaf_has_a_code_of_its_own() -> None:
    codes = [leaf.code for leaf in LEAVES]
    assert len(set(codes)) == len(codes)
    assert "ERROR" not in codes


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.__name__)
def test_a_code_is_written_in_capitals(leaf: type[RPNError]) -> None:
    assert re.fullmatch(r"[A-Z]+(_[A-Z]+)*", leaf.code)


@pytest.mark.parametrize("each", EVERY, ids=lambda each: each.__name__)
def test_the_tree_that_opens_the_file_names_everyone(each: type[RPNError]) -> None:
    assert each.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("BAD_MESSAGE", errors.BadMessage),
        ("BAD_REQUIREMENTS", errors.BadRequirements),
        ("RATE_LIMITED", errors.RateLimited),
        ("STORE_UNAVAILABLE", errors.StoreUnavailable),
        ("TASK_CONFLICT", errors.TaskConflict),
        ("ORIGIN", errors.BadOrigin),
        ("SUPERSEDED", errors.Superseded),
    ],
)
def test_codes_that_clients_know_stay_as_they_are(code: str, kind: type[RPNError]) -> None:
    assert kind.code == code


def test_whoever_asks_too_often_learns_when_to_come_back() -> None:
    error = RateLimited("too often", retry_after_s=7)
    assert (str(error), error.retry_after_s) == ("too often", 7)
