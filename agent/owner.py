"""Keeps to the owner's policy: watches what it rests on, remembers what the owner said, tells what holds."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import msgspec

from agent.platforms import Platform
from agent.policy import SETTLE_S, Battery, Circumstances, Policy, Verdict, judge

log = logging.getLogger(__name__)

WATCH_S = 2.0
SAID_FILE = "owner.json"


class Said(msgspec.Struct, frozen=True):
    """What the owner said to the running agent; it holds over restarts."""

    paused: bool = False
    until_s: float | None = None
    """since the epoch; None: until the owner says otherwise"""
    policy: Policy | None = None
    """instead of agent.toml's"""


class Owner:
    """`on_change` is called when verdict or policy have changed; `run` must be running for that."""

    def __init__(
        self, policy: Policy, data_dir: Path, platform: Platform, *, on_change: Callable[[], None]
    ) -> None:
        self._written = policy
        self._platform = platform
        self._on_change = on_change
        self._path = data_dir / SAID_FILE
        self._said = self._load()
        self._settled_s = 0.0
        self.battery: Battery | None = None
        self.idle_s: float | None = None
        """None also while no policy asks for it"""
        self.verdict = Verdict()
        self._look()
        self.verdict = judge(self.policy, self._circumstances(), self.verdict)

    @property
    def policy(self) -> Policy:
        return self._said.policy or self._written

    @property
    def said(self) -> Said:
        return self._said

    async def run(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            if self.policy.idle_after is not None:
                self.idle_s = await asyncio.to_thread(self._platform.idle_s)  # it may ask another program
            self.watch(now_s=time.monotonic())

    def watch(self, *, now_s: float) -> None:
        """Look at what the verdict rests on, and judge anew."""
        self._look()
        self._judge(now_s=now_s)

    # --- what the owner says ------------------------------------------------------------------

    def pause(self, until_s: float | None) -> None:
        self._say(msgspec.structs.replace(self._said, paused=True, until_s=until_s))

    def resume(self) -> None:
        self._say(msgspec.structs.replace(self._said, paused=False, until_s=None))

    def set_policy(self, policy: Policy | None) -> None:
        """None: agent.toml's again."""
        self._say(msgspec.structs.replace(self._said, policy=policy))
        self._on_change()

    def _say(self, said: Said) -> None:
        fresh = self._path.with_suffix(".new")
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(msgspec.json.encode(said))
        fresh.replace(self._path)
        self._said = said
        self._judge(now_s=time.monotonic())

    def _load(self) -> Said:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Said)
        except FileNotFoundError:
            return Said()
        except (OSError, ValueError) as error:
            log.error("%s: %s; this device is paused until its owner says otherwise", self._path, error)
            return Said(paused=True)

    # --- what holds ---------------------------------------------------------------------------

    def _look(self) -> None:
        self.battery = self._platform.battery()

    def _judge(self, *, now_s: float) -> None:
        before, found = self.verdict, self._circumstances()
        after = judge(self.policy, found, before)
        if after.passing:
            self._settled_s = now_s + SETTLE_S
        elif before.passing and after.open and now_s < self._settled_s:
            return
        self.verdict = after
        if after.reasons != before.reasons:
            log.info("%s", "; ".join(after.reasons) or "open to the pool")
            self._on_change()

    def _circumstances(self) -> Circumstances:
        return Circumstances(
            now=datetime.now().astimezone(),
            paused=self._said.paused,
            paused_until_s=self._said.until_s,
            battery=self.battery,
            idle_s=self.idle_s,
        )
