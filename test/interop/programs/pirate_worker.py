"""A pirate worker: ENDPOINT simple|paranoid ; frame for frame as the Guide's spworker and ppworker.

It answers each request with its own frames (--upper: bodies in capitals), after --work-ms. The
paranoid one reconnects after three silent seconds and a second's pause, and sends READY again.
It never crashes at random as the Guide's do: the test kills it.
"""

import argparse
import os
import time

import zmq

import mdp

args = argparse.ArgumentParser()
args.add_argument("endpoint")
args.add_argument("kind", choices=["simple", "paranoid"])
args.add_argument("--upper", action="store_true")
args.add_argument("--work-ms", type=int, default=0)
args.add_argument("--words", action="store_true", help="as in the Guide's PHP, C++, C#, Lua and Tcl")
args.add_argument("--probe", action="store_true", help="with ZMQ_PROBE_ROUTER, and a routing id that begins with zero")
args = args.parse_args()

READY, HEARTBEAT = (b"READY", b"HEARTBEAT") if args.words else (b"\1", b"\2")
context = zmq.Context.instance()


def answer(frames):
    """The Guide's workers return the message that they got."""
    time.sleep(args.work_ms / 1000)
    mdp.say("request", frames=mdp.text(frames[2:]))
    head, body = frames[:2], frames[2:]
    return head + [frame.upper() if args.upper else frame for frame in body]


def connected(kind):
    worker = context.socket(kind)
    worker.linger = 0
    if args.probe:
        worker.probe_router = True
        worker.identity = b"\0" + os.urandom(15)
    worker.connect(args.endpoint)
    worker.send(READY)
    mdp.say("ready")
    return worker


def simple():
    worker = connected(zmq.REQ)
    while True:
        worker.send_multipart(answer(worker.recv_multipart()))


def paranoid():
    worker, liveness = connected(zmq.DEALER), 3
    heartbeat_at = time.monotonic() + 1
    while True:
        if worker.poll(1000):
            frames = worker.recv_multipart()
            liveness = 3
            if len(frames) == 3:
                worker.send_multipart(answer(frames))
            elif frames != [HEARTBEAT]:
                mdp.say("invalid", frames=mdp.text(frames))
        else:
            liveness -= 1
            if liveness == 0:
                mdp.say("lost")
                time.sleep(1)
                worker.close()
                worker, liveness = connected(zmq.DEALER), 3
        if time.monotonic() > heartbeat_at:
            heartbeat_at = time.monotonic() + 1
            worker.send(HEARTBEAT)


simple() if args.kind == "simple" else paranoid()
