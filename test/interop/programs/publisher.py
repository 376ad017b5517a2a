"""A publisher on pyzmq: for each line `TOPIC BODY` on its standard input, sends both as frames.

Says `subscribed` or `cancelled` for what an XPUB is told.
"""

import argparse
import os
import sys

import zmq

import mdp

args = argparse.ArgumentParser()
args.add_argument("--type", choices=["PUB", "XPUB"], default="XPUB")
args.add_argument("--secret-key", default="", help="Z85; makes it a CURVE server for any key")
args = args.parse_args()

socket = zmq.Context.instance().socket(getattr(zmq, args.type))
if args.secret_key:
    socket.curve_server = True
    socket.curve_secretkey = args.secret_key.encode()
port = socket.bind_to_random_port("tcp://127.0.0.1")
mdp.say("listens", endpoint="tcp://127.0.0.1:%d" % port)

poller = zmq.Poller()
poller.register(sys.stdin.fileno(), zmq.POLLIN)
if args.type == "XPUB":
    socket.setsockopt(zmq.XPUB_VERBOSER, 1)
    poller.register(socket, zmq.POLLIN)
while True:
    ready = dict(poller.poll())
    if socket in ready:
        said = socket.recv()
        event = "subscribed" if said[0] == 1 else "cancelled"
        mdp.say(event, topic=said[1:].decode())
    if sys.stdin.fileno() in ready:
        # Unbuffered: what a buffer holds wakes no poll.
        lines = os.read(sys.stdin.fileno(), 65536)
        if not lines:
            break
        for line in lines.splitlines():
            socket.send_multipart(line.split())
socket.close(1000)
