"""The thread and the sockets of a shared map."""

from __future__ import annotations

import collections
import functools
import logging
import time
from typing import Any, Callable, Mapping, Optional, Sequence

import zmq

from .curve import Curve
from .errors import ClosedError, MajordomoError
from .link import Wake, ZmqLink
from .map_copy import Copy
from .map_core import HUGZ, MapCore, OwnChange, Record
from .threads import Thread, here, is_here, need_threads, say

log: logging.Logger = logging.getLogger("majordomo.map")

# Before a lost connection is made anew.
PAUSE = 0.2


class MapLinks:
    def __init__(self, endpoints: Sequence[str], subtree: bytes, max_bytes: int, curve: Optional[Curve],
                 copy: Copy) -> None:
        need_threads("a map")
        self._endpoints = endpoints
        self._subtree = subtree
        self._max_bytes = max_bytes
        self._curve = curve
        self._copy = copy
        self._closed = False
        self._pid = 0
        here(self)

    def _begin_here(self) -> None:
        self._copy.begin_here()
        self._tasks: collections.deque[Callable[[], None]] = collections.deque()
        self._poller = zmq.Poller()
        self._wake = Wake(self._poller)
        context: zmq.Context[Any] = zmq.Context.instance()
        self._core = core = MapCore(self, len(self._endpoints), self._max_bytes, time.monotonic())
        self._snapshots = ZmqLink(context, self._poller, self._curve)
        self._snapshots.on_up = lambda: self._snapshots.send([b"ICANHAZ?", self._subtree])
        self._snapshots.on_down = self._not_asked
        self._snapshots.on_message = lambda frames: core.snapshot(frames, time.monotonic())
        self._takers: dict[int, ZmqLink] = {}  # of changes: what is sent before they subscribe is lost
        self._lasting = []
        topics = [self._subtree, HUGZ] if self._subtree else [b""]
        for at, endpoint in enumerate(self._endpoints):
            updates = ZmqLink(context, self._poller, self._curve, zmq.SUB, topics)
            updates.on_message = functools.partial(self._updated, at)
            writer = ZmqLink(context, self._poller, self._curve, zmq.XPUB)
            writer.on_message = functools.partial(self._subscribed, at, writer)
            self._lasting += [
                _Lasting(updates, _above(endpoint, 1), functools.partial(self._down, at)),
                _Lasting(writer, _above(endpoint, 2), functools.partial(self._unwritable, at)),
            ]
        self._thread = Thread(self._run, "majordomo-map")

    def change(self, change: OwnChange) -> None:
        """Raises why the map has ended."""
        here(self)
        with self._copy.lock:
            if self._closed or self._copy.error is not None:
                raise self._copy.error or ClosedError("the map was closed")
            self._tasks.append(lambda: self._core.change(change))
        self._wake.set()

    def close(self) -> None:
        if not is_here(self):
            self._closed = True
            return
        with self._copy.lock:
            self._closed = True
        self._wake.set()
        self._thread.join()

    def end_if_left_open(self) -> bool:
        """Ends it if nobody has closed it, who could do so no longer, without waiting. Returns whether it did so."""
        if self._closed or not is_here(self):
            return False
        self._closed = True
        self._wake.set()
        return True

    def _run(self) -> None:
        error = ClosedError("the map was closed")
        try:
            while not self._closed and self._copy.error is None:
                self._turn()
        except BaseException as raised:
            say(log, logging.ERROR, "the map's thread ended", exc_info=raised)
            error = ClosedError(f"the map's thread ended: {raised}")
        finally:
            self._copy.failed(error)
            while self._tasks:
                self._tasks.popleft()()
            self._core.end(error)
            for each in self._lasting:
                each.link.close()
            self._wake.close()

    def _turn(self) -> None:
        at = min(self._core.next_at(), *(each.open_at for each in self._lasting))
        wait = max(0.0, at - time.monotonic())
        ready = dict(self._poller.poll(None if wait == float("inf") else int(wait * 1000) + 1))
        self._wake.clear(ready)
        while self._tasks:
            self._tasks.popleft()()
        for each in self._lasting:
            each.link.read(ready)
            each.tick()
        self._snapshots.read(ready)
        self._core.tick(time.monotonic())

    def _updated(self, at: int, frames: "list[bytes]") -> None:
        self._core.update(at, frames, time.monotonic())

    def _down(self, at: int, reason: str) -> None:
        self._core.down(at, reason, time.monotonic())

    def _subscribed(self, at: int, writer: ZmqLink, frames: "list[bytes]") -> None:
        if frames[0][:1] == b"\x01":
            self._takers[at] = writer
            self._core.written()
        else:
            self._unwritable(at, "")

    def _unwritable(self, at: int, _: str) -> None:
        self._takers.pop(at, None)

    def _not_asked(self, reason: str) -> None:
        self._snapshots.close()
        self._core.not_asked(reason, time.monotonic())

    # What the core asks for.

    def ask(self, at: int) -> Optional[str]:
        self._snapshots.close()
        return self._snapshots.open(self._endpoints[at])

    def stop_asking(self) -> None:
        self._snapshots.close()

    def write(self, record: Record) -> bool:
        for writer in self._takers.values():
            writer.send(record)
        return bool(self._takers)

    def synced(self, values: Mapping[bytes, bytes]) -> None:
        self._copy.synced(values)

    def changed(self, key: bytes, value: Optional[bytes]) -> None:
        self._copy.changed(key, value)

    def lost(self, reason: str) -> None:
        self._copy.lost(reason)

    def failed(self, error: MajordomoError) -> None:
        self._copy.failed(error)


class _Lasting:
    """A connection to one node, which is made anew whenever it is lost."""

    def __init__(self, link: ZmqLink, endpoint: str, lost: Callable[[str], object]) -> None:
        self.link = link
        self.open_at = 0.0
        self._endpoint = endpoint
        self._lost = lost
        link.on_up = lambda: None
        link.on_down = self._down

    def tick(self) -> None:
        if time.monotonic() < self.open_at:
            return
        self.open_at = float("inf")
        reason = self.link.open(self._endpoint)
        if reason is not None:
            self._down(reason)

    def _down(self, reason: str) -> None:
        self.link.close()
        self.open_at = time.monotonic() + PAUSE
        self._lost(reason)


def _above(endpoint: str, above: int) -> str:
    host, _, port = endpoint.rpartition(":")
    return f"{host}:{int(port) + above}"
