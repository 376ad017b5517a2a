"""A copy of a broker's map, without I/O (12/CHP): it follows the first node that says HUGZ, asks it for a snapshot, and then
applies the updates that the snapshot lacks. It begins anew after silence. While no node says HUGZ, it asks one after the other for
a snapshot: to a node whose peer is dead this is the vote to become active.

A change is done when its uuid is published, which is the only acknowledgement. Times are seconds of a
monotonic clock.
"""

from __future__ import annotations

import itertools
import random
import secrets
from typing import Callable, Mapping, NamedTuple, Optional, Protocol, Sequence

from .errors import KeyRefusedError, MajordomoError, MapLimitError, RequestTimeoutError, UnreachableError
from .exchange import KEY_REFUSALS, KEY_REFUSED

# A node that serves says HUGZ every second.
SILENCE = 5.0
FRESH = 2.5
FIRST_VOTE, VOTE = 0.25, 1.0
RECORD_BYTES = 128
# Where no node serves a map.
MAP_TO_CHECK = (
    "does the broker keep a map (its key map.listen), and is that its endpoint, and not that of broker.listen?"
)
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
        self.record: Record = Record(key, NO_NUMBER, b"", properties, value)  # its uuid comes when it is sent
        self.until = until
        self.settled = settled
        self.sends = 0


class Sink(Protocol):
    def ask(self, at: int) -> Optional[str]:
        """Ask end point ``at`` for a snapshot, on a connection in place of the one before; why it cannot."""
    def stop_asking(self) -> None:
        """Close that connection."""
    def write(self, record: Record) -> bool:
        """Send a change to all nodes that take changes; false: there is none."""
        ...
    def synced(self, values: Mapping[bytes, bytes]) -> None:
        """The whole map, in place of what it was."""
    def changed(self, key: bytes, value: Optional[bytes]) -> None: ...
    def lost(self, reason: str) -> None: ...
    def failed(self, error: MajordomoError) -> None:
        """The map has ended, with this error."""


class _Node:
    def __init__(self) -> None:
        self.hugz_at = float("-inf")  # when it last said HUGZ, on this connection
        self.key_refusals = 0  # in a row


class MapCore:
    """A copy of a map. ``state`` is *seeking*: for a node that serves; *asking*: for its snapshot; *following*; *ended*.

    It is told the updates of all nodes, of which it takes those of one.
    """

    def __init__(self, sink: Sink, count: int, max_bytes: int, now: float) -> None:
        self._sink = sink
        self._nodes = [_Node() for _ in range(count)]
        self._max_bytes = max_bytes
        self.state: str = "seeking"
        self._at = -1  # the node that it asks or follows
        self._voter = 0  # the node that it votes for next
        self._vote_at = now + VOTE
        self._heard_at = 0.0
        self._number = NO_NUMBER
        self._bytes = 0
        self._sizes: dict[bytes, int] = {}
        self._snapshot: dict[bytes, bytes] = {}
        self._early: list[Record] = []  # updates that came before the snapshot
        self._own: dict[bytes, OwnChange] = {}
        # What follows a number that grows in the uuids of its changes, so that nodes know their order (RFC 9562, version 8).
        self._writer = b"\x8c\x12\x80" + secrets.token_bytes(7)
        self._numbers = itertools.count(1)

    def tick(self, now: float) -> None:
        if self.state == "seeking" and now >= self._vote_at:
            at, self._voter = self._voter, self._after(self._voter)
            self._vote_at = now + VOTE * (1 + random.random() / 2)
            self._sink.ask(at)
        elif self.state in ("asking", "following") and now >= self._heard_at + SILENCE:
            self._lost("the node is silent", now)
        for change in [each for each in self._own.values() if now >= each.until]:
            self._own.pop(change.record.uuid).settled(_too_late(change))

    def next_at(self) -> float:
        due = min((change.until for change in self._own.values()), default=float("inf"))
        if self.state == "ended":
            return due
        return min(due, self._vote_at if self.state == "seeking" else self._heard_at + SILENCE)

    def down(self, at: int, reason: str, now: float) -> None:
        """The updates of a node have no connection."""
        if self.state == "ended":
            return
        node = self._nodes[at]
        node.hugz_at = float("-inf")
        node.key_refusals += reason == KEY_REFUSED
        if at == self._at:
            self._lost(reason, now)
        if min(each.key_refusals for each in self._nodes) >= KEY_REFUSALS:
            self.end(KeyRefusedError("no node of the map admits the key of this client"))

    def not_asked(self, reason: str, now: float) -> None:
        """The connection of the last ``ask`` did not come about, or is lost."""
        if self.state == "asking":
            self._lost(reason, now)

    def update(self, at: int, frames: Sequence[bytes], now: float) -> None:
        if self.state == "ended" or len(frames) != 5 or len(frames[1]) != 8:
            return
        record = Record(*frames)
        node = self._nodes[at]
        node.key_refusals = 0
        if record.key == HUGZ:
            node.hugz_at = now
            if self.state == "seeking":
                self._begin(at, now)
        if at != self._at:
            return
        if self.state == "following":
            self._heard_at = now
            if record.key != HUGZ:
                self._apply(record)
        elif self.state == "asking" and record.key != HUGZ:
            # The silence goes on: the snapshot itself must come in time.
            self._early.append(record)
            self._count_bytes(record.uuid + record.key, record.key, record.value)

    def _begin(self, at: int, now: float) -> None:
        self.state, self._at, self._heard_at = "asking", at, now
        reason = self._sink.ask(at)
        if reason is not None:
            self._lost(reason, now)

    def _lost(self, reason: str, now: float) -> None:
        """Goes on with a node that said HUGZ lately, or seeks one."""
        if self.state == "following":
            self._sink.lost(reason)
        self._sink.stop_asking()
        self._snapshot, self._early, self._bytes, self._sizes = {}, [], 0, {}
        lost, self._at, self.state = self._at, -1, "seeking"
        self._nodes[lost].hugz_at = float("-inf")
        at = self._voter = self._after(lost)
        self._vote_at = now + FIRST_VOTE * (1 + random.random())
        while at != lost:
            if now < self._nodes[at].hugz_at + FRESH:
                self._begin(at, now)
                return
            at = self._after(at)

    def _after(self, at: int) -> int:
        return (at + 1) % len(self._nodes)

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
        self._sink.stop_asking()
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
        uuid = next(self._numbers).to_bytes(6, "big") + self._writer
        change.record = change.record._replace(uuid=uuid)
        self._own[uuid] = change
        self._write(change)

    def written(self) -> None:
        """A node takes changes now: it gets those that are not safe yet."""
        for change in list(self._own.values()):
            self._write(change)

    def end(self, error: MajordomoError) -> None:
        self._sink.stop_asking()
        self.state, self._at = "ended", -1
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
        return UnreachableError(f"no node of the map could be reached: the change was not sent; {MAP_TO_CHECK}")
    text = "the change was not published in time; it may have been made, or may yet be made"
    return RequestTimeoutError(text, {"sends": change.sends})
