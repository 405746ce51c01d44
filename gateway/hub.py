"""Who hears what: broadcasts in rounds, lists for newcomers, messages to one at once.

A round gathers frames and writes them to every connection at once, with one write each. The first
frame after a quiet spell goes at once; then rounds keep a distance that follows what the last one
cost, so that writing takes at most a small part of the time, and each write carries more.
"""

from __future__ import annotations

import asyncio
import contextlib
from time import perf_counter
from typing import Any

from gateway.leaflet import Leaflet
from gateway.metrics import Counters
from gateway.peer import ADDRESSED_LIMIT, BURST_FACTOR, Peer
from gateway.voices import Voice
from rpn.replica import Mirrored, Replica

PAUSE_MIN_S, PAUSE_PER_COST = 0.002, 5
"""the least pause after a round, and the pause by what the round cost: rounds take a sixth of the time"""
CYCLE_MAX_S = 0.1
"""from one round to the next, though they take more than a sixth of it; never more than half"""
LIST_EVERY_S = 1.0
"""how often everybody may get a fresh `devices` list"""
LIST_LIMIT = 200
"""devices above which joins and leaves are told one by one only"""


def pause_after(cost_s: float) -> float:
    """How long to gather after a round that took `cost_s`."""
    return max(PAUSE_MIN_S, cost_s, min(PAUSE_PER_COST * cost_s, CYCLE_MAX_S - cost_s))


