"""Publishes messages to all who subscribed to the beginning of their topics."""

from __future__ import annotations

import collections
import contextlib
import logging
import os
import re
import select
import socket as sockets
import sys
import threading
import time
import warnings
from typing import Any, Callable, Iterable, Mapping, Optional, Sequence, Union

import zmq
from zmq.utils import z85
from zmq.utils.monitor import recv_monitor_message

from .curve import Key, checked_key
from .errors import ClosedError, EndpointError, EndpointInUseError, UsageError
from .link import Wake, kept
from .options import DAY_MS, Body, Read, body_of, cost, integer, names_options, read_options, shown, whole, wrong
from .stream import HEADER, Topic, topic_of
from .threads import Thread, need_threads, say

log: logging.Logger = logging.getLogger("majordomo.publisher")

_LISTEN = re.compile(r"tcp://(?:\*|\[[^\]\s\0]+\]|[^\s:/*\[\]\0]+):(?:[0-9]{1,5})|ipc://[^\s\0]{1,107}")
# Distinct topics of all subscribers.
_TOPICS_MAX = 100_000
# How long a subscriber may leave everything unread while nothing new is sent, before it is closed, in seconds.
_SLOW = 0.5
# The longest message of a subscriber: a topic, or a step of CURVE.
_SAID_BYTES_MAX = 1024
_LOOK = 0.002
_LOST = zmq.EVENT_CLOSED | zmq.EVENT_DISCONNECTED
_z85: Any = z85.encode
_NOBLOCK, _SEND_MORE = int(zmq.NOBLOCK), int(zmq.SNDMORE)


class PublisherCurve:
    """CURVE of a publisher: its secret key, and the public keys of the subscribers that may connect; ``'any'``: all.

        Publisher('tcp://*:5560', curve=PublisherCurve(secret_key, [subscriber_key]))

    Raises OptionError.
    """

    def __init__(self, secret_key: Key, allow: "Union[str, Iterable[Key]]") -> None:
        self.secret_key: bytes = checked_key("secret_key", secret_key)
        if isinstance(allow, str) and allow != "any" or not isinstance(allow, Iterable):
            raise wrong("allow", "must be 'any' or a list of public keys")
        self.allow: "Optional[frozenset[bytes]]" = None if allow == "any" else frozenset(checked_key("allow", each) for each in allow)

    def __repr__(self) -> str:  # without the secret one
        return f"PublisherCurve(allow={self.allow!r})"


def _curve(option: str, given: Any) -> Any:
    if given is None or isinstance(given, PublisherCurve):
        return given
    raise wrong(option, f"must be a PublisherCurve, not {shown(given)}")


def _listens(option: str, given: Any) -> "list[str]":
    listed = re.split(r"[,\s]+", given) if isinstance(given, str) else list(given) if isinstance(given, (list, tuple)) else []
    if not 1 <= len(listed) <= 64:
        raise wrong(option, "must be given, for example tcp://127.0.0.1:5560")
    for each in listed:
        if not isinstance(each, str) or not _LISTEN.fullmatch(each):
            raise EndpointError(f"not an endpoint to listen at: {shown(each)} (tcp://HOST:PORT, tcp://*:PORT, ipc://PATH)")
    return listed


PUBLISHER_OPTIONS: "dict[str, Read]" = {
    "listen": _listens,
    "curve": _curve,
    "output_bytes": whole(65_536, 2**32),
    "max_connections": whole(1, 65_535),
}


