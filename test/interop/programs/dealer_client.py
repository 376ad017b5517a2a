"""A DEALER client with many requests outstanding at once.

--form bare       no envelope: 0.1 with the empty delimiter, 0.2 without any (18/MDP)
--form envelope   a frame of its own before the delimiter, by which replies are told apart (D1)

Sends --count requests whose body is BODY… and the request's number, then reads until as many final
replies have come.
"""

import argparse
import json

import zmq

import mdp

args = argparse.ArgumentParser()
args.add_argument("endpoint")
args.add_argument("service")
args.add_argument("body", nargs="*")
args.add_argument("--version", default="0.2")
args.add_argument("--form", choices=["bare", "envelope"], default="bare")
args.add_argument("--ids", type=int, default=1, help="frames of the envelope")
args.add_argument("--count", type=int, default=1)
args.add_argument("--first", type=int, default=0, help="number of the first request")
args.add_argument("--identity", default="")
args.add_argument("--headers", help="JSON, sent with each request (D67)")
args.add_argument("--deadline-ms", type=int, default=0)
args.add_argument("--timeout-ms", type=int, default=60000)
args = args.parse_args()

socket = mdp.connect(zmq.DEALER, args.endpoint, args.identity.encode())
socket.setsockopt(zmq.RCVTIMEO, args.timeout_ms)
socket.setsockopt(zmq.SNDHWM, 0)


def envelope(number):
    if args.form == "envelope":
        return [b"id-%d-%d" % (number, hop) for hop in range(args.ids)] + [b""]
    return [b""] if args.version == "0.1" else []


for number in range(args.first, args.first + args.count):
    body = [frame.encode() for frame in args.body] + [b"%d" % number]
    service = args.service.encode()
    if args.headers is None:
        message = mdp.request_frames(args.version, service, body)
    else:
        headers = json.loads(args.headers)
        message = mdp.request_with_headers(service, args.deadline_ms, headers, body)
    socket.send_multipart(envelope(number) + message)
wanted = args.count
mdp.say("sent", count=wanted)

while wanted > 0:
    try:
        frames = socket.recv_multipart()
    except zmq.Again:
        mdp.say("silence", missing=wanted)
        break
    at = frames.index(mdp.CLIENT[args.version])
    kind, service, reply = mdp.parse_reply(args.version, frames[at:])
    wanted -= kind == "final"
    mdp.say(
        "reply",
        kind=kind,
        envelope=mdp.text(frames[:at]),
        service=service.decode("latin-1"),
        frames=mdp.text(reply),
    )
mdp.say("done")
