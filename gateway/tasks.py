"""`/api/tasks`: submit tasks, see where they are, wait for them and cancel them, without a WebSocket."""

from __future__ import annotations

import asyncio
from typing import TypeVar
from urllib.parse import quote
from uuid import uuid4

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.answers import json_response
from gateway.bearers import bearer_of
from gateway.bodies import TaskPage, TaskStanding
from gateway.callers import Callers
from gateway.errands import Errands
from gateway.guard import Guard, body_of
from gateway.limits import check_payload
from gateway.names import Names, asks_as
from gateway.queries import OneTask, SomeTasks, WhoseTask, query_of
from gateway.rations import patron_of, task_limits
from gateway.waits import Waits
from rpn.codec import decode_body
from rpn.errors import BadMessage, LimitReached, NotFound, RPNError, Unavailable
from rpn.model import Name, Reason, Task, TaskState
from rpn.settings import GatewaySettings
from rpn.store.calls import Calls, Entered
from rpn.store.records import Call, ExplainEntry
from rpn.store.steps import Step
from rpn.store.task_index import TaskIndex
from rpn.store.tasks import Submitted, TaskLimits, Tasks

SUBMITTER = "rest"
"""who submits when the task does not say"""
EXPLAIN_LIMIT_S = 1.0
"""how long we wait for whoever schedules to say why a task waits"""

T = TypeVar("T")


class Submission(Task, frozen=True, rename="camel", kw_only=True):
    """The body of a submission: a task that need not say whose it is, nor have an id."""

    id: Name = msgspec.field(default_factory=lambda: str(uuid4()))
    submitter_id: Name = SUBMITTER


class WrappedSubmission(msgspec.Struct, frozen=True):
    """The body as it looks on the WebSocket: `{task: {...}}`."""

    task: Submission


class TaskRoutes:
    """The routes; what they change goes the way that messages go."""

    def __init__(
        self,
        settings: GatewaySettings,
        guard: Guard,
        names: Names,
        errands: Errands,
        callers: Callers,
        calls: Calls,
        tasks: Tasks,
        index: TaskIndex,
    ) -> None:
        self._callers = callers
        self._calls = calls
        self._limits = TaskLimits(settings.open_task_limit, settings.submitter_task_limit)
        self._guard = guard
        self._names = names
        self._errands = errands
        self._tasks = tasks
        self._index = index
        self.waits = Waits(index)

    def routes(self) -> list[Route]:
        return [
            Route("/api/tasks", self._guard(self._list), methods=["GET"]),
            Route("/api/tasks", self._guard(self._submit), methods=["POST"]),
            Route("/api/tasks/{id:path}", self._guard(self._get), methods=["GET"]),
            Route("/api/tasks/{id:path}", self._guard(self._cancel), methods=["DELETE"]),
        ]

    async def _submit(self, request: Request) -> Response:
        """202 while it is not over, 200 when the same task was submitted before and is."""
        task = _submission(await body_of(request))
        check_payload(task.data, "data")
        bearer = bearer_of(request.scope)
        self._names.check(bearer, task.submitter_id)
        limits, patron = task_limits(self._limits, bearer), patron_of(bearer)
        answer = await self._run(self._tasks.submit(task, limits, called=True, patron=patron))
        body = _standing(task.submitter_id, task.id, answer.state, answer.result)
        location = f"/api/tasks/{quote(task.id, safe='')}?submitter={quote(task.submitter_id, safe='')}"
        return json_response(body, status=_status(answer), headers={"Location": location})

    async def _list(self, request: Request) -> Response:
        asked = query_of(SomeTasks, request)
        page = await self._index.page(
            state=asked.state or None,
            submitter_id=asked.submitter or None,
            limit=asked.limit,
            cursor=asked.cursor or None,
        )
        return json_response(TaskPage(tasks=page.tasks, cursor=page.cursor))

    async def _get(self, request: Request) -> Response:
        asked = query_of(OneTask, request)
        wait_s, name = asked.wait_s, await self._named(request, asked)
        info = await self._index.get(*name)
        if wait_s and not info.state.final:
            await self.waits.over(name, within_s=wait_s)
            info = await self._index.get(*name)
        if info.state is TaskState.QUEUED:
            info = msgspec.structs.replace(info, reason=await self._reason(*name))
        return json_response(info)

    async def _reason(self, submitter_id: str, task_id: str) -> Reason | None:
        """Why it waits, from whoever schedules; None if nobody says it soon."""

        def step(call: Call) -> Step[Entered]:
            return self._calls.task(call.id, b"", ExplainEntry(submitter_id, task_id, call))

        try:
            async with asyncio.timeout(EXPLAIN_LIMIT_S):
                answer = await self._callers.ask(str(uuid4()), step)
        except (TimeoutError, Unavailable, LimitReached):
            return None
        return msgspec.json.decode(answer, type=Reason | None)

    async def _cancel(self, request: Request) -> Response:
        """202 when it will end soon, 200 when it is over already."""
        submitter_id, task_id = await self._named(request, query_of(WhoseTask, request))
        token_id = asks_as(bearer_of(request.scope))
        answer = await self._run(self._tasks.cancel(submitter_id, task_id, mark_ms=0, token_id=token_id))
        if answer.state is None:
            raise NotFound(f"{submitter_id} has no task {task_id}")
        body = _standing(submitter_id, task_id, answer.state, answer.result)
        return json_response(body, status=200 if answer.state.final else 202)

    async def _named(self, request: Request, whose: WhoseTask) -> tuple[str, str]:
        """(submitter, id) of the task that the path names."""
        task_id = request.path_params["id"]
        return whose.submitter or await self._index.submitter(task_id), task_id

    async def _run(self, step: Step[T]) -> T:
        """The answer of a step. Raises what it was refused with."""
        answered: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def answer(found: T | RPNError) -> None:
            if answered.done():
                return
            if isinstance(found, RPNError):
                answered.set_exception(found)
            else:
                answered.set_result(found)

        self._errands.enter(step, answer)
        return await answered


def _submission(body: bytes) -> Task:
    """The task of a body, bare or wrapped."""
    try:
        given = decode_body(WrappedSubmission, body).task
    except BadMessage as error:
        if "missing required field `task`" not in str(error):
            raise
        given = decode_body(Submission, body)
    return Task(**{name: getattr(given, name) for name in Task.__struct_fields__})


def _standing(submitter_id: str, task_id: str, state: TaskState, result: bytes) -> TaskStanding:
    return TaskStanding(
        task_id=task_id,
        submitter_id=submitter_id,
        state=state,
        result=msgspec.Raw(result) if result else msgspec.UNSET,
    )


def _status(answer: Submitted) -> int:
    return 200 if answer.state.final else 202
