"""What looks hostile in a task's data is refused before anything runs, in words that say what and why."""

from __future__ import annotations

from typing import Any

import pytest

from agent.config import AgentConfig, Command, Python, Wasm, parse_config
from agent.plan import Builtin, Function, Module, Nap, Plan, Program, plan
from rpn.errors import BadSettings
from rpn.model import TaskResult
from tests.support import make

SHA = "0123456789abcdef" * 4
CONVERT = Command(
    ["/bin/convert", "--size={size}", "{source}", "{"],
    args={"size": "[0-9]{1,4}", "source": ".*"},
    stdin="text",
)
CONFIG = AgentConfig(
    {"convert": CONVERT, "plain": Command(["/bin/true"])},
    python=Python(allow=True, submitters=["friend"]),
)


def planned(task_type: str = "compute", *, submitter_id: str = "friend", **data: Any) -> Plan | TaskResult:
    return plan(make.assign(task_type=task_type, submitter_id=submitter_id, data=data), CONFIG)


def work_of(found: Plan | TaskResult) -> Any:
    assert isinstance(found, Plan), found
    return found.work


@pytest.mark.parametrize(
    "value",
    [
        "../secret", "a/../../b", "..", "-rf", "--help", "/etc/passwd", "~/x", "C:\\x", "a;rm", "a|b", "a&b",
        "$(id)", "`id`", "a\nb", "a\0b", "a>b", "x" * 257, "\x1b[2J",
    ],
)  # fmt: skip
def test_a_hostile_argument_is_refused_whatever_the_owner_allows(value: str) -> None:
    found = planned(command="convert", args={"size": "1", "source": value})
    assert isinstance(found, TaskResult)
    assert (found.code, "data" in found.error) == ("REJECTED", True)


@pytest.mark.parametrize(
    "args", [{}, {"size": "1"}, {"size": "12345", "source": "a"}, {"size": "1", "source": "a", "more": ""}]
)
def test_arguments_are_those_that_the_owner_named(args: dict[str, str]) -> None:
    assert planned(command="convert", args=args).code == "REJECTED"  # type: ignore[union-attr]
    assert planned(command="plain", args={"size": "1"}).code == "REJECTED"  # type: ignore[union-attr]


def test_an_argument_stands_where_the_owner_put_it_and_nowhere_else() -> None:
    work = work_of(planned(command="convert", args={"size": "7", "source": "{size} x.png"}, input="in"))
    assert isinstance(work, Program)
    assert (work.argv, work.given) == (["/bin/convert", "--size=7", "{size} x.png", "{"], b"in")


@pytest.mark.parametrize("name", ["../a", "a/b", "/a", "-a", ".a", "a;b", "a\0", "", "a b", "ü", "x" * 129])
def test_a_file_has_a_plain_name(name: str) -> None:
    for data in ({"files": {name: {"blob": SHA}}}, {"outputs": [name]}):
        assert planned(command="plain", **data).code == "REJECTED"  # type: ignore[union-attr]


@pytest.mark.parametrize("blob", ["", SHA[:-1], SHA.upper(), "../" + SHA[3:], None, 7])
def test_a_blob_is_named_by_its_digest(blob: object) -> None:
    assert planned(command="plain", files={"a": {"blob": blob}}).code == "REJECTED"  # type: ignore[union-attr]
    assert planned("wasm", module={"blob": blob}).code == "REJECTED"  # type: ignore[union-attr]
    assert planned("python", callable={"blob": blob}).code == "REJECTED"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("task_type", "data"),
    [
        ("compute", {}),
        ("compute", {"command": "rm -rf /"}),
        ("compute", {"command": ["plain"]}),
        ("compute", {"command": "../plain"}),
        ("compute", {"command": "plain", "files": ["a"]}),
        ("compute", {"command": "plain", "outputs": ["a"] * 300}),
        ("compute", {"command": "echo", "files": {"a": {"blob": SHA}}}),
        ("compute", {"command": "convert", "args": {"size": "1", "source": "a"}, "input": {"not": "text"}}),
        ("wasm", {}),
        ("wasm", {"module": {"blob": SHA}, "args": ["a\0b"]}),
        ("python", {}),
        ("python", {"callable": "no base64!"}),
        ("shell", {"command": "plain"}),
    ],
)
def test_what_this_device_does_not_do_is_refused(task_type: str, data: dict[str, Any]) -> None:
    found = planned(task_type, **data)
    assert isinstance(found, TaskResult)
    assert (found.code, bool(found.error)) == ("REJECTED", True)


def test_python_is_for_those_whom_the_owner_named() -> None:
    assert isinstance(work_of(planned("python", callable="AAAA")), Function)
    assert planned("python", submitter_id="stranger", callable="AAAA").code == "REFUSED"  # type: ignore[union-attr]
    for python in (Python(), Python(allow=True), Python(submitters=["friend"])):
        assign = make.assign(task_type="python", submitter_id="friend", data={"callable": "AAAA"})
        assert plan(assign, AgentConfig(python=python)).code == "REJECTED"  # type: ignore[union-attr]


def test_each_kind_of_work_runs_in_its_place() -> None:
    assert planned(command="echo", input=[1]) == TaskResult(success=True, result=[1])
    assert work_of(planned(command="sleep", input=2)) == Nap(2)
    assert work_of(planned(command="primes", input=5)) == Builtin("primes", b"5")
    module = work_of(planned("wasm", module={"blob": SHA}, input="text"))
    assert isinstance(module, Module)
    assert (module.given, module.deadline_s) == (b"text", Wasm().timeout_s)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('args = {size = "[0-9]+"}', "argv has no {size}"),
        ('args = {Size = "x"}', "args"),
        ('args = {a = "("}', "pattern"),
        ('stdin = "yaml"', "stdin"),
    ],
)
def test_what_the_owner_wrote_wrongly_is_named(line: str, said: str) -> None:
    with pytest.raises(BadSettings, match=r"x\.toml: commands\.c") as caught:
        parse_config(f'[commands.c]\nargv = ["/bin/true", "{{a}}"]\n{line}\n', source="x.toml")
    assert said in str(caught.value)
