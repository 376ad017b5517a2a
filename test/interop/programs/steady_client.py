"""A well-behaved client: asks all the time, and says so when a reply is missing or wrong.

Runs until its standard input ends, or `report` is read there, to which it answers with its count.
"""

import argparse
import sys
import time

import zmq

import mdp

args = argparse.ArgumentParser()
args.add_argument("endpoint")
args.add_argument("service")
args.add_argument("--pause-ms", type=float, default=3)
args.add_argument("--timeout-ms", type=int, default=60000)
args = args.parse_args()

socket = mdp.connect(zmq.REQ, args.endpoint)
socket.setsockopt(zmq.RCVTIMEO, args.timeout_ms)
mdp.say("started")
answered = 0
while True:
    body = [b"steady", b"%d" % answered]
    socket.send_multipart(mdp.request_frames("0.1", args.service.encode(), body))
    try:
        _, service, reply = mdp.parse_reply("0.1", socket.recv_multipart())
    except zmq.Again:
        mdp.say("starved", answered=answered)
        sys.exit(1)
    if service != args.service.encode() or reply[:2] != body:
        mdp.say("wrong", frames=mdp.text(reply))
        sys.exit(1)
    answered += 1
    lines = mdp.input_lines()
    if lines is None:
        mdp.say("done", answered=answered)
        break
    for _ in lines:
        mdp.say("report", answered=answered)
    time.sleep(args.pause_ms / 1000)
