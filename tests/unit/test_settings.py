"""An operator's settings: read once, refused by name, all of them written down."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rpn.errors import BadSettings
from rpn.settings import (
    SERVICES,
    AgentSettings,
    GatewaySettings,
    Settings,
    StoreSettings,
    UpSettings,
    default_data_dir,
    load,
    variable,
)

DOCUMENT = Path(__file__).parents[2] / "docs/settings.md"
CHAPTERS: dict[type[Settings], list[str]] = {
    GatewaySettings: ["Every process", "Gateway and scheduler: the store", "Gateway"],
    SERVICES[1]: ["Every process", "Gateway and scheduler: the store", "Scheduler"],
    AgentSettings: ["Every process", "Agent"],
    UpSettings: ["Every process", "`rpn up`"],
}
"""where each service's settings stand"""


def documented(chapter: str) -> dict[str, str]:
    """The variables of a chapter, with the default it tells."""
    _, _, text = DOCUMENT.read_text().partition(f"\n## {chapter}\n")
    return dict(re.findall(r"^\| `(RPN_\w+)` \| `?([^|`]*)`? \|", text.partition("\n## ")[0], re.MULTILINE))


def told(value: object) -> str:
    """A default as the document writes it."""
    if value == default_data_dir():
        return "~/.local/share/rpn"
    return f"{value:g}" if isinstance(value, float) else str(value) or "empty"


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.__name__)
def test_every_setting_is_written_down_with_its_default(service: type[Settings]) -> None:
    defaults = service()
    expected = {variable(name): told(getattr(defaults, name)) for name in service.__struct_fields__}
    found = {
        name: value.strip() for chapter in CHAPTERS[service] for name, value in documented(chapter).items()
    }
    assert found == expected


def test_a_variable_of_the_environment_sets_its_field() -> None:
    settings = load(GatewaySettings, {"RPN_PORT": "0", "RPN_POOL": "lab-2", "RPN_SILENCE_LIMIT_S": "1.5"})
    assert (settings.port, settings.pool, settings.silence_limit_s) == (0, "lab-2", 1.5)
    assert settings.device_limit == 100


def test_a_flag_beats_the_environment_unless_it_was_not_given() -> None:
    environ = {"RPN_PORT": "4000", "RPN_HOST": "0.0.0.0"}
    settings = load(GatewaySettings, environ, port=5000, host=None)
    assert (settings.port, settings.host) == (5000, "0.0.0.0")


def test_a_file_may_hold_the_value(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("redis://:secret@db/0\n")
    settings = load(StoreSettings, {"RPN_REDIS_URL_FILE": str(secret)})
    assert settings.redis_url == "redis://:secret@db/0"


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(BadSettings, match=r"RPN_REDIS_URL_FILE: .*nowhere"):
        load(StoreSettings, {"RPN_REDIS_URL_FILE": "/nowhere"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RPN_PORT", "eighty"),
        ("RPN_PORT", "65536"),
        ("RPN_PORT", ""),
        ("RPN_DEVICE_LIMIT", "-1"),
        ("RPN_DEVICE_LIMIT", "1.5"),
        ("RPN_SILENCE_LIMIT_S", "0"),
        ("RPN_SILENCE_LIMIT_S", "nan"),
        ("RPN_SILENCE_LIMIT_S", "inf"),
        ("RPN_POOL", "My Pool"),
        ("RPN_POOL", "x" * 33),
        ("RPN_POOL", "a\n"),
        ("RPN_OUTBOX_LIMIT_KIB", "1"),
        ("RPN_LOG_FORMAT", "xml"),
        ("RPN_LOG_LEVEL", "loud"),
    ],
)
def test_a_bad_value_names_itself(name: str, value: str) -> None:
    with pytest.raises(BadSettings, match=f"^{name}: "):
        load(GatewaySettings, {name: value})


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("RPN_AUTH", "foo", "'foo' cannot be; expected one of open, token"),
        ("RPN_PORT", "eighty", "'eighty' cannot be; expected a whole number from 0 to 65535"),
        ("RPN_SILENCE_LIMIT_S", "0", "'0' cannot be; expected a number above 0, at most 31536000"),
        ("RPN_POOL", "My Pool", "'My Pool' cannot be; expected 1 to 32 of a-z, 0-9 and -"),
    ],
)
def test_a_bad_value_is_told_with_what_would_be_good(name: str, value: str, told: str) -> None:
    with pytest.raises(BadSettings, match=f"^{name}: {told}$"):
        load(GatewaySettings, {name: value})


@pytest.mark.parametrize("service", [AgentSettings, UpSettings])
def test_no_folder_at_all_is_not_the_current_one(service: type[Settings]) -> None:
    for environ, flags in (({"RPN_DATA_DIR": ""}, {}), ({}, {"data_dir": ""})):
        with pytest.raises(
            BadSettings, match="RPN_DATA_DIR: '' cannot be; expected a text that is not empty"
        ):
            load(service, environ, **flags)


def test_what_other_services_are_told_is_none_of_ours() -> None:
    assert load(AgentSettings, {"RPN_PORT": "eighty"}) == AgentSettings()


def test_the_data_lie_where_the_platform_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert default_data_dir() == "/data/rpn"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert default_data_dir() == "/home/me/.local/share/rpn"
