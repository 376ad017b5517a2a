"""Majordomo's frames as a program on pyzmq alone writes them; it uses no code of the broker's.

Every program here prints one JSON object a line, with an `event`; frames are shown as latin-1.
"""

import json
import os
import select
import time

import zmq

CLIENT = {"0.1": b"MDPC01", "0.2": b"MDPC02"}
WORKER = {"0.1": b"MDPW01", "0.2": b"MDPW02"}

READY = b"\x01"
REQUEST = b"\x02"
RETURN = b"\x07"
REQUEST_WITH_HEADERS = b"\x09"
PARTIAL_OF_WORKER = b"\x03"
FINAL = {"0.1": b"\x03", "0.2": b"\x04"}
HEARTBEAT = {"0.1": b"\x04", "0.2": b"\x05"}
DISCONNECT = {"0.1": b"\x05", "0.2": b"\x06"}

FINAL_TO_CLIENT = b"\x03"


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def text(frames):
    return [frame.decode("latin-1") for frame in frames]


def request_frames(version, service, body):
    """What follows the envelope's empty delimiter."""
    command = [b"\x01"] if version == "0.2" else []
    return [CLIENT[version], *command, service, *body]


def request_with_headers(service, deadline_ms, headers, body):
    """The same with headers and a deadline (D67): only 0.2 has them."""
    deadline = b"%d" % deadline_ms if deadline_ms else b""
    return [CLIENT["0.2"], b"\x04", service, deadline, json.dumps(headers).encode(), *body]


def parse_reply(version, frames):
    """(kind, service, body) of what follows the empty delimiter."""
    if frames[0] != CLIENT[version]:
        raise ValueError("not a reply of MDP %s: %r" % (version, frames))
    if version == "0.1":
        return "final", frames[1], frames[2:]
    kind = {b"\x02": "partial", FINAL_TO_CLIENT: "final"}[frames[1]]
    return kind, frames[2], frames[3:]


def connect(kind, endpoint, identity=None):
    socket = zmq.Context.instance().socket(kind)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.RECONNECT_IVL, 20)
    if identity:
        socket.setsockopt(zmq.IDENTITY, identity)
    socket.connect(endpoint)
    return socket


_input = b""


def input_lines():
    """Complete lines of standard input that are there now; None when it has ended."""
    global _input
    while select.select([0], [], [], 0)[0]:
        chunk = os.read(0, 65536)
        if not chunk:
            return None
        _input += chunk
    *lines, _input = _input.split(b"\n")
    return [line.decode() for line in lines]


def now_ms():
    return time.monotonic() * 1000
