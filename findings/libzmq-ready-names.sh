#!/usr/bin/env bash
# libzmq 4.3.4 (Debian 12), a ROUTER: READY with names in lower case, and without properties.
#
# Expected: 23/ZMTP: names are not case-sensitive, and each READY has a Socket-Type.
#
# Seen: a name in other letters is one that it does not know: "identity: me" is left out, and "socket-type: SUB" is as
# good as no type, which is not checked. (The value is: "dealer" is refused.)
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download python3-zmq=24.0.1-4+b1 libzmq5=4.3.4-6 libpgm-5.3-0 libnorm1 libsodium23
for package in *.deb; do dpkg -x "$package" root; done
export LD_LIBRARY_PATH="$(dirname "$dir/$(find root -name 'libzmq.so.5' | head -1)")" PYTHONPATH="$dir/root/usr/lib/python3/dist-packages"
cat >try.py <<'P'
import socket
import struct
import sys
import time

import zmq

GREETING = bytes.fromhex("ff00000000000000017f0300") + b"NULL".ljust(20, b"\0") + bytes(32)


def ready(*properties):
    body = b"\x05READY" + b"".join(bytes([len(name)]) + name + struct.pack(">I", len(value)) + value for name, value in properties)
    return bytes([4, len(body)]) + body


def seen(*properties):
    """The routing id under which the ROUTER gets the peer's message; None: it does not get it."""
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    port = router.bind_to_random_port("tcp://127.0.0.1")
    with socket.create_connection(("127.0.0.1", port)) as peer:
        peer.sendall(GREETING)
        time.sleep(0.3)
        peer.sendall(ready(*properties))
        time.sleep(0.3)
        try:
            peer.sendall(b"\x00\x02hi")
        except OSError:
            pass
        got = router.recv_multipart()[0] if router.poll(1500) else None
    context.destroy(0)
    return got if got is None or got == b"me" else "made up"


DEALER = (b"Socket-Type", b"DEALER")
CASES = [
    ("Socket-Type: DEALER", [DEALER], "made up"),
    ("Socket-Type: SUB", [(b"Socket-Type", b"SUB")], None),
    ("socket-type: SUB", [(b"socket-type", b"SUB")], "made up"),
    ("Socket-Type: dealer", [(b"Socket-Type", b"dealer")], None),
    ("no property", [], "made up"),
    ("DEALER, Identity: me", [DEALER, (b"Identity", b"me")], b"me"),
    ("DEALER, identity: me", [DEALER, (b"identity", b"me")], "made up"),
]
print("libzmq", zmq.zmq_version())
same = True
for name, properties, described in CASES:
    got = seen(*properties)
    print(f"{name:22} {'refused' if got is None else f'connected, routing id {got}'}")
    same = same and got == described
sys.exit(0 if same else 1)
P
timeout 60 /usr/bin/python3 try.py || { echo 'CHANGED: names are read in any case, or a READY without a type is refused' >&2; exit 1; }
echo 'as described: a name in lower case counts as none'
