"""Holds messages against the document that describes the WebSocket, each way for itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator

Message = dict[str, Any]


class Contract:
    """An AsyncAPI document; `said` goes up to the gateway, `heard` comes down."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self.said = self._validators("receive")
        self.heard = self._validators("send")

    def check_said(self, message: Any) -> None:
        """Raise AssertionError unless a client may say this."""
        _check(message, self.said)

    def check_heard(self, message: Any) -> None:
        """Raise AssertionError unless a client may hear this."""
        _check(message, self.heard)

    def _validators(self, action: str) -> dict[str, Draft202012Validator]:
        """By the `type` of a message."""
        return {
            message["name"]: Draft202012Validator({**self._document, **message["payload"]})
            for message in self.messages(action)
            if "name" in message
        }

    def messages(self, action: str) -> Iterator[Message]:
        """All that are described for one way."""
        for operation in self._document["operations"].values():
            if operation["action"] == action:
                for reference in operation["messages"]:
                    found = self.resolved(reference["$ref"])
                    yield self.resolved(found["$ref"])

    def resolved(self, reference: str) -> Message:
        """What a `#/...` refers to."""
        found: Any = self._document
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
        assert isinstance(found, dict)
        return found


def _check(message: Any, validators: dict[str, Draft202012Validator]) -> None:
    assert message["type"] in validators, f"nothing is said about {message}"
    errors = [error.message for error in validators[message["type"]].iter_errors(message)]
    assert errors == [], message
