"""What a task or a reservation needs, as people write it, turned into the protocol's words."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from msgspec import UNSET, Struct

from rpn.client.quantities import core_percent, megabytes
from rpn.model import Requirements, Task


def requirements(
    *,
    cpu: float = 0,
    memory: float | str = 0,
    storage: float | str = 0,
    gpu: bool = False,
    devices: int | None = None,
    strategy: Literal["pack", "spread"] | None = None,
    labels: Mapping[str, str] | None = None,
    exclude: Sequence[str] = (),
    allow_self: bool | None = None,
) -> Requirements:
    """`cpu` in cores; `memory` and `storage` in MB, or as text such as "4 GiB". Raises BadRequirements.

    `exclude` are ids of devices. Raises TypeError for labels that are no mapping, and for a single id.
    """
    if isinstance(exclude, str):
        raise TypeError(f"`exclude` is a list of device ids, not {exclude!r}")
    return Requirements(
        cpu=core_percent(cpu),
        memory=megabytes(memory),
        storage=megabytes(storage),
        gpu=gpu,
        devices=UNSET if devices is None else devices,
        strategy=UNSET if strategy is None else strategy,
        labels=_mapping(labels) if labels else UNSET,
        exclude=list(exclude) if exclude else UNSET,
        allow_self=UNSET if allow_self is None else allow_self,
    )


class Options(Struct, frozen=True, kw_only=True):
    """How a task is to be run; the protocol's own `requirements`, if given, beat the friendly amounts."""

    cpu: float = 0
    """cores"""
    memory: float | str = 0
    storage: float | str = 0
    gpu: bool = False
    labels: dict[str, str] = {}
    exclude: tuple[str, ...] = ()
    requirements: Requirements | None = None
    priority: int = 0
    timeout_s: float | None = None
    queue_timeout_s: float | None = None
    retries: int | None = None
    task_id: str = ""

    def task(self, kind: str, submitter_id: str, data: dict[str, Any], **labels: str) -> Task:
        """A task of type `kind`, only for devices that carry `labels` as well."""
        return Task(
            id=self.task_id or str(uuid.uuid4()),
            type=kind,
            submitter_id=submitter_id,
            requirements=self._needs(labels),
            data=data,
            priority=self.priority,
            timeout_s=self.timeout_s,
            queue_timeout_s=self.queue_timeout_s,
            retries=self.retries,
        )

    def _needs(self, labels: dict[str, str]) -> Requirements:
        if self.requirements is not None and not labels:
            return self.requirements
        return requirements(
            cpu=self.cpu,
            memory=self.memory,
            storage=self.storage,
            gpu=self.gpu,
            labels=_mapping(self.labels) | labels,
            exclude=self.exclude,
        )


def _mapping(labels: Mapping[str, str]) -> dict[str, str]:
    if not isinstance(labels, Mapping):
        raise TypeError(f"`labels` is a mapping of names to values, not {labels!r}")
    return dict(labels)
