"""How a connection closes."""

from __future__ import annotations

import pathlib
import socket
import time

import pytest
import zmq

from majordomo_client.link import ZmqLink

from .conftest import PATIENCE, Broker, output_of, start_program

MESSAGES = 400
BODY = bytes(1000)


def test_what_was_sent_last_arrives_while_the_peer_goes_on_sending() -> None:
    context: "zmq.Context[zmq.Socket[bytes]]" = zmq.Context()
    router = context.socket(zmq.ROUTER)
    for option, value in ((zmq.LINGER, 0), (zmq.RCVHWM, 1), (zmq.RCVBUF, 65_536), (zmq.RCVTIMEO, 1000)):
        router.setsockopt(option, value)
    port = router.bind_to_random_port("tcp://127.0.0.1")
    poller = zmq.Poller()
    link = ZmqLink(zmq.Context.instance(), poller)
    is_up = False

    def up() -> None:
        nonlocal is_up
        is_up = True

    link.on_up = up
    link.open(f"tcp://127.0.0.1:{port}")
    end = time.monotonic() + PATIENCE
    while not is_up and time.monotonic() < end:
        link.read(dict(poller.poll(100)))
    link.send([b"hello"])
    peer = router.recv_multipart()[0]
    for _ in range(MESSAGES):
        link.send([BODY])
    link.close(linger_ms=10_000)
    for _ in range(20):
        router.send_multipart([peer, BODY])
    time.sleep(0.2)
    received = [router.recv_multipart() for _ in range(MESSAGES)]
    assert received == [[peer, BODY]] * MESSAGES
    link.left()
    context.destroy()


NO_DESCRIPTOR = """
import errno, logging, os, resource, sys, threading, time
from majordomo_client import Client, Worker

endpoint = sys.argv[1]
logging.getLogger("majordomo").setLevel(logging.ERROR)
resource.setrlimit(resource.RLIMIT_NOFILE, (128, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

def take(left):
    held = []
    try:
        while True:
            held.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        for _ in range(left):
            os.close(held.pop())
        return held

def free(held):
    while held:
        os.close(held.pop())

def ask(client, service):
    try:
        return client.request(service, "x", timeout_ms=20_000)
    except OSError as error:  # the first request makes what wakes the client's thread
        assert error.errno == errno.EMFILE, error
        free(held)
        return client.request(service, "x")

for left in range(14):
    with Client(endpoint) as client:
        held = take(left)
        timer = threading.Timer(0.1, free, [held])
        timer.start()
        ask(client, "mmi.broker")
        timer.join()
for left in range(14):
    with Client(endpoint) as client, Worker(endpoint, f"poor-{left}", lambda request: "done") as worker:
        worker.ready()
        held = take(left)
        worker._post(lambda: worker._sessions[0].core.down("lost", time.monotonic()))
        timer = threading.Timer(0.1, free, [held])
        timer.start()
        timer.join()
        assert ask(client, f"poor-{left}").text() == "done"
print("done")
"""


def test_a_time_without_descriptors_ends_neither_a_client_nor_a_worker(broker: Broker, tmp_path: pathlib.Path) -> None:
    assert output_of(start_program(tmp_path, NO_DESCRIPTOR, broker.endpoint)) == ["done"]


def test_a_link_that_only_listens_notices_that_its_peer_is_gone_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("majordomo_client.link._PING_MS", 50)
    monkeypatch.setattr("majordomo_client.link._PONG_MS", 100)
    poller = zmq.Poller()
    link = ZmqLink(zmq.Context.instance(), poller, kind=zmq.SUB, topics=[b""])
    events: list[str] = []
    link.on_up = lambda: events.append("up")
    link.on_down = events.append
    with socket.create_server(("127.0.0.1", 0)) as server:
        link.open(f"tcp://127.0.0.1:{server.getsockname()[1]}")
        peer, _ = server.accept()
        with peer:
            peer.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"NULL".ljust(20, b"\0") + bytes(32))
            peer.sendall(b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03PUB")
            end = time.monotonic() + PATIENCE
            while len(events) < 2 and time.monotonic() < end:
                link.read(dict(poller.poll(100)))
    link.close()
    assert events[:2] == ["up", "the connection was lost"]


SOCKETS = [pathlib.Path("/proc/net", name) for name in ("tcp", "tcp6")]


def _has_kernel(port: int) -> bool:
    """Whether it has a socket with this port, also one that was closed."""
    rows = [row.split() for each in SOCKETS for row in each.read_text().splitlines()[1:]]
    return any(row[1].endswith(f":{port:04X}") for row in rows)


@pytest.mark.skipif(not SOCKETS[0].exists(), reason="the sockets of the kernel are Linux's")
def test_the_kernel_delivers_nothing_of_a_connection_that_was_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("majordomo_client.link._PING_MS", 50)
    monkeypatch.setattr("majordomo_client.link._PONG_MS", 100)
    poller = zmq.Poller()
    link = ZmqLink(zmq.Context.instance(), poller, kind=zmq.XPUB)
    events: list[str] = []
    link.on_up = lambda: events.append("up")
    link.on_down = events.append

    def write(_: "list[bytes]") -> None:
        for _left in range(256):
            link.send([bytes(65_536)])

    link.on_message = write
    with socket.create_server(("127.0.0.1", 0)) as server:
        link.open(f"tcp://127.0.0.1:{server.getsockname()[1]}")
        peer, (_, port) = server.accept()
        with peer:
            peer.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"NULL".ljust(20, b"\0") + bytes(32))
            peer.sendall(b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03SUB")
            said = b""
            while b"XPUB" not in said:
                said += peer.recv(1000)
            peer.sendall(b"\0\x01\x01")  # it subscribes, and reads no more
            end = time.monotonic() + PATIENCE
            while len(events) < 2 and time.monotonic() < end:
                link.read(dict(poller.poll(100)))
            link.close()
            while _has_kernel(port) and time.monotonic() < end:
                time.sleep(0.05)
            with pytest.raises(ConnectionResetError):
                while peer.recv(1_000_000):
                    pass  # what had arrived before
    assert events[:2] == ["up", "the connection was lost"]


def test_a_link_without_a_descriptor_says_so() -> None:
    for most in (1, 2, 3):
        context: "zmq.Context[zmq.Socket[bytes]]" = zmq.Context()
        context.set(zmq.MAX_SOCKETS, most)
        link = ZmqLink(context, zmq.Poller())
        held = context.socket(zmq.DEALER)
        assert link.open("tcp://127.0.0.1:9") == "Too many open files" and not link.is_open
        link.send_apart([b"late"], 0)
        held.close(0)
        context.destroy(0)
