#!/usr/bin/env bash
# JeroMQ 0.3.6 (Debian 12), a bound ROUTER: a peer that sends the whole greeting of ZMTP 3.0 at once.
#
# Guess: JeroMQ speaks ZMTP 2.0 and answers with its own version, whatever comes after the peer's: 23/ZMTP has the version
# in the 11th byte so that each side learns the lower one. The peer sees version 1 and can connect again in that form.
#
# Found: it closes the connection without sending one byte, not even the signature that it sends as soon as it accepts
# other connections. So a peer cannot tell it from a server that is out of order. If the first 11 bytes come alone, and
# the peer waits, it sends signature, version 1 and its type, and talks to a peer that goes on in ZMTP 2.0.
set -euo pipefail

work=$(mktemp -d)
trap 'kill "${router:-}" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
apt-get -qq -o APT::Sandbox::User=root download libjeromq-java=0.3.6-1.1 libbsh-java=2.0b4-20 openjdk-17-jre-headless
for each in ./*.deb; do dpkg-deb --extract "$each" root; done

cat >router.bsh <<'BSH'
import org.zeromq.ZMQ;
socket = ZMQ.context(1).socket(ZMQ.ROUTER);
print(socket.bindToRandomPort("tcp://127.0.0.1"));
while (true) {
  who = socket.recv(0);
  socket.send(who, ZMQ.SNDMORE);
  socket.send(socket.recv(0), 0);
}
BSH
java=$(find root -path '*/bin/java' | head -1)
"$java" -cp "root/usr/share/java/bsh.jar:root/usr/share/java/jeromq.jar" bsh.Interpreter router.bsh >port &
router=$!
for _ in $(seq 300); do
  [[ -s port ]] && break
  sleep 0.1
done

cat >peer.py <<'PYTHON'
import socket
import sys

GREETING = bytes.fromhex("ff00000000000000017f0300") + b"NULL".ljust(20, b"\0") + bytes(32)
assert len(GREETING) == 64


def connected():
    peer = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    peer.settimeout(5)
    return peer


for _ in range(5):
    with connected() as peer:
        peer.sendall(GREETING)
        try:
            answer = peer.recv(100)
        except ConnectionResetError:
            answer = b""
        print("all 64 bytes at once:", answer or "closed without a byte")
        assert answer == b""

with connected() as peer:
    peer.sendall(GREETING[:11])
    answer = b""
    while len(answer) < 12:
        answer += peer.recv(100)
    print("11 bytes:", answer.hex())
    assert answer.hex().startswith("ff00000000000000017f0106")
    peer.sendall(bytes([5, 0, 0]) + bytes([0, 5]) + b"hello")  # a DEALER without an identity, and a message
    answer = answer[12:]
    while not answer.endswith(b"hello"):
        answer += peer.recv(100)
    print("and it sends a message back:", answer)
PYTHON
/usr/bin/python3 peer.py "$(cat port)"
echo "JeroMQ 0.3.6"
