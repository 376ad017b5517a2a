"""A REP server, as the Guide's hwserver: ENDPOINT [DELAY_MS]; it answers with what it was sent."""

import sys
import time

import zmq

import mdp

socket = zmq.Context().socket(zmq.REP)
socket.bind(sys.argv[1])
mdp.say("listening")
while True:
    frames = socket.recv_multipart()
    mdp.say("request")
    time.sleep(int(sys.argv[2]) / 1000 if len(sys.argv) > 2 else 0)
    socket.send_multipart(frames)
