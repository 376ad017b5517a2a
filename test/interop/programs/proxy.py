"""zmq.proxy between clients (ROUTER, any free port of loopback) and the broker (DEALER)."""

import argparse

import zmq

import mdp

args = argparse.ArgumentParser()
args.add_argument("endpoint")
args = args.parse_args()

context = zmq.Context.instance()
front = context.socket(zmq.ROUTER)
front.setsockopt(zmq.LINGER, 0)
port = front.bind_to_random_port("tcp://127.0.0.1")
back = mdp.connect(zmq.DEALER, args.endpoint)
mdp.say("listening", endpoint="tcp://127.0.0.1:%d" % port)
zmq.proxy(front, back)
