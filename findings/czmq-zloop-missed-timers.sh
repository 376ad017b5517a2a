#!/usr/bin/env bash
# CZMQ 4.2.1 (Debian 12), zloop: a timer of 50 ms in a loop that is busy for 300 ms.
#
# Expected: one late call, and then the old rhythm or a new one.
#
# Seen: a call for each missed time, one directly after the other. A worker whose heartbeats are such a timer sends
# them in a burst after a pause, and one that counts liveness down there calls its peer dead at once.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download libczmq4=4.2.1-1 libzmq5=4.3.4-6 libpgm-5.3-0 libnorm1 libsodium23 libmicrohttpd12 liblz4-1 libuuid1 libsystemd0
for package in *.deb; do dpkg -x "$package" root; done
export LD_LIBRARY_PATH="$(dirname "$dir/$(find root -name 'libczmq.so.4' | head -1)")"
cat >try.py <<'P'
import ctypes
import sys
import time

czmq = ctypes.CDLL("libczmq.so.4")
HANDLER = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
czmq.zloop_new.restype = ctypes.c_void_p
czmq.zloop_timer.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, HANDLER, ctypes.c_void_p]
czmq.zloop_start.argtypes = [ctypes.c_void_p]
calls, start = [], time.monotonic()


@HANDLER
def handler(_loop, _id, _arg):
    calls.append((time.monotonic() - start) * 1000)
    if len(calls) == 2:
        time.sleep(0.3)
    return -1 if len(calls) == 12 else 0


loop = czmq.zloop_new()
czmq.zloop_timer(loop, 50, 0, handler, None)
czmq.zloop_start(loop)
print("calls at", ", ".join(f"{at:.0f}" for at in calls), "ms")
gaps = [b - a for a, b in zip(calls, calls[1:])]
burst = sum(gap < 20 for gap in gaps)
print(f"{burst} calls less than 20 ms after the one before; the longest pause was {max(gaps):.0f} ms")
sys.exit(0 if burst >= 4 and max(gaps) > 250 else 1)
P
timeout 30 /usr/bin/python3 try.py || { echo 'CHANGED: missed times are left out' >&2; exit 1; }
echo 'as described: all missed calls come at once'
