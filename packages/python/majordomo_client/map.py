"""A copy of a broker's map that follows it, for threads."""

from __future__ import annotations

import concurrent.futures
import re
import time
import warnings
from typing import Any, Callable, Iterator, Optional, Sequence, Union

from .curve import Curve, checked_curve
from .errors import BodyError, EndpointError, MajordomoError, RequestTimeoutError
from .map_copy import Change, Copy, Reader, text_of
from .map_core import MAP_TO_CHECK, OwnChange
from .map_links import MapLinks
from .options import (
    DAY_MS, Read, body_of, checked_text, endpoints_of, integer, names_options, read_options, shown, utf8, whole, wrong,
)
from .threads import THREAD_PATIENCE, here, is_here

Key = Union[str, bytes]


def _subtree(option: str, given: Any) -> bytes:
    if given != "" and not re.fullmatch("/(.*/)?", checked_text(option, given, 255), re.DOTALL):
        raise wrong(option, "must begin and end with '/'")
    return utf8(option, given)


MAP_OPTIONS: "dict[str, Read]" = {
    "subtree": _subtree,
    "timeout_ms": whole(1, DAY_MS),
    "max_bytes": whole(1, 2**32),
    "curve": checked_curve,
}


@names_options
class SharedMap:
    """The map of a broker with ``map.listen``, held in memory and kept as it is there.

        with SharedMap('tcp://a:5570,tcp://b:5570', subtree='/config/') as map:
            map.synced()
            print(map.get('/config/limit'))
            for change in map.changes():
                print(change.key, change.value)

    ``endpoints``: that of ``map.listen``; of a pair those of both nodes. ``subtree``: the beginning of the
    keys to hold and to change, which begins and ends with ``/``; empty: all. ``timeout_ms``: how long ``set``
    and ``delete`` wait, in milliseconds. ``max_bytes``: the largest map, with 128 bytes for each key.

    Raises OptionError, EndpointError.
    """

    def __init__(
        self,
        endpoints: Union[str, Sequence[str]],
        *,
        subtree: str = "",
        timeout_ms: int = 10_000,
        max_bytes: int = 268_435_456,
        curve: Optional[Curve] = None,
    ) -> None:
        if endpoints is None:
            raise wrong("endpoints", "must be given, for example tcp://127.0.0.1:5570")
        options = read_options(MAP_OPTIONS, locals())
        self._subtree: bytes = options.subtree
        self._timeout_ms: int = options.timeout_ms
        listed = endpoints_of(endpoints)
        if not all(each.startswith("tcp://") and int(each.rpartition(":")[2]) <= 65_533 for each in listed):
            raise EndpointError("a map needs tcp://HOST:PORT, of which the next two ports are used, too")
        self._held = Copy()
        self._links = MapLinks(listed, self._subtree, options.max_bytes, options.curve, self._held)

    def __del__(self, warn: Callable[..., None] = warnings.warn) -> None:
        links: Optional[MapLinks] = getattr(self, "_links", None)  # None: its options were wrong
        if links is not None and links.end_if_left_open():
            warn("a map was never closed", ResourceWarning, source=self)

    @property
    def _copy(self) -> Copy:
        here(self._links)
        return self._held

    def get(self, key: Key) -> Optional[bytes]:
        """The value of a key now; None if there is none."""
        with self._copy.lock:
            return self._copy.values.get(_bytes(key))

    def has(self, key: Key) -> bool:
        return self.get(key) is not None

    def entries(self) -> "dict[str, bytes]":
        """A copy of the map as it is now."""
        with self._copy.lock:
            return {text_of(key): value for key, value in self._copy.values.items()}

    def keys(self) -> "list[str]":
        return list(self.entries())

    def __len__(self) -> int:
        return len(self._copy.values)

    @property
    def is_synced(self) -> bool:
        """Whether it follows a node now. While no node serves, the map stays as it was."""
        return self._copy.is_synced

    def synced(self, timeout_ms: int = 10_000) -> "SharedMap":
        """Waits until the map follows a node that serves.

        Raises RequestTimeoutError after ``timeout_ms`` milliseconds, KeyRefusedError, MapLimitError, ClosedError.
        """
        copy = self._copy
        with copy.lock:
            timeout = integer("timeout_ms", timeout_ms, 0, DAY_MS) / 1000
            met = self._copy.lock.wait_for(lambda: copy.is_synced or copy.error is not None, timeout)
            if self._copy.error is not None:
                raise self._copy.error
            if not met:
                raise RequestTimeoutError(f"no node of the map serves; {MAP_TO_CHECK}")
        return self

    def changes(self) -> Iterator[Change]:
        """Every change from the call on. Of several changes of one key a slow reader gets the last.

        It ends when the map is closed. Raises KeyRefusedError, MapLimitError.
        """
        reader = Reader()
        with self._copy.lock:
            self._copy.readers.append(reader)
        return self._read(reader)

    def set(self, key: Key, value: Union[str, bytes], *, ttl_ms: Optional[int] = None,
            timeout_ms: Optional[int] = None) -> None:
        """Sets a key; returns when the change is safe and this map shows it.

        ``ttl_ms``: the key is gone after this many milliseconds, rounded up to seconds, unless it is set again.

        Raises RequestTimeoutError (nodes do not answer changes that they refuse), UnreachableError, ClosedError,
        BodyError for an empty value, OptionError for a key outside the subtree or below ``/mmi/``.
        """
        frame, *others = body_of(value)
        if not frame or others:
            raise BodyError("a value is one text or bytes, and not empty: that would delete the key")
        properties = b""
        if ttl_ms is not None:
            properties = b"ttl=%d\n" % -(-integer("ttl_ms", ttl_ms, 1, (2**31 - 1) * 1000) // 1000)
        self._change(key, properties, frame, timeout_ms)

    def delete(self, key: Key, *, timeout_ms: Optional[int] = None) -> None:
        """Deletes a key, as ``set`` sets one."""
        self._change(key, b"", b"", timeout_ms)

    def close(self) -> None:
        """Ends the map; changes that are not safe yet raise ClosedError. Closing twice does nothing."""
        self._links.close()

    def __enter__(self) -> "SharedMap":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _change(self, key: Key, properties: bytes, value: bytes, timeout_ms: Optional[int]) -> None:
        name = _bytes(key)
        if not 1 <= len(name) <= 255 or b"\0" in name or not name.startswith(self._subtree):
            raise wrong("key", f"must have 1 to 255 bytes, no NUL, and begin with {text_of(self._subtree)!r}")
        if name.startswith(b"/mmi/") or name in (b"HUGZ", b"KTHXBAI", b"ICANHAZ?"):
            raise wrong("key", "is the broker's own")
        timeout = self._timeout_ms if timeout_ms is None else integer("timeout_ms", timeout_ms, 1, DAY_MS)
        future: concurrent.futures.Future[None] = concurrent.futures.Future()

        def settled(error: Optional[MajordomoError]) -> None:
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

        change = OwnChange(name, properties, value, time.monotonic() + timeout / 1000, settled)
        self._links.change(change)
        try:
            future.result(timeout / 1000 + THREAD_PATIENCE)
        except concurrent.futures.TimeoutError as error:
            if not future.done():
                raise RequestTimeoutError("the thread of this map does not run") from error
            raise

    def _read(self, reader: Reader) -> Iterator[Change]:
        try:
            while True:
                change = self._copy.next(reader)
                if change is None:
                    return
                yield change
        finally:
            if is_here(self._links):
                with self._copy.lock:
                    self._copy.readers.remove(reader)


def _bytes(key: Key) -> bytes:
    if isinstance(key, str):
        return utf8("key", key)
    if isinstance(key, (bytes, bytearray)):
        return bytes(key)
    raise wrong("key", f"must be text or bytes, not {shown(key)}")
