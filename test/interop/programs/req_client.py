"""A REQ client: ENDPOINT SERVICE BODY… ; one request after the other, each body --count times.

Each body ends with a frame that holds the request's number, but with --bare-body.
"""

import argparse

import zmq

import mdp

args = argparse.ArgumentParser()
args.add_argument("endpoint")
args.add_argument("service")
args.add_argument("body", nargs="*")
args.add_argument("--version", default="0.1")
args.add_argument("--count", type=int, default=1)
args.add_argument("--correlate", action="store_true")
args.add_argument("--bare-body", action="store_true")
args.add_argument("--identity", default="")
args.add_argument("--timeout-ms", type=int, default=60000)
args.add_argument("--probe", action="store_true", help="with ZMQ_PROBE_ROUTER")
args = args.parse_args()

socket = zmq.Context.instance().socket(zmq.REQ)
socket.setsockopt(zmq.LINGER, 0)
socket.setsockopt(zmq.RCVTIMEO, args.timeout_ms)
if args.probe:
    socket.setsockopt(zmq.PROBE_ROUTER, 1)
if args.correlate:
    socket.setsockopt(zmq.REQ_CORRELATE, 1)
    socket.setsockopt(zmq.REQ_RELAXED, 1)
if args.identity:
    socket.setsockopt(zmq.IDENTITY, args.identity.encode())
socket.connect(args.endpoint)

for number in range(args.count):
    body = [frame.encode() for frame in args.body]
    if not args.bare_body:
        body.append(b"%d" % number)
    socket.send_multipart(mdp.request_frames(args.version, args.service.encode(), body))
    try:
        kind, service, reply = mdp.parse_reply(args.version, socket.recv_multipart())
    except zmq.Again:
        mdp.say("silence", number=number)
        break
    mdp.say("reply", kind=kind, service=service.decode("latin-1"), frames=mdp.text(reply))
