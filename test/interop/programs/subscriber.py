"""A subscriber on pyzmq, SUB or XSUB: says each message

Lines on its standard input: `+TOPIC` subscribes, `-TOPIC` cancels.
"""

import argparse
import os
import sys

import zmq

import mdp

args = argparse.ArgumentParser()
args.add_argument("endpoint")
args.add_argument("--type", choices=["SUB", "XSUB"], default="SUB")
args.add_argument("--topics", default="", help="separated by commas")
args.add_argument("--server-key", default="", help="Z85; with --public-key and --secret-key")
args.add_argument("--public-key", default="")
args.add_argument("--secret-key", default="")
args = args.parse_args()

socket = zmq.Context.instance().socket(getattr(zmq, args.type))
socket.setsockopt(zmq.LINGER, 0)
if args.server_key:
    socket.curve_serverkey = args.server_key.encode()
    socket.curve_publickey = args.public_key.encode()
    socket.curve_secretkey = args.secret_key.encode()


def subscribe(topic, is_on):
    if args.type == "XSUB":
        socket.send((b"\1" if is_on else b"\0") + topic.encode())
    else:
        socket.setsockopt(zmq.SUBSCRIBE if is_on else zmq.UNSUBSCRIBE, topic.encode())


if args.type == "SUB":
    for topic in args.topics.split(","):
        subscribe(topic, True)
socket.connect(args.endpoint)
if args.type == "XSUB":
    for topic in args.topics.split(","):
        subscribe(topic, True)
mdp.say("connects")

poller = zmq.Poller()
poller.register(sys.stdin.fileno(), zmq.POLLIN)
poller.register(socket, zmq.POLLIN)
while True:
    ready = dict(poller.poll())
    if sys.stdin.fileno() in ready:
        # Unbuffered: what a buffer holds wakes no poll.
        lines = os.read(sys.stdin.fileno(), 65536).decode()
        if not lines:
            break
        for line in lines.splitlines():
            subscribe(line[1:], line[0] == "+")
    if socket in ready:
        topic, header, *body = socket.recv_multipart()
        number = int.from_bytes(header[8:16], "big")
        time_us = int.from_bytes(header[16:24], "big", signed=True)
        body = [frame.decode("latin-1") for frame in body]
        mdp.say("message", topic=topic.decode(), number=number, us=time_us, body=body)
