"""Every error has an answer outside; a bug is only told to be one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.faults import ANSWERS, INTERNAL, Answer, answer, told
from rpn import errors
from rpn.errors import BackupFailed, BadSettings, NoAgent, RPNError, ServerFailed, StoreFormatError

THE_OPERATORS = {BackupFailed, BadSettings, NoAgent, ServerFailed, StoreFormatError}
CLOSE_CODES = {0, 1001, 1003, 1008, 1011}


def leaves(kind: type[RPNError]) -> Iterator[type[RPNError]]:
    below = kind.__subclasses__()
    if not below:
        yield kind
    for each in below:
        yield from leaves(each)


def of_the_house() -> set[type[RPNError]]:
    return {leaf for leaf in leaves(RPNError) if leaf.__module__ == errors.__name__}


def test_every_error_a_client_can_cause_has_an_answer() -> None:
    assert of_the_house() - THE_OPERATORS == set(ANSWERS)


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=lambda found: f"{found.status}-{found.close}")
def test_answers_are_those_of_api_md(answer: Answer) -> None:
    assert 400 <= answer.status <= 507
    assert answer.close in CLOSE_CODES


def test_only_the_end_of_a_connection_closes_it() -> None:
    closing = {kind for kind, found in ANSWERS.items() if found.close}
    ends = set(leaves(errors.Ended))
    assert closing == ends | {errors.TextOnly, errors.TooManyErrors, errors.Draining}


def test_a_client_learns_nothing_of_our_bugs() -> None:
    for bug in (ZeroDivisionError("secret"), BadSettings("secret"), RPNError("secret")):
        assert answer(bug) == INTERNAL
        assert told(bug) == ("internal error", "INTERNAL")


def test_of_its_own_faults_it_learns_all() -> None:
    assert told(errors.WrongDevice("this connection speaks for a")) == (
        "this connection speaks for a",
        "WRONG_DEVICE",
    )
