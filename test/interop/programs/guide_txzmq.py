"""MDP 0.1 on txZMQ (Twisted): `worker ENDPOINT SERVICE COUNT`, `client ENDPOINT SERVICE FRAME...`.

With keys in MDP_SERVER_KEY, MDP_PUBLIC_KEY and MDP_SECRET_KEY it uses CURVE.
"""

import json
import os
import sys

from twisted.internet import reactor, task
from txzmq import ZmqEndpoint, ZmqEndpointType, ZmqFactory
from txzmq.connection import ZmqConnection
import zmq

ROLE, ENDPOINT, SERVICE, *REST = sys.argv[1:]


class Worker(ZmqConnection):
    socketType = zmq.DEALER
    count = 0

    def command(self, code, *frames):
        self.send([b"", b"MDPW01", code, *frames])

    def messageReceived(self, message):
        if message[2] != b"\x02":
            return
        self.command(b"\x03", message[3], b"", b"txzmq", *message[5:])
        self.count -= 1
        if self.count == 0:
            self.command(b"\x05")
            reactor.callLater(0.2, reactor.stop)


class Client(ZmqConnection):
    socketType = zmq.REQ

    def messageReceived(self, message):
        print(json.dumps({"event": "reply", "frames": [frame.decode() for frame in message]}), flush=True)
        reactor.stop()


def connected(kind):
    connection = kind(factory)
    if "MDP_SERVER_KEY" in os.environ:
        connection.socket.setsockopt(zmq.CURVE_SERVERKEY, os.environb[b"MDP_SERVER_KEY"])
        connection.socket.setsockopt(zmq.CURVE_PUBLICKEY, os.environb[b"MDP_PUBLIC_KEY"])
        connection.socket.setsockopt(zmq.CURVE_SECRETKEY, os.environb[b"MDP_SECRET_KEY"])
    connection.addEndpoints([ZmqEndpoint(ZmqEndpointType.connect, ENDPOINT)])
    return connection


factory = ZmqFactory()
factory.registerForShutdown()
if ROLE == "worker":
    worker = connected(Worker)
    worker.count = int(REST[0])
    worker.command(b"\x01", SERVICE.encode())
    task.LoopingCall(lambda: worker.command(b"\x04")).start(1, now=False)
else:
    connected(Client).send([b"MDPC01", SERVICE.encode(), *(frame.encode() for frame in REST)])
reactor.run()
