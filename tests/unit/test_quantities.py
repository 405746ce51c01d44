"""Amounts as people write them become the protocol's units, never less than was said."""

from __future__ import annotations

import pytest

from rpn.client.quantities import core_percent, megabytes
from rpn.errors import BadRequirements


@pytest.mark.parametrize(
    ("said", "mb"),
    [
        (512, 512),
        (0.5, 1),
        ("512", 512),
        ("512M", 512),
        ("4G", 4096),
        ("4 GiB", 4096),
        ("1.5gib", 1536),
        ("4 GB", 3815),
        ("1T", 2**20),
        ("1k", 1),
        ("0", 0),
    ],
)
def test_memory_is_said_in_megabytes_or_in_words(said: float | str, mb: int) -> None:
    assert megabytes(said) == mb


@pytest.mark.parametrize("said", ["", "much", "4 parsecs", "-1G", -1, float("nan"), float("inf"), "1e3G"])
def test_what_is_no_amount_of_memory_is_refused(said: float | str) -> None:
    with pytest.raises(BadRequirements):
        megabytes(said)


def test_cores_are_counted_in_percent_of_one() -> None:
    assert [core_percent(cores) for cores in (0, 0.005, 0.5, 2, 2.5)] == [0, 1, 50, 200, 250]


def test_fewer_than_no_cores_are_refused() -> None:
    with pytest.raises(BadRequirements):
        core_percent(-1)


def test_more_than_the_protocol_can_say_is_told_so() -> None:
    with pytest.raises(BadRequirements, match="1e\\+308 is more than can be asked for"):
        core_percent(1e308)
    with pytest.raises(BadRequirements, match="nan is no amount"):
        core_percent(float("nan"))