@names_options
class Publisher:
    """Publishes to ``Subscriber`` of both SDKs, and to SUB sockets of any ZeroMQ library, from any number of threads.

        with Publisher('tcp://127.0.0.1:5560') as publisher:
            publisher.publish('price.gold', '{"price": 2401.5}')

    ``listen``: where; with port 0 the system picks one: ``endpoints`` has them. Nothing is dropped for a connected subscriber:
    when ``output_bytes`` were published, and one has left what it got unread for half a second, it is closed. So is every one
    above ``max_connections``. In coroutines, too: ``publish`` waits only while half of ``output_bytes`` wait for this.

    Raises OptionError, EndpointError, EndpointInUseError; UsageError where gevent or eventlet has replaced threads.
    """

    def __init__(self, listen: "Union[str, Sequence[str]]", *, curve: Optional[PublisherCurve] = None,
                 output_bytes: int = 67_108_864, max_connections: int = 10_000) -> None:
        options = read_options(PUBLISHER_OPTIONS, locals())
        need_threads("a publisher")
        self._outlet: _Outlet = _Outlet(options)
        self.endpoints: "list[str]" = self._outlet.endpoints

    def __del__(self, warn: Callable[..., None] = warnings.warn) -> None:
        outlet: Optional[_Outlet] = getattr(self, "_outlet", None)
        if outlet is not None and outlet.end_if_left_open():
            warn(f"a publisher at {', '.join(self.endpoints)} was never closed", ResourceWarning, source=self)

    def publish(self, topic: Topic, body: Body) -> None:
        """Sends a message to all who subscribed to the beginning of its topic, of at most 255 bytes.

        Raises ClosedError, OptionError, BodyError; UsageError in a process that was forked after the publisher was made.
        """
        self._outlet.publish(topic_of("topic", topic), body_of(body))

    def has_subscribers(self, topic: Topic) -> bool:
        """Whether anyone is connected who would get a message with this topic."""
        name, topics = topic_of("topic", topic), self._outlet.topics
        return any(name[:length] in topics for length in range(len(name) + 1))

    @property
    def counters(self) -> Mapping[str, int]:
        """Counts of messages ``published``, ``subscribers`` now, and ``closed`` ones."""
        outlet = self._outlet
        return {"published": outlet.number, "subscribers": len(outlet.connections), "closed": outlet.closed}

    def close(self, grace_ms: int = 1000) -> None:
        """Ends it: subscribers have ``grace_ms`` to read what waits for them."""
        self._outlet.close(integer("grace_ms", grace_ms, 0, DAY_MS))

    def __enter__(self) -> "Publisher":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


