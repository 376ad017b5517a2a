"""What a shared map holds: values, and the changes that readers have not taken. For any number of threads."""

from __future__ import annotations

import collections
import logging
import threading
from typing import Mapping, NamedTuple, Optional

from .errors import ClosedError, MajordomoError
from .threads import say

log: logging.Logger = logging.getLogger("majordomo.map")


class Change(NamedTuple):
    """A change of the map; ``value`` is None if the key is gone."""

    key: str
    value: Optional[bytes]


class Reader:
    """The changes that one reader has not taken: of each key what the reader knows, and what there is."""

    def __init__(self) -> None:
        self.waiting: collections.OrderedDict[bytes, tuple[Optional[bytes], Optional[bytes]]]
        self.waiting = collections.OrderedDict()

    def changed(self, key: bytes, before: Optional[bytes], after: Optional[bytes]) -> None:
        known, _ = self.waiting.pop(key, (before, None))
        if known != after:
            self.waiting[key] = (known, after)


class Copy:
    """``lock`` guards everything here and is notified of every change."""

    def __init__(self) -> None:
        self.begin_here()
        self.values: dict[bytes, bytes] = {}
        self.error: Optional[MajordomoError] = None
        self.readers: list[Reader] = []

    def begin_here(self) -> None:
        """Begins in a forked process, where the map stays as it was: a thread of the parent may keep the lock."""
        self.lock: threading.Condition = threading.Condition()
        self.is_synced: bool = False

    def synced(self, values: Mapping[bytes, bytes]) -> None:
        """The whole map, in place of what it was."""
        with self.lock:
            before, self.values = self.values, dict(values)
            for key in {*before, *values}:
                self._tell(key, before.get(key), values.get(key))
            self.is_synced = True
            self.lock.notify_all()

    def changed(self, key: bytes, value: Optional[bytes]) -> None:
        with self.lock:
            before = self.values.get(key)
            if value is None:
                self.values.pop(key, None)
            else:
                self.values[key] = value
            self._tell(key, before, value)
            self.lock.notify_all()

    def lost(self, reason: str) -> None:
        say(log, logging.WARNING, "the map is not followed: %s", reason)
        with self.lock:
            self.is_synced = False

    def failed(self, error: MajordomoError) -> None:
        with self.lock:
            self.is_synced = False
            self.error = self.error or error
            self.lock.notify_all()

    def next(self, reader: Reader) -> Optional[Change]:
        """Waits for the next change; None: the map was closed. Raises why it has ended otherwise."""
        with self.lock:
            self.lock.wait_for(lambda: reader.waiting or self.error is not None)
            if reader.waiting:
                key, (_, after) = reader.waiting.popitem(last=False)
                return Change(text_of(key), after)
            if self.error is None or isinstance(self.error, ClosedError):
                return None
            raise self.error

    def _tell(self, key: bytes, before: Optional[bytes], after: Optional[bytes]) -> None:
        for reader in self.readers:
            reader.changed(key, before, after)


def text_of(key: bytes) -> str:
    return key.decode("utf-8", "backslashreplace")
