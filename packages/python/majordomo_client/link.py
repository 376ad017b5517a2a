"""A connection to a broker: a socket that tells when it is up and when it is lost."""

from __future__ import annotations

import _socket
import contextlib
import re
import socket as sockets
import time
from typing import Any, Callable, Container, Iterator, Optional, Sequence

import zmq
from zmq.utils.monitor import recv_monitor_message

from .curve import Curve
from .exchange import KEY_REFUSED
from .threads import Thread, new_lock, new_pair, replaced_by

_UP = zmq.EVENT_HANDSHAKE_SUCCEEDED
_REFUSED = "connection refused"
_HANDSHAKE_FAILED = "the handshake failed"
_KEYS_TO_CHECK = ": is the given public key this broker's, and does the broker admit the key of this client?"
_LISTENER_TO_CHECK = ": does a broker listen there, not its HTTP server, and does it admit clients without a key?"
_DOWN = {
    zmq.EVENT_DISCONNECTED: "the connection was lost",
    zmq.EVENT_CLOSED: _REFUSED,
    zmq.EVENT_CONNECT_RETRIED: _REFUSED,
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: _HANDSHAKE_FAILED,
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: _HANDSHAKE_FAILED,
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: KEY_REFUSED,
}
_EVENTS = _UP | sum(_DOWN)
# As numbers, and frame by frame: pyzmq's own loops over frames take several times as long.
_NOBLOCK, _SEND_MORE, _RCVMORE = int(zmq.NOBLOCK), int(zmq.NOBLOCK | zmq.SNDMORE), int(zmq.RCVMORE)
_HAS, _POLLIN = int(zmq.EVENTS), int(zmq.POLLIN)
Ready = Container[Any]

# Messages that one turn reads, so that timers are not starved.
_TURN = 1000
# How long nothing may have come before a link whose last messages shall arrive is closed. The linger time of libzmq is not
# enough: a connection that is closed with unread input is reset, and the kernel then drops output that the peer has not read.
_QUIET_MS = 50
# Whoever owns the link decides where to connect next, and closes it before this. Without an interval, libzmq does not
# tell that it had no descriptor for a connection.
_RECONNECT_MS = 3_600_000
# A link that only listens is not told that its peer's machine is gone: it sends a PING of ZMTP so often, and waits so long.
_PING_MS, _PONG_MS = 2500, 5000
# A host that is no address.
_NAMED = re.compile(r"tcp://(?![0-9.]+:)([^\[;]+):([0-9]+)")
# How long an address may take to accept a connection if its name has another one: as in Node.
_ATTEMPT_MS = 250


