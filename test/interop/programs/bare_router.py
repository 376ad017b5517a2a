"""A ROUTER that answers without the empty frame that a REQ socket expects: ENDPOINT."""

import sys

import zmq

import mdp

socket = zmq.Context().socket(zmq.ROUTER)
socket.bind(sys.argv[1])
mdp.say("listening")
while True:
    peer, _, *frames = socket.recv_multipart()
    socket.send_multipart([peer, *frames])
