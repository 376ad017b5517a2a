"""How a connection closes."""

from __future__ import annotations

import time

import zmq

from majordomo.link import ZmqLink

from .conftest import PATIENCE

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
