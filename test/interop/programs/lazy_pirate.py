"""The Guide's Lazy Pirate client: on silence it closes its REQ socket, opens a new one, asks again.

Given several endpoints, with commas between them, it asks the next one each time.

Reads bodies from standard input, one a line, frames parted by tabs; prints one `reply` for each, or
`gave-up`.
"""

import argparse
import sys

import zmq

import mdp

args = argparse.ArgumentParser()
args.add_argument("endpoint")
args.add_argument("service")
args.add_argument("--version", default="0.1")
args.add_argument("--timeout-ms", type=int, default=500)
args.add_argument("--retries", type=int, default=60)
args = args.parse_args()


def ask(socket, body):
    for attempt in range(args.retries):
        if attempt > 0:
            socket.close()
            endpoints.append(endpoints.pop(0))
            socket = mdp.connect(zmq.REQ, endpoints[0])
        socket.send_multipart(mdp.request_frames(args.version, args.service.encode(), body))
        if socket.poll(args.timeout_ms):
            _, _, reply = mdp.parse_reply(args.version, socket.recv_multipart())
            mdp.say("reply", frames=mdp.text(reply), attempts=attempt + 1)
            return socket
        mdp.say("retry", attempt=attempt + 1)
    mdp.say("gave-up")
    return socket


endpoints = args.endpoint.split(",")
socket = mdp.connect(zmq.REQ, endpoints[0])
mdp.say("started")
for line in sys.stdin:
    socket = ask(socket, line.rstrip("\n").encode().split(b"\t"))
