#!/usr/bin/env bash
# libzmq 4.3.4 (Debian 12), a ROUTER: commands that mean nothing to it.
#
# Expected: the engine keeps them to itself.
#
# Seen: an unknown command, a second READY and an ERROR are ignored; SUBSCRIBE and CANCEL come out of the socket as
# messages.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download python3-zmq=24.0.1-4+b1 libzmq5=4.3.4-6 libpgm-5.3-0 libnorm1 libsodium23
for package in *.deb; do dpkg -x "$package" root; done
export LD_LIBRARY_PATH="$(dirname "$dir/$(find root -name 'libzmq.so.5' | head -1)")" PYTHONPATH="$dir/root/usr/lib/python3/dist-packages"
cat >try.py <<'P'
import socket
import sys
import time

import zmq

GREETING = bytes.fromhex("ff00000000000000017f0300") + b"NULL".ljust(20, b"\0") + bytes(32)
READY = b"\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER"


def command(body):
    return bytes([4, len(body)]) + body


def received(extra):
    """What the program gets besides the routing id, of a command and a message behind it."""
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    port = router.bind_to_random_port("tcp://127.0.0.1")
    with socket.create_connection(("127.0.0.1", port)) as peer:
        peer.sendall(GREETING)
        time.sleep(0.1)
        peer.sendall(command(READY) + command(extra) + b"\x00\x02hi")
        got = []
        while [b"hi"] not in got and router.poll(3000):
            got.append(router.recv_multipart()[1:])
    context.destroy(0)
    return got


CASES = {
    b"\x05HELLOabc": [[b"hi"]],
    READY: [[b"hi"]],
    b"\x05ERROR\x03bad": [[b"hi"]],
    b"\x09SUBSCRIBEabc": [[b"\tSUBSCRIBEabc"], [b"hi"]],
    b"\x06CANCELabc": [[b"\x06CANCELabc"], [b"hi"]],
}
print("libzmq", zmq.zmq_version())
same = True
for extra, described in CASES.items():
    got = received(extra)
    print(f"{extra[1:10].decode('ascii', 'replace'):12} the program gets {got}")
    same = same and got == described
sys.exit(0 if same else 1)
P
timeout 60 /usr/bin/python3 try.py || { echo 'CHANGED: no command reaches the program' >&2; exit 1; }
echo 'as described: SUBSCRIBE and CANCEL arrive as messages'
