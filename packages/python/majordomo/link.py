"""A connection to a broker: a socket that tells when it is up and when it is lost."""

from __future__ import annotations

from typing import Any, Callable, Container, Iterator, Optional, Sequence

import zmq
from zmq.utils.monitor import recv_monitor_message

from .curve import Curve
from .exchange import KEY_REFUSED
from .threads import new_pair

_UP = zmq.EVENT_HANDSHAKE_SUCCEEDED
_DOWN = {
    zmq.EVENT_DISCONNECTED: "the connection was lost",
    zmq.EVENT_CLOSED: "connection refused",
    zmq.EVENT_CONNECT_RETRIED: "connection refused",
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "the handshake failed",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "the handshake failed",
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: KEY_REFUSED,
}
_EVENTS = _UP | sum(_DOWN)
# As numbers, and frame by frame: pyzmq's own loops over frames take several times as long.
_NOBLOCK, _SEND_MORE, _RCVMORE = int(zmq.NOBLOCK), int(zmq.NOBLOCK | zmq.SNDMORE), int(zmq.RCVMORE)
Ready = Container[Any]

# Messages that one turn reads, so that timers are not starved.
_TURN = 1000


class ZmqLink:
    """``on_up``, ``on_down(reason)`` and ``on_message(frames)`` are called by ``read``."""

    def __init__(self, context: "zmq.Context[Any]", poller: zmq.Poller,
                 curve: Optional[Curve] = None, kind: int = zmq.DEALER, topics: Sequence[bytes] = ()) -> None:
        self._kind = kind
        self._topics = topics
        self._context = context
        self._curve = curve
        self._poller = poller
        self._socket: Optional["zmq.Socket[bytes]"] = None
        self._monitor: Any = None
        self.on_up: Callable[[], None]
        self.on_down: Callable[[str], None]
        self.on_message: Callable[[list[bytes]], None]

    @property
    def is_open(self) -> bool:
        return self._socket is not None

    def open(self, endpoint: str) -> Optional[str]:
        """Why it cannot connect at all; None: it tries."""
        socket = self._context.socket(self._kind)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.SNDHWM, 0)
        socket.setsockopt(zmq.RCVHWM, 0)
        socket.setsockopt(zmq.IMMEDIATE, 1)
        # Whoever owns the link decides where to connect next.
        socket.setsockopt(zmq.RECONNECT_IVL, -1)
        socket.setsockopt(zmq.IPV6, 1)
        if self._curve is not None:
            self._curve.apply(socket)
        for topic in self._topics:
            socket.setsockopt(zmq.SUBSCRIBE, topic)
        self._monitor = socket.get_monitor_socket(_EVENTS)
        self._socket = socket
        self._poller.register(socket, zmq.POLLIN)
        self._poller.register(self._monitor, zmq.POLLIN)
        try:
            socket.connect(endpoint)
        except zmq.ZMQError as error:
            self.close()
            return str(error)
        return None

    def close(self, linger_ms: int = 0) -> None:
        socket, self._socket = self._socket, None
        if socket is None:
            return
        self._poller.unregister(socket)
        self._poller.unregister(self._monitor)
        socket.disable_monitor()
        self._monitor.close(0)
        socket.close(linger_ms)

    def send(self, frames: Sequence[bytes]) -> None:
        if self._socket is None:
            return
        try:
            for frame in frames[:-1]:
                self._socket.send(frame, _SEND_MORE)
            self._socket.send(frames[-1], _NOBLOCK)
        except zmq.Again:
            pass  # the connection was lost: the monitor is about to say so

    def read(self, ready: Ready) -> None:
        """What has arrived: messages before the end of their connection. ``ready`` is what the poller says."""
        socket, monitor = self._socket, self._monitor
        if socket is None or (socket not in ready and monitor not in ready):
            return
        for frames in self._messages():
            self.on_message(frames)
            if self._socket is not socket:
                return
        while monitor in ready and self._socket is socket and monitor.poll(0):
            event = recv_monitor_message(monitor, zmq.NOBLOCK)["event"]
            if event == _UP:
                self.on_up()
            elif event in _DOWN:
                self.on_down(_DOWN[event])

    def _messages(self) -> Iterator[list[bytes]]:
        socket = self._socket
        for _ in range(_TURN):
            if socket is None or socket is not self._socket:
                return
            try:
                frames = [socket.recv(_NOBLOCK)]
                while socket.getsockopt(_RCVMORE):
                    frames.append(socket.recv(_NOBLOCK))
            except zmq.Again:
                return
            yield frames


class Wake:
    """Wakes the thread that polls it, from any thread."""

    def __init__(self, poller: zmq.Poller) -> None:
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
        self._reader.close()
        self._writer.close()
