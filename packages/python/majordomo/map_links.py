"""The thread and the sockets of a shared map."""

from __future__ import annotations

import collections
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

log = logging.getLogger("majordomo.map")


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
        endpoints, subtree, curve = self._endpoints, self._subtree, self._curve
        self._copy.begin_here()
        self._tasks: collections.deque[Callable[[], None]] = collections.deque()
        self._poller = zmq.Poller()
        self._wake = Wake(self._poller)
        context: zmq.Context[Any] = zmq.Context.instance()
        self._core = core = MapCore(self, len(endpoints), self._max_bytes)
        self._updates = ZmqLink(context, self._poller, curve, zmq.SUB, [subtree, HUGZ] if subtree else [b""])
        self._updates.on_up = lambda: None
        self._updates.on_down = lambda reason: core.down(reason, time.monotonic())
        self._updates.on_message = lambda frames: core.update(frames, time.monotonic())
        self._snapshots = ZmqLink(context, self._poller, curve)
        self._snapshots.on_up = lambda: self._snapshots.send([b"ICANHAZ?", subtree])
        self._snapshots.on_down = lambda reason: core.down(reason, time.monotonic())
        self._snapshots.on_message = lambda frames: core.snapshot(frames, time.monotonic())
        # It hears which nodes subscribe: what is sent before that is lost.
        self._writer = writer = context.socket(zmq.XPUB)
        writer.setsockopt(zmq.LINGER, 0)
        writer.setsockopt(zmq.SNDHWM, 0)
        writer.setsockopt(zmq.IPV6, 1)
        writer.setsockopt(zmq.XPUB_VERBOSER, 1)
        if curve is not None:
            curve.apply(writer)
        for endpoint in endpoints:
            writer.connect(_above(endpoint, 2))
        self._poller.register(writer, zmq.POLLIN)
        self._takers = 0
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
            self._writer.close(0)
            self._wake.close()

    def _turn(self) -> None:
        wait = max(0.0, self._core.next_at() - time.monotonic())
        ready = dict(self._poller.poll(None if wait == float("inf") else int(wait * 1000) + 1))
        self._wake.clear(ready)
        while self._tasks:
            self._tasks.popleft()()
        while self._writer.poll(0):
            subscribes = self._writer.recv()[:1] == b"\x01"
            self._takers = max(0, self._takers + (1 if subscribes else -1))
            if subscribes:
                self._core.written()
        self._updates.read(ready)
        self._snapshots.read(ready)
        self._core.tick(time.monotonic())

    # What the core asks for.

    def subscribe(self, at: int) -> Optional[str]:
        return self._updates.open(_above(self._endpoints[at], 1))

    def ask(self, at: int) -> Optional[str]:
        return self._snapshots.open(self._endpoints[at])

    def leave(self) -> None:
        self._updates.close()
        self._snapshots.close()

    def write(self, record: Record) -> bool:
        if self._takers > 0:
            self._writer.send_multipart(record)
        return self._takers > 0

    def synced(self, values: Mapping[bytes, bytes]) -> None:
        self._copy.synced(values)

    def changed(self, key: bytes, value: Optional[bytes]) -> None:
        self._copy.changed(key, value)

    def lost(self, reason: str) -> None:
        self._copy.lost(reason)

    def failed(self, error: MajordomoError) -> None:
        self._copy.failed(error)


def _above(endpoint: str, above: int) -> str:
    host, _, port = endpoint.rpartition(":")
    return f"{host}:{int(port) + above}"
