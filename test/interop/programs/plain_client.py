"""Plain and Freelance clients: ENDPOINT req|dealer|router BODY… ; --count requests.

`req` sends one request after the other, as the Guide's lpclient and flclient1; a silent one is
repeated with a new socket after --timeout-ms, --attempts times in all. `dealer` sends all requests
at once and collects the replies (flclient2). `router` speaks 10/FLP as flclient3's agent does: it
knows the server by ENDPOINT as its routing id, sends PING first, and numbers its control frames.
"""

import argparse

import zmq

import mdp

args = argparse.ArgumentParser()
args.add_argument("endpoint")
args.add_argument("kind", choices=["req", "dealer", "router"])
args.add_argument("body", nargs="+")
args.add_argument("--count", type=int, default=1)
args.add_argument("--timeout-ms", type=int, default=60000)
args.add_argument("--attempts", type=int, default=1)
args.add_argument("--probe", action="store_true", help="with ZMQ_PROBE_ROUTER")
args = args.parse_args()

context = zmq.Context.instance()
body = [frame.encode() for frame in args.body]


def socket_of(kind):
    socket = context.socket(kind)
    socket.probe_router = args.probe
    socket.linger = 0
    socket.rcvtimeo = args.timeout_ms
    for endpoint in args.endpoint.split(","):
        socket.connect(endpoint)
    return socket


def request():
    for attempt in range(args.attempts):
        with socket_of(zmq.REQ) as socket:
            socket.send_multipart(body)
            try:
                return socket.recv_multipart()
            except zmq.Again:
                mdp.say("silence", attempt=attempt)
    return None


def req():
    for _ in range(args.count):
        reply = request()
        if reply is not None:
            mdp.say("reply", frames=mdp.text(reply))


def dealer():
    socket = socket_of(zmq.DEALER)
    for number in range(args.count):
        socket.send_multipart([b"", b"%d" % number, *body])
    waiting = set(range(args.count))
    while waiting:
        empty, number, *reply = socket.recv_multipart()
        assert empty == b"", empty
        waiting.remove(int(number))
    mdp.say("done", right=args.count)


def router():
    socket = context.socket(zmq.ROUTER)
    socket.linger = 0
    socket.rcvtimeo = args.timeout_ms
    socket.router_mandatory = 1
    socket.connect(args.endpoint)
    server = args.endpoint.encode()
    while True:
        try:
            socket.send_multipart([server, b"PING"])
            break
        except zmq.ZMQError:  # not connected yet
            zmq.select([], [], [], 0.05)
    assert socket.recv_multipart() == [server, b"PONG"]
    mdp.say("pong")
    for number in range(args.count):
        control = number.to_bytes(4, "big")
        socket.send_multipart([server, control, *body])
        name, returned, *reply = socket.recv_multipart()
        assert (name, returned) == (server, control), (name, returned)
        mdp.say("reply", frames=mdp.text(reply))


{"req": req, "dealer": dealer, "router": router}[args.kind]()
