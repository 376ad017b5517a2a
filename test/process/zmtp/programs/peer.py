"""A libzmq peer that uses no code of this project. One JSON object a line.

peer.py client TYPE ENDPOINT COUNT BYTES   sends COUNT messages of several frames, checks their echo
peer.py server ENDPOINT                    a ROUTER that echoes until its standard input ends
peer.py trickle ENDPOINT COUNT BYTES       a DEALER whose ZMTP heartbeats fall inside of its messages

ZMTP heartbeats of libzmq are on everywhere: a PING every 20 ms, dead after 2 s.
"""
import json
import os
import sys

import zmq
from zmq.utils.monitor import recv_monitor_message


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def heartbeats(socket, every=20):
    socket.linger = 0
    socket.heartbeat_ivl = every
    socket.heartbeat_timeout = 2000
    socket.heartbeat_ttl = 3000


def ends(monitor):
    """How many connections ended."""
    count = 0
    while monitor.poll(0):
        if recv_monitor_message(monitor)["event"] == zmq.EVENT_DISCONNECTED:
            count += 1
    return count


def client(kind, endpoint, count, size):
    socket = zmq.Context().socket(getattr(zmq, kind))
    heartbeats(socket)
    if kind == "ROUTER":
        # So a ROUTER that dials can name the other side before it has said anything.
        socket.setsockopt(zmq.CONNECT_ROUTING_ID, b"broker")
    socket.rcvtimeo = 60000
    monitor = socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    socket.connect(endpoint)
    head = {"REQ": [], "DEALER": [], "ROUTER": [b"broker"]}[kind]
    for index in range(int(count)):
        frames = [b"", str(index).encode(), os.urandom(int(size)), b"", b"last"]
        socket.send_multipart(head + frames)
        if socket.recv_multipart()[len(head):] != frames:
            say("broken", index=index)
    if socket.poll(300):
        say("broken", index=-1)
    say("done", ends=ends(monitor))


def server(endpoint):
    socket = zmq.Context().socket(zmq.ROUTER)
    heartbeats(socket)
    socket.bind(endpoint)
    say("bound", endpoint=socket.last_endpoint.decode())
    poller = zmq.Poller()
    poller.register(socket, zmq.POLLIN)
    poller.register(sys.stdin, zmq.POLLIN)
    while True:
        ready = dict(poller.poll())
        if sys.stdin.fileno() in ready:
            return
        socket.send_multipart(socket.recv_multipart())


def trickle(endpoint, count, size):
    socket = zmq.Context().socket(zmq.DEALER)
    heartbeats(socket, 1)
    socket.rcvtimeo = 60000
    socket.sndbuf = 4096
    monitor = socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    socket.connect(endpoint)
    frames = [bytes([index]) * int(size) for index in range(20)]
    for _ in range(int(count)):
        socket.send_multipart(frames)
    for _ in range(int(count)):
        if socket.recv_multipart() != frames:
            say("broken", index=0)
    say("done", ends=ends(monitor))


{"client": client, "server": server, "trickle": trickle}[sys.argv[1]](*sys.argv[2:])
