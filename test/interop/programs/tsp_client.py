"""A 9/TSP client: ENDPOINT SERVICE BODY…, the steps of a stored request's life.

0.1 by a REQ socket, as the Guide's; 0.2 by a DEALER without envelope, as 18/MDP shows it.
"""

import argparse
import time

import zmq

import mdp

args = argparse.ArgumentParser()
args.add_argument("endpoint")
args.add_argument("service")
args.add_argument("body", nargs="*")
args.add_argument("--version", default="0.1")
args.add_argument("--timeout-ms", type=int, default=60000)
args = args.parse_args()

is_old = args.version == "0.1"
socket = mdp.connect(zmq.REQ if is_old else zmq.DEALER, args.endpoint)
socket.setsockopt(zmq.RCVTIMEO, args.timeout_ms)


def ask(service, *body):
    socket.send_multipart(mdp.request_frames(args.version, service, body))
    kind, answered, reply = mdp.parse_reply(args.version, socket.recv_multipart())
    if kind != "final" or answered != service:
        raise ValueError("not the answer of %r: %r" % (service, answered))
    return reply


def step(name, service, *body):
    mdp.say(name, frames=mdp.text(ask(service, *body)))


body = [frame.encode() for frame in args.body]
status, uuid = ask(b"titanic.request", args.service.encode(), *body)
mdp.say("stored", status=status.decode(), uuid=uuid.decode())
step("early", b"titanic.reply", uuid)
mdp.say("waiting")
reply = ask(b"titanic.reply", uuid)
while reply[0] == b"300":
    time.sleep(0.02)
    reply = ask(b"titanic.reply", uuid)
mdp.say("replied", frames=mdp.text(reply))
step("again, in lower case", b"titanic.reply", uuid.lower())
step("closed", b"titanic.close", uuid)
step("gone", b"titanic.reply", uuid)
step("closed twice", b"titanic.close", uuid)
step("no uuid", b"titanic.reply", b"not a uuid")
step("too many", b"titanic.reply", uuid, b"more")
step("no body", b"titanic.request", args.service.encode())
step("reserved", b"titanic.request", b"mmi.service", b"x")
step("no such", b"titanic.nothing", b"x")
