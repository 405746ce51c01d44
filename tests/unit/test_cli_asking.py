"""Commands that ask a pool: what they say to people and to programs, and how they end."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from rpn import cli
from rpn.cli.questions import the_one
from rpn.client.api import Api

DESK = {
    "id": "aaaa-1",
    "name": "desk",
    "platform": "linux",
    "ipAddress": "10.0.0.1",
    "lastSeen": "2025-10-20T10:30:00.000Z",
    "isOnline": True,
    "resources": {
        "cpuUsage": 50,
        "cpuAvailable": 50,
        "cpuCores": 8,
        "memoryUsage": 2048,
        "memoryAvailable": 6144,
        "memoryTotal": 8192,
        "storageUsage": 0,
        "storageAvailable": 100,
        "storageTotal": 100,
        "hasGPU": True,
        "gpuName": "Radeon \x1b[31mRX",
        "gpuUsage": 0,
    },
}
LAPTOP = DESK | {"id": "bbbb-2", "name": "laptop"}
NOTHING = {"cpu": 0, "memory": 0, "storage": 0, "gpus": 0}


def described(device: dict[str, Any], labels: dict[str, str], free: dict[str, int]) -> dict[str, Any]:
    """What `/api/devices/ID` answers."""
    return {
        "device": device,
        "labels": labels,
        "capabilities": {"types": ["compute"], "commands": ["echo"], "policy": {"open": True, "reasons": []}},
        "accepts": ["tasks"],
        "poolUsage": None,
        "load": {"allocated": NOTHING, "free": NOTHING | free, "allocations": [], "tasks": []},
    }


NEEDS = {"cpu": 1600, "memory": 0, "storage": 0, "gpu": False}
REFUSED = {
    "allocation": {
        "id": "x1",
        "requestingDevice": "rest",
        "timestamp": "",
        "requirements": NEEDS,
        "fulfilled": False,
        "allocatedDevices": [],
    },
    "reason": {
        "code": "INSUFFICIENT",
        "message": "not now: two devices are too busy",
        "devices": 2,
        "exhausted": {"cpu": 2},
        "nearest": {"deviceId": "aaaa-1", "deviceName": "desk", "missing": {"cpu": 800}},
        "change": {"cpu": 800},
    },
}
TASK = {
    "taskId": "t-1",
    "submitterId": "me",
    "type": "compute",
    "state": "queued",
    "requirements": NEEDS,
    "submittedAt": "2025-10-20T10:30:00.000Z",
    "reason": REFUSED["reason"],
}
OVER = TASK | {
    "taskId": "t-2",
    "state": "failed",
    "result": {"success": False, "code": "EXIT", "error": "exit code 7\n\x1b[1moops"},
}
JOIN = {
    "id": "0a0b",
    "kind": "join",
    "name": "",
    "createdAt": "2025-10-20T10:30:00.000Z",
    "expiresAt": "2025-10-20T10:45:00.000Z",
    "labels": {"room": "lab"},
    "usesLeft": 20,
}
WALL = JOIN | {"id": "7c7d", "kind": "observer", "name": "wall", "expiresAt": None, "usesLeft": None}
DEED = {
    "at": "2025-10-20T10:30:00.000Z",
    "who": "unknown",
    "what": "/api/devices",
    "outcome": "UNAUTHORIZED",
    "address": "10.0.0.9",
    "times": 3,
}
ANSWERS: dict[str, Any] = {
    "GET /": {"service": "Resource Pooling Network", "version": "1.0.0", "devices": 2},
    "GET /api/devices": {"devices": [DESK, LAPTOP]},
    "GET /api/devices/aaaa-1": described(DESK, {"zone": "a"}, {"cpu": 400, "memory": 6144}),
    "GET /api/devices/bbbb-2": described(LAPTOP, {}, {}),
    "POST /api/allocations": REFUSED,
    "GET /api/allocations/x1": REFUSED,
    "GET /api/tasks": {"tasks": [TASK]},
    "GET /api/tasks/t-1": TASK,
    "DELETE /api/tasks/t-1": TASK,
    "GET /api/tasks/t-2": OVER,
    "DELETE /api/tasks/t-2": OVER,
    "POST /api/tasks": {"taskId": "t-1", "submitterId": "cli", "state": "queued"},
    "GET /api/tokens": {"tokens": [JOIN, WALL]},
    "POST /api/tokens": JOIN | {"token": "rpn_join_0a0b_cafe"},
    "DELETE /api/tokens/0a0b": {"revoked": "0a0b"},
    "GET /api/audit": {"deeds": [DEED]},
}


class Gateway(BaseHTTPRequestHandler):
    """Says what ANSWERS tells; notes what it was asked."""

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        said = f"{self.command} {self.path.partition('?')[0]}"
        asked: list[tuple[str, Any]] = self.server.asked  # type: ignore[attr-defined]
        asked.append((f"{self.command} {self.path}", body))
        known = said in ANSWERS
        answer = (
            ANSWERS[said] if known else {"error": f"there is nothing at {self.path}", "code": "NOT_FOUND"}
        )
        encoded = json.dumps(answer).encode()
        self.send_response(200 if known else 404)
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def do_POST(self) -> None:
        self.do_GET()

    def do_DELETE(self) -> None:
        self.do_GET()

    def log_request(self, *args: object) -> None:
        pass


@pytest.fixture
def gateway() -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), Gateway) as server:
        server.asked = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def rpn(gateway: HTTPServer, *words: str, monkeypatch: pytest.MonkeyPatch, **environ: str) -> Result:
    """Type `rpn words...`, as the console script does."""
    monkeypatch.setattr("sys.argv", ["rpn", *words])
    environ = {"RPN_SERVER": f"127.0.0.1:{gateway.server_port}"} | environ
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    runner = CliRunner()
    with runner.isolation() as (out, err, _):
        try:
            cli.main()
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(bool(end.code))
        return Result(runner, out.getvalue(), err.getvalue(), b"", None, status, None)


@pytest.fixture
def type_(gateway: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> Any:
    def typed(*words: str, **environ: str) -> Result:
        return rpn(gateway, *words, monkeypatch=monkeypatch, **environ)

    return typed


def test_devices_are_a_table_that_no_terminal_obeys(type_: Any) -> None:
    result = type_("devices")
    assert result.exit_code == 0
    heading, desk, laptop = result.stdout.splitlines()
    assert heading.split() == ["NAME", "ID", "PLATFORM", "CPU", "MEMORY", "STORAGE", "GPU"]
    assert "4.0/8" in desk
    assert "6.0G/8.0G" in desk
    assert laptop.startswith("laptop")
    assert "\x1b" not in result.stdout


def test_programs_get_the_answer_as_it_is(type_: Any) -> None:
    assert json.loads(type_("devices", "--json").stdout) == ANSWERS["GET /api/devices"]


@pytest.mark.parametrize("said", ["desk", "de", "aaaa-1", "aaa"])
def test_a_device_is_named_by_the_beginning_of_its_name_or_id(type_: Any, said: str) -> None:
    result = type_("device", said)
    assert result.exit_code == 0
    assert "label zone" in result.stdout


def test_a_name_that_fits_nobody_says_where_to_look(type_: Any) -> None:
    result = type_("device", "nobody")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "`rpn devices` lists them" in result.stderr


@pytest.mark.parametrize("command", ["device", "release", "cancel", "why"])
def test_an_empty_name_is_nobodys(type_: Any, gateway: HTTPServer, command: str) -> None:
    done = type_(command, "")
    assert done.exit_code == 2
    assert "is empty" in done.stderr
    assert not any(each.startswith("DELETE") for each, _ in gateway.asked)  # type: ignore[attr-defined]


def test_a_name_that_fits_several_asks_for_more() -> None:
    with pytest.raises(click.UsageError, match="'desk' may be any of a-1, b-2: say more of it"):
        the_one("device", "desk", [("a-1", ("desk 1",)), ("b-2", ("desk 2",))])


def test_a_device_is_excluded_by_its_name(type_: Any, gateway: HTTPServer) -> None:
    type_("request", "--cpu", "1", "--exclude", "desk", "--exclude", "bbbb")
    type_("submit", "echo", "--exclude", "lap")
    needs = [body["requirements"]["exclude"] for _, body in gateway.asked if body]  # type: ignore[attr-defined]
    assert needs == [["aaaa-1", "bbbb-2"], ["bbbb-2"]]
    assert type_("submit", "echo", "--exclude", "nobody").exit_code == 2


def test_a_request_says_what_it_needs_in_the_units_of_the_wire(type_: Any, gateway: HTTPServer) -> None:
    type_("request", "--cpu", "16", "--mem", "4G", "--label", "zone=a", "--dry-run", "--ttl", "60")
    _, body = gateway.asked[0]  # type: ignore[attr-defined]
    needs = {"cpu": 1600, "memory": 4096, "storage": 0, "gpu": False, "labels": {"zone": "a"}}
    assert body == {"requirements": needs, "dryRun": True, "ttl": 60}


def test_a_request_without_room_tells_why_and_ends_with_1(type_: Any) -> None:
    result = type_("request", "--cpu", "16")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "INSUFFICIENT: not now" in result.stderr
    assert "nearest: desk, which lacks 8 cores" in result.stderr
    assert "would fit now with: 8 cores" in result.stderr


@pytest.mark.parametrize("what", ["t-1", "t", "x1"])
def test_why_names_for_each_device_what_is_missing(type_: Any, what: str) -> None:
    result = type_("why", what)
    assert result.exit_code == 0
    rows = [line for line in result.stdout.splitlines() if "free)" in line]
    assert [row.split()[0] for row in rows] == ["desk", "laptop"]
    assert "12 cores (4 free)" in rows[0]
    assert "16 cores (0 free)" in rows[1]


def test_a_task_is_submitted_with_json_or_text(type_: Any, gateway: HTTPServer) -> None:
    assert type_("submit", "primes", '{"n": 3}').stdout == "t-1\n"
    assert type_("submit", "echo", "hello").exit_code == 0
    inputs = [body["data"]["input"] for _, body in gateway.asked]  # type: ignore[attr-defined]
    assert inputs == [{"n": 3}, "hello"]


def test_who_waits_no_longer_is_told_which_task_goes_on(
    type_: Any, gateway: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*path: str, **query: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Api, "get", interrupted)
    done = type_("submit", "echo", "--wait")
    assert done.exit_code == 130
    assert done.stderr.startswith("t-1 goes on: ")


@pytest.mark.parametrize("words", [("--timeout", "0"), ("--timeout", "nan"), ("--id", "")])
def test_what_can_be_no_task_is_wrong_usage(type_: Any, gateway: HTTPServer, words: tuple[str, ...]) -> None:
    assert type_("submit", "echo", *words).exit_code == 2
    assert not gateway.asked  # type: ignore[attr-defined]


def test_a_task_is_cancelled_in_its_submitters_name(type_: Any, gateway: HTTPServer) -> None:
    assert type_("cancel", "t-1").exit_code == 0
    asked = [said for said, _ in gateway.asked]  # type: ignore[attr-defined]
    assert asked[-1] == "DELETE /api/tasks/t-1?submitter=me"


def test_a_task_that_is_over_is_not_told_to_stop(type_: Any) -> None:
    assert type_("cancel", "t-1").stderr == "t-1 is told to stop\n"
    assert type_("cancel", "t-2").stderr == "t-2 is over: failed\n"


def test_what_is_not_there_ends_with_4(type_: Any) -> None:
    result = type_("logs", "t-1", "--submitter", "me")
    assert result.exit_code == 0
    assert type_("allocations").exit_code == 4


def test_a_token_is_printed_alone_so_that_it_can_go_to_a_file(type_: Any, gateway: HTTPServer) -> None:
    made = type_("token", "create", "join", "--uses", "20", "--expires", "1d", "--label", "room=lab")
    assert (made.exit_code, made.stdout) == (0, "rpn_join_0a0b_cafe\n")
    assert "rpn agent join" in made.stderr
    _, body = gateway.asked[0]  # type: ignore[attr-defined]
    wanted = {"kind": "join", "name": "", "labels": {"room": "lab"}, "expiresInS": 86400, "uses": 20}
    assert body == wanted | {"quota": {}}


def test_a_token_may_be_given_a_quota(type_: Any, gateway: HTTPServer) -> None:
    type_("token", "create", "device", "--device", "d-1", "--messages-per-s", "50", "--connections", "2")
    type_("token", "create", "submitter", "--share", "25", "--open-tasks", "9")
    assert gateway.asked[1][1]["quota"] == {"openTasks": 9, "sharePercent": 25}  # type: ignore[attr-defined]
    _, body = gateway.asked[0]  # type: ignore[attr-defined]
    assert (body["deviceId"], body["quota"]) == ("d-1", {"messagesPerS": 50, "connections": 2})


def test_tokens_are_listed_and_revoked_by_the_beginning_of_their_id(type_: Any, gateway: HTTPServer) -> None:
    _, join, wall = type_("token", "list").stdout.splitlines()
    assert join.split() == ["0a0b", "join", "-", "-", "20", "2025-10-20T10:45:00.000Z"]
    assert wall.split() == ["7c7d", "observer", "wall", "-", "-", "-"]
    assert type_("token", "revoke", "0a").exit_code == 0
    assert gateway.asked[-1][0] == "DELETE /api/tokens/0a0b"  # type: ignore[attr-defined]
    assert "`rpn token list` lists them" in type_("token", "revoke", "ff").stderr


def test_the_audit_tells_who_was_refused_what(type_: Any) -> None:
    row = type_("audit").stdout.splitlines()[1].split()
    assert row == ["2025-10-20T10:30:00.000Z", "unknown", "/api/devices", "UNAUTHORIZED", "10.0.0.9", "3"]
    assert json.loads(type_("audit", "--json").stdout) == {"deeds": [DEED]}


def test_where_nobody_answers_the_next_thing_to_try_is_told(type_: Any) -> None:
    result = type_("devices", RPN_SERVER="127.0.0.1:9")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "`rpn up`" in result.stderr


def test_a_token_file_that_is_not_there_is_named_by_its_flag(type_: Any) -> None:
    result = type_("devices", "--token-file", "/nope")
    assert (result.exit_code, "--token-file: " in result.stderr) == (2, True)


@pytest.mark.parametrize("ttl", ["0", "-3", "nan", "inf"])
def test_a_time_that_cannot_be_is_typed_wrongly(type_: Any, gateway: HTTPServer, ttl: str) -> None:
    assert type_("request", "--cpu", "1", "--ttl", ttl).exit_code == 2
    assert gateway.asked == []  # type: ignore[attr-defined]


@pytest.mark.parametrize(("count", "told"), [(1, "1 device\n"), (2, "2 devices\n")])
def test_the_doctor_counts_devices(
    type_: Any, monkeypatch: pytest.MonkeyPatch, count: int, told: str
) -> None:
    monkeypatch.setitem(ANSWERS, "GET /", {"service": "pool", "version": "1", "devices": count})
    assert f"pool 1, {told}" in type_("doctor").stdout


def test_the_settings_that_differ_are_shown_without_secrets(type_: Any) -> None:
    result = type_("config", "show", RPN_REDIS_URL="redis://:hunter2@db/0")
    assert "RPN_REDIS_URL" in result.stdout
    assert "hunter2" not in result.stdout


def test_a_setting_nobody_reads_is_named(type_: Any) -> None:
    result = type_("config", "check", RPN_DEVICE_LIMITS="7")
    assert result.exit_code == 2
    assert "RPN_DEVICE_LIMITS" in result.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_gets_its_completion(type_: Any, shell: str) -> None:
    assert "_RPN_COMPLETE" in type_("completion", shell).stdout


def test_every_command_has_a_help_with_an_example(type_: Any) -> None:
    for name in cli.COMMANDS:
        result = type_(name, "--help")
        assert result.exit_code == 0, name
        assert "Example:" in result.stdout, name
