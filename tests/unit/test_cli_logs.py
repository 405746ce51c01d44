"""The promises of rpn.cli.logs: everything is kept within bounds, what matters is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from rpn.cli.logs import LINE_LIMIT_BYTES, LogFile, Output, is_loud

INFO = "2026-01-01 10:00:00,000 INFO    gateway.app: ready"
WARNING = "2026-01-01 10:00:00,000 WARNING gateway.app: oh"


@pytest.fixture
def shown() -> list[str]:
    return []


@pytest.fixture
def output(tmp_path: Path, shown: list[str]) -> Output:
    return Output(tmp_path / "child.log", shown.append)


@pytest.mark.parametrize(
    ("line", "loud"),
    [
        (INFO, False),
        (WARNING, True),
        ('{"time":"now","level":"info","message":"x"}', False),
        ('{"time":"now","level":"error","message":"x"}', True),
        ("Traceback (most recent call last):", True),
    ],
)
def test_warnings_and_errors_are_loud(line: str, loud: bool) -> None:
    assert is_loud(line, otherwise=False) is loud


def test_a_line_that_begins_nothing_is_as_loud_as_the_one_before(output: Output, shown: list[str]) -> None:
    output.feed(f"{INFO}\n  more of it\n{WARNING}\n  its cause\n".encode())
    assert shown == [WARNING, "  its cause"]


def test_what_a_process_says_before_it_logs_is_shown(output: Output, shown: list[str]) -> None:
    output.feed(b"No module named gateway\n")
    assert shown == ["No module named gateway"]


def test_a_line_may_come_in_pieces(output: Output, shown: list[str]) -> None:
    for piece in (WARNING[:9], WARNING[9:], "\nsecond"):
        output.feed(piece.encode())
    output.flush()
    assert shown == [WARNING, "second"]


def test_everything_goes_to_the_file(output: Output, tmp_path: Path) -> None:
    output.feed(f"{INFO}\n{WARNING}\nend".encode())
    output.flush()
    assert (tmp_path / "child.log").read_text() == f"{INFO}\n{WARNING}\nend\n"


def test_verbose_shows_all(tmp_path: Path, shown: list[str]) -> None:
    Output(tmp_path / "child.log", shown.append, verbose=True).feed(f"{INFO}\n".encode())
    assert shown == [INFO]


def test_a_line_without_end_does_not_fill_the_memory(output: Output) -> None:
    output.feed(b"x" * (LINE_LIMIT_BYTES + 1))
    assert len(output.last) == 1


def test_the_last_words_are_those_of_the_last_life(output: Output) -> None:
    output.feed(b"first life\n")
    output.restart()
    output.feed(b"second life\n")
    assert list(output.last) == ["second life"]


def test_a_full_log_makes_room_for_the_next(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "child.log", limit_bytes=10)
    for line in (b"first line\n", b"second line\n", b"third\n"):
        log.write(line)
    kept = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert kept == {"child.log": "third\n", "child.log.1": "second line\n"}


def test_a_log_that_cannot_be_written_harms_nobody(tmp_path: Path) -> None:
    LogFile(tmp_path / "missing" / "child.log").write(b"lost\n")