class Hub:
    """All connections of this gateway, and the round that is being gathered."""

    def __init__(self, replica: Replica, counters: Counters) -> None:
        self._replica = replica
        self._counters = counters
        self._loop = asyncio.get_running_loop()
        self.connected: set[Peer] = set()
        """everybody with an open socket"""
        self.empty = asyncio.Event()
        """nobody is connected any more; only while we drain does anybody wait for it"""
        self.peers: dict[str, Peer] = {}
        """by device: the connection that speaks for it here, or is about to"""
        self.sessions: dict[str, Peer] = {}
        """by session: every connection that registered and still stands"""
        self.observers: set[Peer] = set()
        self._audience: dict[Peer, None] = {}
        self._curious: dict[Peer, None] = {}
        """those of the audience that accept `events`"""
        self._plain = Voice()
        self._others: dict[type[Voice], Voice] = {}
        """those beside it; each only while somebody listens"""
        self._voices: list[Voice] = [self._plain]
        """those that somebody hears: what is said is said by each of them, at the same place of the round"""
        self._told: dict[str, bool] = {}
        """devices the round tells of -> they joined in it"""
        self._spared: dict[Peer, set[int]] = {}
        """frames of the round that one does not hear: that its own device joined or left"""
        self._newcomers: list[Peer] = []
        self._addressees: dict[Peer, None] = {}
        """those for whom messages wait until the round is written"""
        self._prompt: dict[Peer, None] = {}
        """those whose messages go as soon as whatever brought them is done"""
        self._timer: asyncio.Handle | None = None
        self._gathering_s = 0.0
        """since when this round has been gathered"""
        self._quiet_from_s = 0.0
        self._list_version = 0
        self._list_from_s = 0.0
        self._list_timer: asyncio.TimerHandle | None = None

    # --- what the pool says -------------------------------------------------------------------

    def device_joined(self, device: Mirrored) -> None:
        self._spare(device.id)
        for voice in self._voices:
            voice.round.append(voice.joined(device))
        self._told[device.id] = True
        self._schedule()
        self.list_changed()

    def device_left(self, device_id: str) -> None:
        self._spare(device_id)
        for voice in self._voices:
            voice.round.append(voice.left(device_id))
        self._told.setdefault(device_id, False)
        self._schedule()
        self.list_changed()

    def resource_update(self, device_id: str, frame: bytes) -> None:
        for voice in self._voices:
            voice.round.append(voice.updated(device_id, frame))
        self._told.setdefault(device_id, False)
        self._schedule()

    def tell_news(self, messages: list[bytes]) -> None:
        """Events of the pool, for those who accept them and keep up."""
        for peer in self._curious:
            if not peer.lagging:
                peer.addressed += messages
                self._addressees[peer] = None
        self._schedule()

    def list_changed(self) -> None:
        """Give everybody a fresh list soon, but not too often."""
        self._list_version += 1
        if self._list_timer is None and self._lists:
            wait_s = max(0.0, self._list_from_s - self._loop.time())
            self._list_timer = self._loop.call_later(wait_s, self._refresh_lists)

    @property
    def _lists(self) -> bool:
        """The pool is small enough for fresh lists to everybody."""
        return len(self._replica.devices) <= LIST_LIMIT

    # --- who hears it -------------------------------------------------------------------------

    def welcome(self, peer: Peer) -> None:
        """Its list as of now, and from now on everything."""
        peer.joined, peer.older = True, None
        if not peer.hears:
            device = self._replica.devices[peer.device_id]
            peer.welcome = self._plain.devices([device]), 0
        else:
            self._audience[peer] = None
            peer.welcome = self._voice(peer).listed(self._replica), self._place
            peer.list_version = self._list_version
        if peer.hears and "events" in peer.session.accepts:
            self._curious[peer] = None
        else:
            self._curious.pop(peer, None)
        self._newcomers.append(peer)
        self._schedule()

    def deliver(self, peer: Peer, message: bytes) -> None:
        """A message for this client alone: after all that it was told so far, at once if that is nothing."""
        peer.addressed.append(message)
        if self._awaits_round(peer):
            self._addressees[peer] = None
            self._schedule()
        else:
            if not self._prompt:
                self._loop.call_soon(self._write_prompt)
            self._prompt[peer] = None

    def _awaits_round(self, peer: Peer) -> bool:
        """The round that is being gathered has something for it."""
        if peer in self._addressees or peer.welcome is not None:
            return True
        return self._place > 0 and peer in self._audience

    def _write_prompt(self) -> None:
        prompt, self._prompt = self._prompt, {}
        now_s = self._loop.time()
        for peer in prompt:
            if peer not in self._addressees:  # else something came before its latest message
                self._counters.sent(peer.write_addressed(now_s), 0)

    def connect(self, peer: Peer) -> None:
        self.connected.add(peer)
        self.empty.clear()

    def disconnect(self, peer: Peer) -> None:
        self.connected.discard(peer)
        if not self.connected:
            self.empty.set()

    def enter(self, peer: Peer) -> None:
        """It registered: it will speak for its device here, if its join is applied."""
        older = self.peers.get(peer.device_id)
        peer.older = older if older is None or older.joined else older.older
        self.peers[peer.device_id] = self.sessions[peer.session_id] = peer

    def speaks(self, peer: Peer) -> bool:
        """No newer connection speaks for its device here."""
        return self.peers.get(peer.device_id) is peer

    def drop(self, peer: Peer) -> None:
        """It is gone, or speaks for its device no longer."""
        self._audience.pop(peer, None)
        if peer.voice is not Voice:
            self._fall_silent()
        self._curious.pop(peer, None)
        self._addressees.pop(peer, None)
        self._prompt.pop(peer, None)
        self.observers.discard(peer)
        self.sessions.pop(peer.session_id, None)
        if self.speaks(peer):
            del self.peers[peer.device_id]
            if peer.older is not None and not peer.joined and peer.older.session_id in self.sessions:
                self.peers[peer.device_id] = peer.older
        peer.older = None

    def catch_up(self, peer: Peer) -> None:
        """It takes data again: tell it the latest of what it missed."""
        if not peer.lagging:
            return
        peer.lagging = False
        missed, peer.missed = peer.missed, {}
        if peer.welcome is not None or peer not in self._audience:
            return  # the list that waits for it tells all that it missed
        data = self._missed_by(peer, missed)
        if peer.list_version != self._list_version and self._lists:
            peer.list_version = self._list_version
            data += self._voice(peer).listed(self._replica)
        # All that is true now; what the round has gathered so far is older than that.
        peer.welcome = data, self._place
        self._counters.skipped += self._place
        self._newcomers.append(peer)
        self._schedule()

    def _missed_by(self, peer: Peer, missed: dict[str, bool]) -> bytes:
        """How things stand with the devices a client heard nothing of (by id: whether they joined)."""
        voice, items = self._voice(peer), []
        for device_id, joined in missed.items():
            device = self._replica.devices.get(device_id)
            if device is None:
                items.append(voice.left(device_id))
            elif joined and device_id != peer.device_id:
                items.append(voice.joined(device))
            elif device.frame:
                items.append(voice.latest(device))
        return voice.frames(items)

    # --- in which voice -----------------------------------------------------------------------

    def _voice(self, peer: Peer) -> Voice:
        """The one in which it hears."""
        if peer.voice is Voice:
            return self._plain
        voice = self._others.get(peer.voice)
        if voice is None:
            voice = self._others[peer.voice] = peer.voice()
            voice.round = [None] * self._place  # of what was said before, nobody will hear it
            self._voices.append(voice)
        return voice

    def _fall_silent(self) -> None:
        """Speak in a voice beside the plain one only while somebody listens."""
        if self._others:
            heard = {peer.voice for peer in self._audience}
            for kind in [kind for kind in self._others if kind not in heard]:
                self._voices.remove(self._others.pop(kind))

    @property
    def _place(self) -> int:
        """Of what is said next, in the round."""
        return len(self._plain.round)

    # --- rounds -------------------------------------------------------------------------------

    def _spare(self, device_id: str) -> None:
        """The next frame is not for this device: the store forgot it, and it is joining again."""
        peer = self.peers.get(device_id)
        if peer in self._audience:
            self._spared.setdefault(peer, set()).add(self._place)

    def _schedule(self) -> None:
        if self._timer is None:
            self._gathering_s = perf_counter()
            wait_s = self._quiet_from_s - self._loop.time()
            if wait_s <= 0:
                self._timer = self._loop.call_soon(self._round)
            else:
                self._timer = self._loop.call_later(wait_s, self._round)

    def _round(self) -> None:
        started_s, now_s = perf_counter(), self._loop.time()
        if self._timer is not None:
            self._timer.cancel()  # when a fresh list could not wait for it
            self._timer = None
        rounds = {}
        for voice in self._voices:
            rounds[voice], voice.round = voice.round, []
        told, self._told = self._told, {}
        spared, self._spared = self._spared, {}
        newcomers, self._newcomers = self._newcomers, []
        self._broadcast(rounds, told, spared, now_s)
        for peer in newcomers:
            if peer.welcome is not None:
                data, place = peer.welcome
                peer.welcome, since = None, []
                if peer in self._audience:
                    voice = self._voice(peer)
                    since = rounds[voice][place:]
                    data += voice.frames(since)
                peer.write(data, now_s)
                self._counters.sent(1 + len(since), len(data))
        addressees, self._addressees = self._addressees, {}
        for peer in addressees:
            self._counters.sent(peer.write_addressed(now_s), 0)
        cost_s = perf_counter() - started_s
        self._counters.round(cost_s, gathered_s=started_s - self._gathering_s)
        self._quiet_from_s = now_s + cost_s + pause_after(cost_s)

    def _broadcast(
        self,
        rounds: dict[Voice, list[Any]],
        told: dict[str, bool],
        spared: dict[Peer, set[int]],
        now_s: float,
    ) -> None:
        """Write what was said to everybody who is not new in this round."""
        count = len(rounds[self._plain])
        if not count:
            return
        with contextlib.ExitStack() as held:
            leaflets = {
                type(voice): held.enter_context(Leaflet(voice.frames(items), len(self._audience)))
                for voice, items in rounds.items()
            }
            heard = size = 0
            for peer in self._audience:
                if peer.welcome is not None:
                    continue
                if peer.lagging:
                    self._miss(peer, told, count)
                    continue
                leaflet = leaflets[peer.voice]
                if peer in spared:
                    peer.write(self._without(peer, rounds, spared[peer]), now_s)
                else:
                    peer.hand(leaflet, now_s)
                heard += 1
                size += len(leaflet.frames)
        self._counters.sent(count * heard, size)

    def _miss(self, peer: Peer, told: dict[str, bool], count: int) -> None:
        """It lags: note of whom the round told, to make that good."""
        for device_id, joined in told.items():
            peer.missed[device_id] = joined or peer.missed.get(device_id, False)
        self._counters.skipped += count

    def _without(self, peer: Peer, rounds: dict[Voice, list[Any]], own: set[int]) -> bytes:
        """The round without what is said of this peer's own device."""
        voice = self._voice(peer)
        return voice.frames([item for place, item in enumerate(rounds[voice]) if place not in own])

    def _refresh_lists(self) -> None:
        """A fresh list to everybody whose last one is older than the last join or leave."""
        self._list_timer = None
        if self._place or self._newcomers:
            self._round()
        now_s = self._loop.time()
        self._list_from_s = now_s + LIST_EVERY_S
        for peer in self._audience:
            if peer.list_version != self._list_version and not peer.lagging:
                peer.list_version = self._list_version
                listed = self._voice(peer).listed(self._replica)
                peer.write(listed, now_s)
                self._counters.sent(1, len(listed))

    # --- once a second ------------------------------------------------------------------------

    def stuck(self, limit_s: float) -> list[Peer]:
        """Clients that have taken nothing of what waits for them for too long."""
        now_s = self._loop.time()
        return [
            peer
            for peer in self.connected
            if peer.stuck(now_s, limit_s) or peer.wire.buffered > self._most(peer)
        ]

    def _most(self, peer: Peer) -> int:
        """What may wait: a burst of frames, addressed messages, and one list."""
        return BURST_FACTOR * peer.outbox_limit + ADDRESSED_LIMIT + self._voice(peer).listed_size