class ZmqLink:
    """``on_up``, ``on_down(reason)`` and ``on_message(frames)`` are called by ``read``."""

    def __init__(self, context: "zmq.Context[Any]", poller: zmq.Poller,
                 curve: Optional[Curve] = None, kind: int = zmq.DEALER, topics: Sequence[bytes] = (),
                 turn: Optional[int] = None) -> None:
        """``turn``: so many messages it reads at once, and receives before they are read, so that others wait at the peer."""
        self._turn = turn or _TURN
        self._receive_max = turn or 0
        self._kind = kind
        self._topics = topics
        self._context = context
        self._curve = curve
        self._poller = poller
        self._socket: Optional["zmq.Socket[bytes]"] = None
        self._monitor: Any = None
        self._lookup: Optional[_Lookup] = None
        self._address = ""  # of the last connection
        self._others: list[str] = []  # addresses of the same name that were not tried
        self._is_answered = True  # nothing was sent after the last message that came
        self._leaving: list[Any] = []  # locks that are free when a closed connection has ended
        self.on_up: Callable[[], None]
        self.on_down: Callable[[str], None]
        self.on_message: Callable[[list[bytes]], None]

    @property
    def is_open(self) -> bool:
        return self._socket is not None or self._lookup is not None

    def open(self, endpoint: str) -> Optional[str]:
        """Why it cannot connect at all; None: it tries. Of a name, which is looked up anew, each address in turn."""
        named = _NAMED.fullmatch(endpoint)
        if named is None:
            return self._connect(endpoint)
        try:
            self._lookup = _Lookup(named[1], int(named[2]), self._poller)
        except (OSError, RuntimeError) as error:  # no descriptor, or no thread, is left
            return str(error)
        return None

    def _new_socket(self) -> "zmq.Socket[bytes]":
        socket: "zmq.Socket[bytes]" = self._context.socket(self._kind)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.SNDHWM, 0)
        socket.setsockopt(zmq.RCVHWM, self._receive_max)
        socket.setsockopt(zmq.IPV6, 1)
        if self._curve is not None:
            self._curve.apply(socket)
        return socket

    def _connect(self, address: str) -> Optional[str]:
        self._address = address
        socket: "Optional[zmq.Socket[bytes]]" = None
        try:
            socket = self._new_socket()
            self._monitor = socket.get_monitor_socket(_EVENTS, kept(f"inproc://monitor.s-{socket.FD}"))
        except zmq.ZMQError as error:  # no descriptor is left
            if socket is not None:
                socket.close(0)
            return str(error)
        socket.setsockopt(zmq.IMMEDIATE, 1)
        socket.setsockopt(zmq.RECONNECT_IVL, _RECONNECT_MS)
        if self._kind != zmq.DEALER:
            socket.setsockopt(zmq.HEARTBEAT_IVL, _PING_MS)
            socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, _PONG_MS)
            socket.setsockopt(zmq.CONNECT_TIMEOUT, _PONG_MS)
            # Else the kernel goes on delivering what was written to a connection that was given up. (Linux and Windows.)
            socket.setsockopt(zmq.TCP_MAXRT, _PONG_MS)
        if self._others:
            socket.setsockopt(zmq.CONNECT_TIMEOUT, _ATTEMPT_MS)
        for topic in self._topics:
            socket.setsockopt(zmq.SUBSCRIBE, topic)
        self._socket, self._is_answered = socket, True
        self._poller.register(socket, zmq.POLLIN)
        self._poller.register(self._monitor, zmq.POLLIN)
        try:
            socket.connect(kept(address))
        except zmq.ZMQError as error:
            self._disconnect()
            return str(error)
        return None

    def _connect_next(self) -> None:
        """Connects to the next address of the name; what it knows of the last one stays, if there is none."""
        reason: Optional[str] = _REFUSED
        while reason is not None and self._others:
            reason = self._connect(self._others.pop(0))
        if reason is not None:
            self.on_down(reason)

    def close(self, linger_ms: int = 0) -> None:
        """Does not wait: what was sent last may still leave for ``linger_ms``, which ``left`` waits for."""
        self._others = []
        lookup, self._lookup = self._lookup, None
        if lookup is not None:
            lookup.close()
        self._disconnect(linger_ms)

    def _disconnect(self, linger_ms: int = 0) -> None:
        socket, self._socket = self._socket, None
        if socket is None:
            return
        self._poller.unregister(socket)
        self._poller.unregister(self._monitor)
        socket.disable_monitor()
        self._monitor.close(0)
        if linger_ms == 0 or self._is_answered:
            socket.close(linger_ms)
        else:
            self._leaving = [each for each in self._leaving if each.locked()]
            self._leaving.append(_close_when_quiet(socket, linger_ms))

    def left(self) -> None:
        """Waits until what was sent last before ``close`` has left, or its time is over."""
        for lock in self._leaving:
            with lock:
                pass

    def send(self, frames: Sequence[bytes]) -> None:
        if self._socket is None:
            return
        self._is_answered = False
        try:
            for frame in frames[:-1]:
                self._socket.send(frame, _SEND_MORE)
            self._socket.send(frames[-1], _NOBLOCK)
        except zmq.Again:
            pass  # the connection was lost: the monitor is about to say so

    def send_apart(self, frames: Sequence[bytes], linger_ms: int) -> None:
        """Sends over a connection of its own, to where the link was connected last; not if no descriptor is left."""
        if not self._address:
            return
        with contextlib.suppress(zmq.ZMQError), self._new_socket() as socket:
            socket.setsockopt(zmq.LINGER, linger_ms)
            socket.connect(kept(self._address))
            socket.send_multipart(frames)

    def read(self, ready: Ready) -> None:
        """What has arrived: messages before the end of their connection. ``ready`` is what the poller says."""
        if self._lookup is not None:
            self._looked_up(ready)
            return
        socket, monitor = self._socket, self._monitor
        if socket is None or (socket not in ready and monitor not in ready):
            return
        count = 0
        for frames in self._messages():
            self.on_message(frames)
            count += 1
            if self._socket is not socket:
                return
        if count == self._turn:
            return  # others may have come before what the monitor tells
        while monitor in ready and self._socket is socket and monitor.poll(0):
            event = recv_monitor_message(monitor, zmq.NOBLOCK)["event"]
            if event == _UP:
                self._others = []
                self.on_up()
            elif event in _DOWN and _DOWN[event] == _REFUSED and self._others:
                self._disconnect()
                self._connect_next()
            elif event in _DOWN:
                reason = _DOWN[event]
                if reason == _HANDSHAKE_FAILED:
                    reason += _KEYS_TO_CHECK if self._curve else _LISTENER_TO_CHECK
                self.on_down(reason)

    def _looked_up(self, ready: Ready) -> None:
        lookup = self._lookup
        if lookup is None or not lookup.is_over(ready):
            return
        self._lookup = None
        lookup.close()
        if lookup.addresses:
            self._others = lookup.addresses
            self._connect_next()
        else:
            self.on_down("name not found")

    def _messages(self) -> Iterator[list[bytes]]:
        socket = self._socket
        for count in range(self._turn):
            if socket is None or socket is not self._socket:
                return
            # Mostly one has come. To ask for the next takes less time than the exception that says that there is none.
            if count == 1 and not int(socket.getsockopt(_HAS)) & _POLLIN:
                return
            try:
                frames = [socket.recv(_NOBLOCK)]
                while socket.getsockopt(_RCVMORE):
                    frames.append(socket.recv(_NOBLOCK))
            except zmq.Again:
                return
            self._is_answered = True
            # A ROUTER with ZMQ_PROBE_ROUTER begins with an empty message.
            if frames != [b""] or self._kind == zmq.SUB:
                yield frames


