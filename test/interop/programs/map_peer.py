"""A client of the map on pyzmq, with the sockets of the Guide's clonecli6: a DEALER at P, a SUB at
P + 1, a PUB at P + 2; by default an XPUB, which sees that the node has subscribed: what a PUB sends
before that is lost. Says every message, frame by frame, as Latin-1.

Lines on its standard input are JSON: {"do": "ask", "frames": […]}, {"do": "set", "frames": […]},
{"do": "subscribe", "topic": "…"}. `set` is sent `count` times, if that is given.
"""

import argparse
import json
import os
import sys

import zmq

import mdp

args = argparse.ArgumentParser()
args.add_argument("endpoint", help="P: tcp://HOST:PORT")
args.add_argument("--topics", default="", help="separated by commas; none: -")
args.add_argument("--deaf", action="store_true", help="it never reads")
args.add_argument("--writer", choices=["PUB", "XPUB", "PUSH"], default="XPUB")
args.add_argument("--server-key", default="", help="Z85; with --public-key and --secret-key")
args.add_argument("--public-key", default="")
args.add_argument("--secret-key", default="")
args = args.parse_args()

context = zmq.Context.instance()
host, port = args.endpoint.rsplit(":", 1)


def opened(kind, above):
    socket = context.socket(kind)
    socket.setsockopt(zmq.LINGER, 0)
    if args.deaf:
        socket.setsockopt(zmq.RCVHWM, 1)
        socket.setsockopt(zmq.RCVBUF, 4096)
    else:
        socket.setsockopt(zmq.RCVHWM, 0)
    socket.setsockopt(zmq.SNDHWM, 0)
    if args.server_key:
        socket.curve_serverkey = args.server_key.encode()
        socket.curve_publickey = args.public_key.encode()
        socket.curve_secretkey = args.secret_key.encode()
    return socket, f"{host}:{int(port) + above}"


snapshot, at = opened(zmq.DEALER, 0)
snapshot.connect(at)
updates, at = opened(zmq.SUB, 1)
if args.topics != "-":
    for topic in args.topics.split(","):
        updates.setsockopt(zmq.SUBSCRIBE, topic.encode())
updates.connect(at)
writer, at = opened(getattr(zmq, args.writer), 2)
writer.connect(at)
mdp.say("connects")

poller = zmq.Poller()
poller.register(sys.stdin.fileno(), zmq.POLLIN)
if args.writer == "XPUB":
    poller.register(writer, zmq.POLLIN)
if not args.deaf:
    poller.register(snapshot, zmq.POLLIN)
    poller.register(updates, zmq.POLLIN)


def do(order):
    if order["do"] == "subscribe":
        updates.setsockopt(zmq.SUBSCRIBE, order["topic"].encode("latin-1"))
        return
    frames = [frame.encode("latin-1") for frame in order["frames"]]
    for _ in range(order.get("count", 1)):
        (snapshot if order["do"] == "ask" else writer).send_multipart(frames)
    mdp.say("done")


def text(frames):
    return [frame.decode("latin-1") for frame in frames]


rest = ""
while True:
    ready = dict(poller.poll())
    if writer in ready:
        writer.recv_multipart()
        mdp.say("writes")
    if sys.stdin.fileno() in ready:
        # Unbuffered: what a buffer holds wakes no poll.
        data = os.read(sys.stdin.fileno(), 65536).decode()
        if not data:
            break
        *lines, rest = (rest + data).split("\n")
        for line in lines:
            do(json.loads(line))
    if snapshot in ready:
        mdp.say("snapshot", frames=text(snapshot.recv_multipart()))
    if updates in ready:
        mdp.say("update", frames=text(updates.recv_multipart()))
