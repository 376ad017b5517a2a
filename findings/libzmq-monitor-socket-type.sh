#!/usr/bin/env bash
# libzmq 4.3.4 (Debian 12): the monitors of a ROUTER and of a SUB that connects to it by mistake.
#
# Expected: HANDSHAKE_FAILED_PROTOCOL on one side at least.
#
# Seen: the ROUTER tells ACCEPTED and DISCONNECTED, the SUB CONNECTED and DISCONNECTED: no reason, and the SUB does
# not connect again.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download python3-zmq=24.0.1-4+b1 libzmq5=4.3.4-6 libpgm-5.3-0 libnorm1 libsodium23
for package in *.deb; do dpkg -x "$package" root; done
export LD_LIBRARY_PATH="$(dirname "$dir/$(find root -name 'libzmq.so.5' | head -1)")" PYTHONPATH="$dir/root/usr/lib/python3/dist-packages"
cat >try.py <<'P'
import sys
import time

import zmq
from zmq.utils.monitor import recv_monitor_message

ROUTER_SEEN, SUB_SEEN = {"ACCEPTED", "DISCONNECTED"}, {"CONNECT_DELAYED", "CONNECTED", "DISCONNECTED"}


def events(monitor):
    out = []
    while monitor.poll(0):
        out.append(zmq.Event(recv_monitor_message(monitor)["event"]).name)
    return out


def run(kind):
    context = zmq.Context()
    router, peer = context.socket(zmq.ROUTER), context.socket(kind)
    port = router.bind_to_random_port("tcp://127.0.0.1")
    monitors = [each.get_monitor_socket() for each in (router, peer)]
    peer.connect(f"tcp://127.0.0.1:{port}")
    time.sleep(1.5)
    seen = [events(each) for each in monitors]
    for each in (router, peer, *monitors):
        each.close(0)
    context.destroy(0)
    return seen


print("libzmq", zmq.zmq_version())
good = run(zmq.DEALER)
print("DEALER: the ROUTER's monitor", good[0], "the peer's", good[1])
router, sub = run(zmq.SUB)
print("SUB:    the ROUTER's monitor", router, "the peer's", sub)
same = "HANDSHAKE_SUCCEEDED" in good[0] and set(router) == ROUTER_SEEN and set(sub) - {"CONNECT_RETRIED"} == SUB_SEEN
sys.exit(0 if same else 1)
P
timeout 60 /usr/bin/python3 try.py || { echo 'CHANGED: a monitor reports a failed handshake' >&2; exit 1; }
echo 'as described: no monitor reports a failed handshake'
