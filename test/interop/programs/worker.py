"""A worker on a raw DEALER, MDP 0.1 or 0.2.

--mode echo      replies with the body
--mode hold      heartbeats while it holds requests; `release` on standard input answers them all,
                 `return` gives them back by RETURN (D25)
--mode mute      as hold, but without heartbeats while it holds one
--mode parts     sends --parts PARTIALs, each with the body and its number, then FINAL (0.2)

--headers asks for headers and deadlines (D67), which it shows with each request.
--tag adds a last frame to every reply. It registers anew after DISCONNECT or silence.
"""

import argparse
import json
import sys

import zmq

import mdp

args = argparse.ArgumentParser()
args.add_argument("endpoint")
args.add_argument("service")
args.add_argument("--version", default="0.1")
args.add_argument("--mode", choices=["echo", "hold", "mute", "parts"], default="echo")
args.add_argument("--credit", type=int, default=0)
args.add_argument("--headers", action="store_true")
args.add_argument("--parts", type=int, default=2)
args.add_argument("--tag", default="")
args.add_argument("--heartbeat-ms", type=float, default=2500)
args.add_argument("--liveness", type=int, default=3)
args = args.parse_args()

PREFIX = [b"", mdp.WORKER["0.1"]] if args.version == "0.1" else [mdp.WORKER["0.2"]]
TAG = [args.tag.encode()] if args.tag else []

STDIN = 0


class Worker:
    def __init__(self):
        self.held = []
        self.socket = None
        self.register()

    def register(self):
        """A new connection, as the Guide's workers do; what was held is forgotten."""
        if self.socket is not None:
            # What was answered last still leaves.
            self.socket.close(linger=2000)
        self.held = []
        self.socket = mdp.connect(zmq.DEALER, args.endpoint)
        credit = [b"%d" % args.credit] if args.credit else []
        if args.headers:
            credit = [b"%d" % max(args.credit, 1), b'{"headers":true}']
        self.send(mdp.READY, args.service.encode(), *credit)
        self.heard_at = mdp.now_ms()
        mdp.say("ready-sent")

    def send(self, command, *frames):
        self.socket.send_multipart([*PREFIX, command, *frames])
        self.sent_at = mdp.now_ms()

    def answer(self, client, body):
        self.send(mdp.FINAL[args.version], client, b"", *body, *TAG)

    def request(self, client, body):
        mdp.say("request", frames=mdp.text(body), client=client.decode("latin-1"))
        if args.mode == "echo":
            self.answer(client, body)
        elif args.mode == "parts":
            for part in range(args.parts):
                self.send(mdp.PARTIAL_OF_WORKER, client, b"", *body, b"%d" % part)
            self.answer(client, [b"last"])
        else:
            self.held.append((client, body))

    def received(self, frames):
        self.heard_at = mdp.now_ms()
        if frames[: len(PREFIX)] != PREFIX:
            mdp.say("strange", frames=mdp.text(frames))
            return
        command, *rest = frames[len(PREFIX) :]
        if command == mdp.REQUEST:
            if rest[1] != b"":
                mdp.say("strange", frames=mdp.text(frames))
            self.request(rest[0], rest[2:])
        elif command == mdp.REQUEST_WITH_HEADERS and args.headers:
            client, _, deadline, headers, *body = rest
            mdp.say("headers", deadline=deadline.decode(), headers=json.loads(headers))
            self.request(client, body)
        elif command == mdp.DISCONNECT[args.version]:
            mdp.say("disconnect")
            self.register()
        elif command == mdp.HEARTBEAT[args.version]:
            mdp.say("heartbeat-received")
        else:
            mdp.say("strange", frames=mdp.text(frames))

    def ordered(self, line):
        if line == "release":
            held, self.held = self.held, []
            for client, body in held:
                self.answer(client, body)
            mdp.say("released", count=len(held))
        elif line == "return":
            held, self.held = self.held, []
            for client, _ in held:
                self.send(mdp.RETURN, client, b"", b"not today")
        elif line == "leave":
            self.send(mdp.DISCONNECT[args.version])
            self.socket.close(linger=1000)
            mdp.say("left")
            sys.exit(0)

    def tick(self):
        now = mdp.now_ms()
        is_mute = args.mode == "mute" and self.held
        if now - self.sent_at >= args.heartbeat_ms and not is_mute:
            self.send(mdp.HEARTBEAT[args.version])
            mdp.say("heartbeat-sent", held=len(self.held))
        if now - self.heard_at > args.heartbeat_ms * args.liveness:
            mdp.say("broker-silent")
            self.register()

    def run(self):
        poller = zmq.Poller()
        poller.register(STDIN, zmq.POLLIN)
        while True:
            poller.register(self.socket, zmq.POLLIN)
            ready = dict(poller.poll(min(args.heartbeat_ms / 2, 200)))
            socket = self.socket
            # First: after SIGCONT it shall answer before it looks at the clock.
            lines = mdp.input_lines() if STDIN in ready else []
            if lines is None:
                return
            for line in lines:
                self.ordered(line)
            if socket in ready:
                while socket is self.socket and socket.poll(0):
                    self.received(socket.recv_multipart())
            self.tick()
            if socket is not self.socket:
                poller.unregister(socket)


Worker().run()
