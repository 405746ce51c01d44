"""The promises of rpn.cli.plan: which processes a pool has, and what each is told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rpn.cli.certfiles import CertFiles, cert_files
from rpn.cli.keeper import Program
from rpn.cli.keyfiles import key_files
from rpn.cli.plan import Plan
from rpn.settings import default_data_dir


def plan(**changes: Any) -> Plan:
    values: dict[str, Any] = {
        "data_dir": Path("/data"),
        "host": "127.0.0.1",
        "ports": [3000],
        "redis_url": None,
        "with_agent": True,
        "environ": {},
    }
    return Plan(**(values | changes))


def programs(a_plan: Plan) -> dict[str, Program]:
    return {program.name: program for stage in a_plan.stages() for program in stage.programs}


def environ(a_plan: Plan, name: str) -> Mapping[str, str]:
    return programs(a_plan)[name].environ


def test_a_pool_is_a_store_a_scheduler_a_gateway_and_an_agent_in_this_order() -> None:
    assert list(programs(plan())) == ["valkey", "scheduler", "gateway", "agent"]


def test_a_server_that_the_user_named_is_used_and_none_started() -> None:
    named = plan(redis_url="redis://far:6379/0", with_agent=False)
    assert list(programs(named)) == ["scheduler", "gateway"]
    assert environ(named, "gateway")["RPN_REDIS_URL"] == "redis://far:6379/0"


def test_each_gateway_has_its_port_and_the_agent_knows_them_all() -> None:
    three = plan(ports=[7, 8, 9])
    assert [environ(three, f"gateway-{n}")["RPN_PORT"] for n in (1, 2, 3)] == ["7", "8", "9"]
    servers = "ws://127.0.0.1:7/ws,ws://127.0.0.1:8/ws,ws://127.0.0.1:9/ws"
    assert environ(three, "agent")["RPN_SERVER"] == servers


def test_the_users_other_settings_are_passed_on() -> None:
    assert environ(plan(environ={"RPN_DEVICE_LIMIT": "7"}), "gateway")["RPN_DEVICE_LIMIT"] == "7"


def test_the_agent_keeps_its_data_beside_the_pools() -> None:
    assert environ(plan(), "agent")["RPN_DATA_DIR"] == "/data/agent"


def test_a_pool_that_listens_everywhere_is_reached_nearby_by_loopback() -> None:
    assert environ(plan(host="0.0.0.0"), "agent")["RPN_SERVER"] == "ws://127.0.0.1:3000/ws"
    assert environ(plan(host="::"), "agent")["RPN_SERVER"] == "ws://[::1]:3000/ws"


def test_the_welcome_says_how_another_machine_comes_in() -> None:
    near = dict(plan().welcome())["Add a machine"]
    far = dict(plan(host="192.0.2.7").welcome())["Add a machine"]
    assert "--host 0.0.0.0" in near[0]
    assert far[0].startswith("rpn agent --server ws://192.0.2.7:3000/ws")


def test_a_pool_with_tokens_opens_once_by_a_ticket_and_shows_no_token(tmp_path: Path) -> None:
    keys = key_files(tmp_path)
    shown = str(plan(keys=keys, host="10.0.0.7").welcome("rpn.ticket.cafe"))
    assert "http://10.0.0.7:3000/ui/#ticket=rpn.ticket.cafe" in shown
    assert "rpn agent join 10.0.0.7:3000" in shown
    for file in (keys.admin, keys.agent):
        assert str(keys.admin) in shown
        assert file.read_text().strip() not in shown
    assert (keys.fresh, key_files(tmp_path).fresh) == (True, False)


def test_the_network_is_told_where_it_finds_the_pool() -> None:
    told = dict(plan(host="192.0.2.7", lan=True).welcome())
    assert told["On this network"][0] == "http://192.0.2.7:3000/"
    assert "On this network" not in dict(plan(host="192.0.2.7").welcome())


def test_what_another_machine_needs_keeps_what_is_in_force(tmp_path: Path) -> None:
    keeps = "RPN_AUTH=token rpn up --host 0.0.0.0 --port 3400 --gateways 2 "
    known = plan(data_dir=tmp_path, ports=[3400, 3401], certificate=cert_files(tmp_path, None))
    hint = dict(known.welcome())["Add a machine"][0]
    assert hint.startswith(f"{keeps}--data-dir {tmp_path} --tls ")
    assert CertFiles(Path("/c"), Path("/k")).flags(tmp_path) == "--tls-cert /c --tls-key /k"


def test_what_is_as_always_needs_no_flag() -> None:
    hint = dict(plan(data_dir=Path(default_data_dir())).welcome())["Add a machine"][0]
    assert hint.startswith("RPN_AUTH=token rpn up --host 0.0.0.0   (")
