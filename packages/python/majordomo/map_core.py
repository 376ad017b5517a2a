"""A copy of a broker's map, without I/O (12/CHP): it subscribes, waits for HUGZ, asks for a snapshot, and then
applies the updates that the snapshot lacks. It begins anew after silence, at the next end point.

A change is done when its uuid is published, which is the only acknowledgement. Times are seconds of a
monotonic clock.
"""

from __future__ import annotations

import secrets
from typing import Callable, Mapping, NamedTuple, Optional, Protocol, Sequence

from .errors import KeyRefusedError, MajordomoError, MapLimitError, RequestTimeoutError, UnreachableError
from .exchange import KEY_REFUSALS, KEY_REFUSED

# The broker says HUGZ every second.
SILENCE = 5.0
PAUSE = 0.2
RECORD_BYTES = 128
HUGZ, KTHXBAI = b"HUGZ", b"KTHXBAI"
NO_NUMBER = bytes(8)


class Record(NamedTuple):
    key: bytes
    number: bytes  # 8 bytes, network order: compares as a number
    uuid: bytes
    properties: bytes
    value: bytes  # empty: the key is deleted


class OwnChange:
    """A change of this program; ``settled`` is called once, with None when it is safe."""

    def __init__(self, key: bytes, properties: bytes, value: bytes, until: float,
                 settled: Callable[[Optional[MajordomoError]], None]) -> None:
        self.record = Record(key, NO_NUMBER, secrets.token_bytes(16), properties, value)
        self.until = until
        self.settled = settled
        self.sends = 0


class Sink(Protocol):
    def subscribe(self, at: int) -> Optional[str]:
        """Connect to the updates of end point ``at``; why it cannot."""
    def ask(self, at: int) -> Optional[str]:
        """Connect to its snapshots, and ask when that is up; why it cannot."""
    def leave(self) -> None:
        """Close updates and snapshots."""
    def write(self, record: Record) -> bool:
        """Send a change to all nodes that take changes; false: there is none."""
    def synced(self, values: Mapping[bytes, bytes]) -> None:
        """The whole map, in place of what it was."""
    def changed(self, key: bytes, value: Optional[bytes]) -> None: ...
    def lost(self, reason: str) -> None: ...
    def failed(self, error: MajordomoError) -> None:
        """The map has ended, with this error."""


class MapCore:
    """A copy of a map. ``state`` is *away*: in a pause; *subscribing*: until HUGZ; *asking*: for the snapshot; *following*; *ended*."""

    def __init__(self, sink: Sink, count: int, max_bytes: int) -> None:
        self._sink = sink
        self._count = count
        self._max_bytes = max_bytes
        self.state = "away"
        self._at = -1
        self._until = 0.0
        self._heard_at = 0.0
        self._number = NO_NUMBER
        self._key_refusals = [0] * count  # in a row
        self._bytes = 0
        self._sizes: dict[bytes, int] = {}
        self._snapshot: dict[bytes, bytes] = {}
        self._early: list[Record] = []  # updates that came before the snapshot
        self._own: dict[bytes, OwnChange] = {}

    def tick(self, now: float) -> None:
        if self.state == "away" and now >= self._until:
            self._at = (self._at + 1) % self._count
            self.state = "subscribing"
            self._heard_at = now
            reason = self._sink.subscribe(self._at)
            if reason is not None:
                self.down(reason, now)
        elif self.state not in ("away", "ended") and now >= self._heard_at + SILENCE:
            self.down("the node is silent", now)
        for change in [each for each in self._own.values() if now >= each.until]:
            self._own.pop(change.record.uuid).settled(_too_late(change))

    def next_at(self) -> float:
        due = min((change.until for change in self._own.values()), default=float("inf"))
        if self.state == "ended":
            return due
        return min(due, self._until if self.state == "away" else self._heard_at + SILENCE)

    def down(self, reason: str, now: float) -> None:
        if self.state in ("away", "ended"):
            return
        if self.state == "following":
            self._sink.lost(reason)
        self._sink.leave()
        self.state = "away"
        self._snapshot, self._early, self._bytes, self._sizes = {}, [], 0, {}
        self._until = now + PAUSE
        self._key_refusals[self._at] += reason == KEY_REFUSED
        if min(self._key_refusals) >= KEY_REFUSALS:
            self.end(KeyRefusedError("no node of the map admits the key of this client"))

    def update(self, frames: Sequence[bytes], now: float) -> None:
        if len(frames) != 5 or len(frames[1]) != 8:
            return
        record = Record(*frames)
        if self.state == "asking" and record.key == HUGZ:
            return  # the snapshot itself must come in time
        self._heard_at = now
        self._key_refusals[self._at] = 0
        if record.key == HUGZ:
            if self.state == "subscribing":
                self.state = "asking"
                reason = self._sink.ask(self._at)
                if reason is not None:
                    self.down(reason, now)
        elif self.state == "asking":
            self._early.append(record)
            self._count_bytes(record.uuid + record.key, record.key, record.value)
        elif self.state == "following":
            self._apply(record)

    def snapshot(self, frames: Sequence[bytes], now: float) -> None:
        if self.state != "asking" or len(frames) != 5:
            return
        self._heard_at = now
        record = Record(*frames)
        if record.key != KTHXBAI:
            self._snapshot[record.key] = record.value
            self._count_bytes(record.key, record.key, record.value)
            return
        self.state = "following"
        self._number = record.number
        values, early, self._snapshot, self._early = self._snapshot, self._early, {}, []
        self._sizes, self._bytes = {}, 0
        for key, value in values.items():
            self._count_bytes(key, key, value)
        if self.state != "following":
            return  # it is too large
        self._sink.synced(values)
        for each in early:
            self._apply(each)
        # The node that serves now may not have got them.
        self.written()

    def change(self, change: OwnChange) -> None:
        self._own[change.record.uuid] = change
        self._write(change)

    def written(self) -> None:
        """A node takes changes now: it gets those that are not safe yet."""
        for change in list(self._own.values()):
            self._write(change)

    def end(self, error: MajordomoError) -> None:
        self._sink.leave()
        self.state = "ended"
        for change in list(self._own.values()):
            change.settled(error)
        self._own.clear()
        self._sink.failed(error)

    def _write(self, change: OwnChange) -> None:
        change.sends += self._sink.write(change.record)

    def _apply(self, record: Record) -> None:
        if self.state != "following":
            return
        if record.number > self._number:
            self._number = record.number
            if record.value:
                self._count_bytes(record.key, record.key, record.value)
            else:
                self._bytes -= self._sizes.pop(record.key, 0)
            if self.state == "following":  # else it became too large
                self._sink.changed(record.key, record.value or None)
        change = self._own.pop(record.uuid, None)
        if change is not None:
            change.settled(None)

    def _count_bytes(self, name: bytes, key: bytes, value: bytes) -> None:
        size = RECORD_BYTES + len(key) + len(value)
        self._bytes += size - self._sizes.get(name, 0)
        self._sizes[name] = size
        if self._bytes > self._max_bytes:
            self.end(MapLimitError(f"the map has more than {self._max_bytes} bytes"))


def _too_late(change: OwnChange) -> MajordomoError:
    if change.sends == 0:
        return UnreachableError("no node of the map could be reached: the change was not sent")
    text = "the change was not published in time; it may have been made, or may yet be made"
    return RequestTimeoutError(text, {"sends": change.sends})