def kept(address: str) -> Any:
    """An address as bytes, which live as long as the call: pyzmq 26 frees its own copy of text before libzmq reads it."""
    return address.encode()


def _close_when_quiet(socket: "zmq.Socket[bytes]", linger_ms: int) -> Any:
    """Closes it in a thread of its own. Returns a lock of the system that is free when that has happened."""
    lock = new_lock()
    lock.acquire()

    def run() -> None:
        _read_on(socket, linger_ms)
        lock.release()

    try:
        Thread(run, "majordomo-closing")
    except RuntimeError:  # Python itself ends
        socket.close(linger_ms)
        lock.release()
    return lock


def _read_on(socket: "zmq.Socket[bytes]", linger_ms: int) -> None:
    """Drops what comes until nothing has come for a while, or the linger time is over; then closes the socket."""
    end = time.monotonic() + linger_ms / 1000
    left = linger_ms
    try:
        while left > 0 and socket.poll(min(left, _QUIET_MS)):
            with contextlib.suppress(zmq.Again):
                for _ in range(_TURN):
                    socket.recv(_NOBLOCK)
            left = int((end - time.monotonic()) * 1000)
    except zmq.ZMQError:
        pass  # the context has ended
    finally:
        socket.close(max(0, int((end - time.monotonic()) * 1000)))


class _Lookup:
    """The addresses of a name, from a thread of its own: looking them up can take longer than a heartbeat may."""

    def __init__(self, host: str, port: int, poller: zmq.Poller) -> None:
        self.addresses: Optional[list[str]] = None
        self._lock = new_lock()
        self._wake: Optional[Wake] = Wake(poller)
        try:
            Thread(lambda: self._run(host, port), "majordomo-lookup")
        except RuntimeError:
            self.close()
            raise

    def is_over(self, ready: Ready) -> bool:
        if self._wake is not None:
            self._wake.clear(ready)
        return self.addresses is not None

    def close(self) -> None:
        with self._lock:
            wake, self._wake = self._wake, None
        if wake is not None:
            wake.close()

    def _run(self, host: str, port: int) -> None:
        addresses = _addresses_of(host, port)
        with self._lock:
            self.addresses = addresses
            if self._wake is not None:
                self._wake.set()


def _addresses_of(host: str, port: int) -> "list[str]":
    """Returns each address once, in the order in which the system wants them to be tried."""
    find: Any = sockets.getaddrinfo if replaced_by() is None else _socket.getaddrinfo
    try:
        found = find(host, port, type=sockets.SOCK_STREAM)
    except (OSError, ValueError):  # or the name is too long
        return []
    hosts = {where[0]: family for family, _, _, _, where in found if _is_usable(family)}
    return [f"tcp://[{host}]:{port}" if hosts[host] == sockets.AF_INET6 else f"tcp://{host}:{port}" for host in hosts]


def _is_usable(family: int) -> bool:
    """libzmq says nothing at all about an address whose socket cannot be made."""
    try:
        _socket.socket(family, sockets.SOCK_STREAM).close()
    except OSError:
        return False
    return True


class Wake:
    """Wakes the thread that polls it, from any thread."""

    def __init__(self, poller: zmq.Poller) -> None:
        self._poller = poller
        self._reader, self._writer = new_pair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._is_set = False
        poller.register(self._reader, zmq.POLLIN)

    def set(self) -> None:
        if self._is_set:
            return
        self._is_set = True
        try:
            self._writer.send(b"!")
        except OSError:
            pass  # it is closed

    def clear(self, ready: Ready) -> None:
        """Called before its reason is looked for, so that a ``set`` after that is not lost."""
        if self._reader.fileno() in ready:
            self._reader.recv(16)
            self._is_set = False

    def close(self) -> None:
        self._poller.unregister(self._reader)
        self._reader.close()
        self._writer.close()
