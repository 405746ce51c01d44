"""deploy/init.py: secrets are made once, each where only those find it who need it."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from rpn.tokens import TokenKind, parse_token
from tests.deploy.engine import HOUSE


@pytest.fixture(scope="module")
def init() -> ModuleType:
    spec = importlib.util.spec_from_file_location("init", HOUSE / "deploy/init.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    found = [tmp_path / name for name in ("secrets", "joining", "watching")]
    for folder in found:
        folder.mkdir()
    return found


def written(folders: list[Path]) -> dict[str, str]:
    return {
        f"{path.parent.name}/{path.name}": path.read_text() for each in folders for path in each.iterdir()
    }


def test_all_is_written_once(init: ModuleType, folders: list[Path]) -> None:
    assert init.write_passwords(folders[0], net="10.83.0")
    assert init.write_tokens(*folders)
    before = written(folders)
    assert not init.write_passwords(folders[0], net="10.83.0")
    assert not init.write_tokens(*folders)
    assert written(folders) == before


def test_agents_and_prometheus_have_their_own_token_alone(init: ModuleType, folders: list[Path]) -> None:
    init.write_tokens(*folders)
    found = written(folders)
    seeds = [parse_token(text) for text in found["secrets/seeds.token"].split()]
    assert [token.kind for token in seeds] == [TokenKind.ADMIN, TokenKind.JOIN, TokenKind.METRICS]
    assert [token.text for token in seeds] == [
        found[name].strip()
        for name in ("secrets/admin.token", "joining/join.token", "watching/metrics.token")
    ]
    assert len(found) == 4


def test_gateways_are_a_user_with_the_documented_rights(init: ModuleType, folders: list[Path]) -> None:
    init.write_passwords(folders[0], net="10.83.0")
    found = written(folders)
    rights = re.search(r"^ACL SETUSER rpn on >PASSWORD (.*)$", (HOUSE / "docs/security.md").read_text(), re.M)
    assert rights is not None
    (user,) = re.findall(r"^user rpn on >(\S+) (.*)$", found["secrets/redis.conf"], re.MULTILINE)
    assert user[1] == rights[1]
    assert found["secrets/redis-url"] == f"redis://rpn:{user[0]}@10.83.0.21:6379/0\n"
    assert found["secrets/password"].strip() != user[0]


@pytest.mark.parametrize("published", ["0.0.0.0:3000", "3000", "192.0.2.7:3000", "[::]:3000"])
def test_an_open_pool_is_published_elsewhere_only_if_somebody_insists(
    init: ModuleType, published: str
) -> None:
    with pytest.raises(SystemExit, match="RPN_AUTH=token, or RPN_INSECURE_OPEN=yes"):
        init.check_published({"RPN_PUBLISH": published, "RPN_AUTH": ""})
    init.check_published({"RPN_PUBLISH": published, "RPN_AUTH": "token"})
    init.check_published({"RPN_PUBLISH": published, "RPN_INSECURE_OPEN": "yes"})


@pytest.mark.parametrize("published", ["127.0.0.1:3000", "127.0.0.1:0", "localhost:3000", "[::1]:3000"])
def test_on_this_machine_alone_it_may_be_open(init: ModuleType, published: str) -> None:
    init.check_published({"RPN_PUBLISH": published})