class _Outlet:
    """The socket of a publisher, and its thread, which alone uses that."""

    def __init__(self, options: Any) -> None:
        self._max_bytes = options.output_bytes // 2  # once before the socket, once in it
        self._max_connections = options.max_connections
        self._allow = options.curve.allow if options.curve else None
        # Of its own: one that decides on keys is that of a whole context.
        self._context: "zmq.Context[Any]" = zmq.Context()
        try:
            self._open(options)
        except BaseException:
            self._context.destroy(0)
            raise
        self._id = os.urandom(8)
        self._clock = time.time() - time.monotonic()
        self._pid = os.getpid()
        self._room = threading.Condition()
        self._queue: "collections.deque[tuple[bytes, bytes, list[bytes]]]" = collections.deque()
        self._queued = self._sent = 0  # in bytes: in the queue, and sent since all was read
        self._is_closed = False
        self._grace_ms = 0
        self.number, self.closed = 0, 0
        self.topics: "set[bytes]" = set()
        self.connections: "dict[int, object]" = {}  # descriptors, with the addresses of both ends
        self._poller = zmq.Poller()
        self._wake = Wake(self._poller)
        for each in (self._socket, self._monitor, self._judge):
            self._poller.register(each, zmq.POLLIN)
        self._thread = Thread(self._run, "majordomo-publisher")

    def _open(self, options: Any) -> None:
        self._judge = self._context.socket(zmq.REP)
        self._judge.setsockopt(zmq.LINGER, 0)
        if self._allow is not None:
            self._judge.bind(kept("inproc://zeromq.zap.01"))
        self._socket = socket = self._context.socket(zmq.XPUB)
        socket.setsockopt(zmq.SNDHWM, 0)
        socket.setsockopt(zmq.MAXMSGSIZE, _SAID_BYTES_MAX)
        if options.curve:
            socket.setsockopt(zmq.CURVE_SERVER, 1)
            socket.setsockopt(zmq.CURVE_SECRETKEY, options.curve.secret_key)
        self._monitor = socket.get_monitor_socket(zmq.EVENT_ACCEPTED | _LOST, kept(f"inproc://monitor.s-{socket.FD}"))
        self.endpoints: "list[str]" = []
        for each in options.listen:
            socket.setsockopt(zmq.IPV6, int("[" in each))
            try:
                socket.bind(kept(each))
            except zmq.ZMQError as error:
                kind = EndpointInUseError if error.errno == zmq.EADDRINUSE else EndpointError
                raise kind(f"cannot listen at {each}: {error}", {"endpoint": each}) from error
            self.endpoints.append(socket.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\0").decode())

    def publish(self, topic: bytes, body: "list[bytes]") -> None:
        if os.getpid() != self._pid:
            raise UsageError("a publisher belongs to the process that made it, of which this one was forked")
        with self._room:
            self._room.wait_for(lambda: self._queued <= self._max_bytes or self._is_closed)
            if self._is_closed:
                raise ClosedError("the publisher was closed")
            self.number += 1
            header = HEADER.pack(self._id, self.number, int((self._clock + time.monotonic()) * 1e6))
            self._queue.append((topic, header, body))
            self._queued += cost(body)
        self._wake.set()

    def close(self, grace_ms: int) -> None:
        if os.getpid() != self._pid:
            return
        with self._room:
            if not self._is_closed:
                self._grace_ms = grace_ms
            self._is_closed = True
            self._room.notify_all()
        self._wake.set()
        self._thread.join()

    def end_if_left_open(self) -> bool:
        if self._is_closed or os.getpid() != self._pid:
            return False
        self._is_closed = True
        self._wake.set()
        return True

    def _run(self) -> None:
        try:
            while not self._is_closed:
                ready = dict(self._poller.poll())
                self._wake.clear(ready)
                self._look(ready)
                self._send()
            self._send()
        except BaseException as error:
            say(log, logging.ERROR, "the publisher's thread ended", exc_info=error)
        finally:
            with self._room:
                self._is_closed = True
                self._room.notify_all()
            self._wake.close()
            self._context.destroy(self._grace_ms)

    def _send(self) -> None:
        socket = self._socket
        while self._queue:
            topic, header, body = self._queue.popleft()
            socket.send(topic, _SEND_MORE)
            socket.send(header, _SEND_MORE)
            for frame in body[:-1]:
                socket.send(frame, _SEND_MORE)
            socket.send(body[-1])
            size = cost(body)
            with self._room:
                self._queued -= size
                self._room.notify_all()
            self._sent += size
            if self._sent > self._max_bytes:
                self._wait_for_readers()
                self._sent = 0

    def _wait_for_readers(self) -> None:
        """Until all have read what was sent; who has not is closed."""
        end = time.monotonic() + _SLOW
        empty = 0
        while empty < 2 and time.monotonic() < end:
            self._look(dict(self._poller.poll(0)))
            empty = 0 if any(self._each_unread()) else empty + 1
            time.sleep(_LOOK)
        if empty < 2:
            for fd in self._each_unread():
                self._shut(fd, "it does not read")

    def _each_unread(self) -> Iterable[int]:
        for fd, ends in list(self.connections.items()):
            with _connection(fd) as connection:
                if connection is not None and _ends(connection) == ends and _has_unread(connection):
                    yield fd

    def _shut(self, fd: int, why: str) -> None:
        ends = self.connections.pop(fd, None)
        with _connection(fd) as connection:
            if connection is None or _ends(connection) != ends:
                return
            with contextlib.suppress(OSError):
                connection.shutdown(sockets.SHUT_RDWR)
        self.closed += 1
        say(log, logging.WARNING, "a subscriber was closed: %s", why)

    def _look(self, ready: "Mapping[Any, int]") -> None:
        """Who has come and gone, and what they want."""
        if self._judge in ready:
            self._decide()
        with contextlib.suppress(zmq.Again):
            while self._monitor in ready:
                event = recv_monitor_message(self._monitor, zmq.NOBLOCK)
                fd = int(event["value"])
                if event["event"] != zmq.EVENT_ACCEPTED:
                    self.connections.pop(fd, None)
                    continue
                with _connection(fd) as connection:
                    if connection is not None and _ends(connection) is not None:
                        self.connections[fd] = _ends(connection)
                if len(self.connections) > self._max_connections:
                    self._shut(fd, "there are too many")
        with contextlib.suppress(zmq.Again):
            while self._socket in ready:
                said = self._socket.recv(_NOBLOCK)
                if said[:1] == b"\1":
                    self.topics.add(said[1:])
                elif said[:1] == b"\0":
                    self.topics.discard(said[1:])
                if len(self.topics) > _TOPICS_MAX:
                    for fd in list(self.connections):
                        self._shut(fd, f"all have more than {_TOPICS_MAX} topics")
                    return

    def _decide(self) -> None:
        """Answers whether a key is admitted (27/ZAP)."""
        version, number, *_, key = self._judge.recv_multipart()
        is_allowed = self._allow is None or _z85(key) in self._allow
        status = (b"200", b"OK") if is_allowed else (b"400", b"the key is not admitted")
        self._judge.send_multipart([version, number, *status, b"", b""])


@contextlib.contextmanager
def _connection(fd: int) -> "Any":
    """A socket of its own for a connection, whose number may be that of another by now; None: it is gone."""
    try:
        found = sockets.fromfd(fd, sockets.AF_INET, sockets.SOCK_STREAM)
    except OSError:
        yield None
        return
    with found:
        yield found


def _ends(connection: sockets.socket) -> object:
    try:
        return connection.getsockname(), connection.getpeername()
    except OSError:
        return None


def _has_unread(connection: sockets.socket) -> bool:
    """Whether the system holds what its peer has not taken; elsewhere than on Linux: as much as it can."""
    if sys.platform == "linux":
        import fcntl
        import termios

        with contextlib.suppress(OSError):
            return any(fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)))
    return not select.select([], [connection], [], 0)[1]
