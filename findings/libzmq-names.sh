#!/usr/bin/env bash
# libzmq 4.3.4 (Debian 12, pyzmq 24.0.1): connect() to a name, without its own reconnection (ZMQ_RECONNECT_IVL -1).
#
# Guess: with ZMQ_IPV6 and a name that has ::1 and 127.0.0.1, as localhost has in Debian's /etc/hosts, it tries the
# second address when the first refuses, as net.connect of Node and socket.create_connection of Python do. Of a name
# that cannot be resolved, the monitor tells at least CLOSED, as it does of a refused connection.
#
# Found: only ::1 is ever tried, also at each reconnection: a peer that listens at 127.0.0.1 is never reached. (It asks
# for IPv6 addresses, which are those of IPv4 only if the name has no other.) And of a name that cannot be resolved the
# monitor tells nothing at all, while connect() succeeds: who waits for an event waits for ever. (With
# ZMQ_RECONNECT_IVL 100 it tells CONNECT_RETRIED each time.)
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get -qq -o APT::Sandbox::User=root download python3-zmq=24.0.1-4+b1 libzmq5=4.3.4-6
for each in ./*.deb; do dpkg-deb --extract "$each" files; done
printf '::1 both.test\n127.0.0.1 both.test\n127.0.0.1 one.test\n' >hosts

cat >program.py <<'PYTHON'
import socket
import time

import zmq
from zmq.utils.monitor import recv_monitor_message

print("libzmq", zmq.zmq_version(), "pyzmq", zmq.__version__)
print("both.test", [where[0] for *_, where in socket.getaddrinfo("both.test", 1, type=socket.SOCK_STREAM)])


def events(endpoint, interval):
    """What the monitor of a DEALER tells within 1.5 s."""
    dealer = zmq.Context.instance().socket(zmq.DEALER)
    dealer.linger = 0
    dealer.setsockopt(zmq.IPV6, 1)
    dealer.setsockopt(zmq.RECONNECT_IVL, interval)
    monitor = dealer.get_monitor_socket()
    dealer.connect(endpoint)
    found = []
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        if monitor.poll(100):
            found.append(zmq.Event(recv_monitor_message(monitor)["event"]).name)
    dealer.disable_monitor()
    monitor.close()
    dealer.close()
    return list(dict.fromkeys(found))


listener = zmq.Context.instance().socket(zmq.ROUTER)
port = listener.bind_to_random_port("tcp://127.0.0.1")
one = events(f"tcp://one.test:{port}", -1)
print("a name with one address", one)
named = events(f"tcp://both.test:{port}", 100)
print("the name with a refused first address, reconnecting", named)
nobody = events("tcp://one.test:1", -1)
print("a name whose address refuses", nobody)
once = events("tcp://nobody.invalid:1", -1)
print("a name that is not found", once)
again = events("tcp://nobody.invalid:1", 100)
print("the same, reconnecting", again)
assert "HANDSHAKE_SUCCEEDED" in one and "HANDSHAKE_SUCCEEDED" not in named
assert "CLOSED" in named and "CLOSED" in nobody
assert once == [] and again == ["CONNECT_RETRIED"]
PYTHON

library=$(echo files/usr/lib/*-linux-gnu)
export LD_LIBRARY_PATH=$PWD/$library PYTHONPATH=$PWD/files/usr/lib/python3/dist-packages
# Only this program sees these hosts.
unshare --map-root-user --mount sh -c 'mount --bind hosts /etc/hosts; exec /usr/bin/python3 program.py'
