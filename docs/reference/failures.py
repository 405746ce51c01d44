"""The reference of everything that can go wrong and be told: by its code, with status and close code."""

from __future__ import annotations

from collections.abc import Iterator

from docs.reference.tables import member_texts, sentence, table
from gateway.faults import ANSWERS, INTERNAL
from rpn.client.api import Unreachable
from rpn.client.refusals import NotFulfilled
from rpn.client.trust import WrongCertificate
from rpn.errors import RPNError
from rpn.model import Outcome

OPENING = """\
# Errors and close codes

Every error has a `code` for programs, which stays, and a text for people, which may change. By REST it is
the body `{"error": TEXT, "code": CODE}` with the status below; on a WebSocket the message `{"type":
"error", "error", "code"}` with the request's `requestId`, after which the connection stays open, unless the
code is one that ends it. The Python client raises the class of the same code. [The
protocol](../protocol.md#errors-and-closes) tells where each can come.
"""
CLOSES = (
    (1000, "a normal end: either side said goodbye"),
    (1001, "the gateway goes away, or the pool removed the device: come back, register again"),
    (1002, "broken framing"),
    (1003, "a binary frame, where the protocol is text"),
    (1007, "text that is not UTF-8"),
    (
        1008,
        "against the rules, which the reason names: superseded, silent, slow, unregistered, revoked, ...",
    ),
    (1009, "a message over 1 MiB"),
    (1011, "a failure of ours, or the pool's server did not answer"),
)


def chapter() -> str:
    """The whole page."""
    return "\n".join(
        (
            OPENING,
            "## Told to clients\n",
            table(("code", "REST", "closes", "means"), _told()),
            "## Why a connection is closed\n",
            table(("close code", "means"), ((f"`{code}`", text) for code, text in CLOSES)),
            "## How a task fails\n",
            "The `code` of a result `{success: false, error, code}`, and of `rpn.TaskFailed`.\n",
            table(("code", "means"), _outcomes()),
            "## In programs and at the operator's\n",
            "Not told over the network: raised by the Python client, or why a process does not start.\n",
            table(("code", "class", "means"), _own()),
        )
    )


def _told() -> Iterator[tuple[str, ...]]:
    for kind, answer in ANSWERS.items():
        close = f"`{answer.close}`" if answer.close else ""
        yield f"`{kind.code}`", str(answer.status), close, sentence(kind.__doc__)
    yield (
        "`INTERNAL`",
        str(INTERNAL.status),
        f"`{INTERNAL.close}`",
        "A bug of ours; the gateway's log tells more.",
    )


def _outcomes() -> Iterator[tuple[str, str]]:
    texts = member_texts(Outcome)
    return ((f"`{each.value}`", texts[each.name]) for each in Outcome)


def _own() -> Iterator[tuple[str, ...]]:
    kinds: set[type[RPNError]] = {
        each for each in _leaves(RPNError) if each.__module__ == RPNError.__module__
    } - set(ANSWERS)
    kinds |= {NotFulfilled, Unreachable, WrongCertificate}
    for kind in sorted(kinds, key=lambda kind: kind.code):
        yield f"`{kind.code}`", f"`{kind.__name__}`", sentence(kind.__doc__)


def _leaves(kind: type[RPNError]) -> Iterator[type[RPNError]]:
    below = kind.__subclasses__()
    if not below:
        yield kind
    for each in below:
        yield from _leaves(each)
