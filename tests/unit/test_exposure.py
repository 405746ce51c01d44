"""A pool that asks nobody for a token does not come to other machines by mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rpn.cli.keyfiles import key_files
from rpn.errors import BadSettings, Unauthorized
from rpn.exposure import check_exposure, exposed
from rpn.settings import GatewaySettings
from rpn.tokens import TokenKind, make_token, parse_token, without_tokens


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_on_loopback_the_pool_is_open(host: str) -> None:
    check_exposure(GatewaySettings(host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "desk.local"])
def test_elsewhere_it_refuses_and_names_both_remedies(host: str) -> None:
    with pytest.raises(BadSettings, match=r"RPN_AUTH=token.*RPN_INSECURE_OPEN=yes"):
        check_exposure(GatewaySettings(host=host))


@pytest.mark.parametrize("remedy", [{"auth": "token"}, {"insecure_open": "yes"}])
def test_either_remedy_lets_it_start(remedy: dict[str, Any]) -> None:
    settings = GatewaySettings(host="0.0.0.0", **remedy)
    check_exposure(settings)
    assert exposed(settings) == ("insecure_open" in remedy)


def test_the_token_files_are_made_once_and_are_nobody_elses_to_read(tmp_path: Path) -> None:
    first = key_files(tmp_path)
    again = key_files(tmp_path)
    assert (first.fresh, again.fresh) == (True, False)
    admin, agent = [parse_token(path.read_text()) for path in (first.admin, first.agent)]
    assert (admin.kind, agent.kind) == (TokenKind.ADMIN, TokenKind.DEVICE)
    assert [parse_token(line) for line in again.seeds.read_text().split()] == [admin, agent]
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


@pytest.mark.parametrize("kind", TokenKind)
def test_a_token_tells_its_kind_and_id_and_shows_its_secret_to_nobody(kind: TokenKind) -> None:
    token = make_token(kind)
    assert parse_token(f" {token.text}\n") == token
    secret = token.text.rpartition("_")[2]
    assert secret not in repr(token)
    assert secret not in without_tokens(f"GET /?t={token.text} from {token.text}")
    assert token.id in without_tokens(token.text)


@pytest.mark.parametrize(
    "text", ["", "rpn_admin_1_2", "rpn_king_" + "0" * 12 + "_" + "0" * 64, "x" * 100_000]
)
def test_what_is_no_token_is_unauthorized(text: str) -> None:
    with pytest.raises(Unauthorized):
        parse_token(text)
