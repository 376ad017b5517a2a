#!/usr/bin/env bash
# libzmq 4.3.4 (Debian 12), a ROUTER: a frame whose flags have bits that ZMTP reserves.
#
# Expected: 23/ZMTP has the bits 7 to 3 as zero, so such a frame is none, and the connection ends.
#
# Seen: libzmq leaves these bits out, and the frame is a message like any other.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download python3-zmq=24.0.1-4+b1 libzmq5=4.3.4-6 libpgm-5.3-0 libnorm1 libsodium23
for each in ./*.deb; do dpkg-deb --extract "$each" files; done
cat >program.py <<'PYTHON'
import socket
import time

import zmq

GREETING = bytes.fromhex("ff00000000000000017f0300") + b"NULL".ljust(20, b"\0") + bytes(32)
READY = b"\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER"

router = zmq.Context.instance().socket(zmq.ROUTER)
port = router.bind_to_random_port("tcp://127.0.0.1")
with socket.create_connection(("127.0.0.1", port)) as peer:
    peer.sendall(GREETING)
    time.sleep(0.3)
    peer.sendall(bytes([4, len(READY)]) + READY)
    for flags in (0x00, 0x08, 0x40, 0x80):
        peer.sendall(bytes([flags, 2]) + b"hi")
        got = router.recv_multipart()[1:] if router.poll(3000) else None
        print(f"flags {flags:02x}: the program gets {got}")
        assert got == [b"hi"]
print("libzmq", zmq.zmq_version())
router.close(0)
PYTHON
library=$(echo "$dir"/files/usr/lib/*-linux-gnu)
export LD_LIBRARY_PATH=$library PYTHONPATH=$dir/files/usr/lib/python3/dist-packages
timeout 60 /usr/bin/python3 program.py
