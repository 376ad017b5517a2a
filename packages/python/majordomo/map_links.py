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
from .map_core import HUGZ, PAUSE, MapCore, OwnChange, Record
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
        self._writers = [
            _Writer(ZmqLink(context, self._poller, curve, zmq.XPUB), _above(endpoint, 2), core) for endpoint in endpoints
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
            for writer in self._writers:
                writer.link.close()
            self._wake.close()

    def _turn(self) -> None:
        at = min(self._core.next_at(), *(writer.open_at for writer in self._writers))
        wait = max(0.0, at - time.monotonic())
        ready = dict(self._poller.poll(None if wait == float("inf") else int(wait * 1000) + 1))
        self._wake.clear(ready)
        while self._tasks:
            self._tasks.popleft()()
        for writer in self._writers:
            writer.link.read(ready)
            writer.tick()
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
        takers = [writer for writer in self._writers if writer.takes]
        for writer in takers:
            writer.link.send(record)
        return bool(takers)

    def synced(self, values: Mapping[bytes, bytes]) -> None:
        self._copy.synced(values)

    def changed(self, key: bytes, value: Optional[bytes]) -> None:
        self._copy.changed(key, value)

    def lost(self, reason: str) -> None:
        self._copy.lost(reason)

    def failed(self, error: MajordomoError) -> None:
        self._copy.failed(error)


class _Writer:
    """Takes changes to one node, and connects anew whenever that is lost."""

    def __init__(self, link: ZmqLink, endpoint: str, core: MapCore) -> None:
        self.link = link
        self.takes = False  # it has subscribed: what is sent before that is lost
        self.open_at = 0.0
        self._endpoint = endpoint
        self._core = core
        link.on_up = lambda: None
        link.on_down = self._down
        link.on_message = self._heard

    def tick(self) -> None:
        if time.monotonic() < self.open_at:
            return
        self.open_at = float("inf")
        reason = self.link.open(self._endpoint)
        if reason is not None:
            self._down(reason)

    def _down(self, _: str) -> None:
        self.link.close()
        self.takes = False
        self.open_at = time.monotonic() + PAUSE

    def _heard(self, frames: "list[bytes]") -> None:
        self.takes = frames[0][:1] == b"\x01"
        if self.takes:
            self._core.written()


def _above(endpoint: str, above: int) -> str:
    host, _, port = endpoint.rpartition(":")
    return f"{host}:{int(port) + above}"
