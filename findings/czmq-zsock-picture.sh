#!/usr/bin/env bash
# CZMQ 4.2.1 (Debian 12): zsock_recv with a picture that the message does not match.
#
# Expected: it returns -1 and leaves the variables alone, as zsock.h says, and a caller can tell that from a time-out.
#
# Seen: it returns -1, has taken the message, and sets the variables. errno is 0 or EAGAIN, whether or not there was a
# time-out: a loop that takes -1 for "nothing yet" loses messages.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download libczmq4=4.2.1-1 libczmq-dev=4.2.1-1 libzmq5=4.3.4-6 libpgm-5.3-0 libnorm1 libsodium23 libmicrohttpd12 liblz4-1 libuuid1 libsystemd0
for package in *.deb; do dpkg -x "$package" root; done
grep -A2 -h 'Returns 0 if successful, or -1 if it failed to recv' root/usr/include/zsock.h | grep -q 'the pointers are not modified' || { echo 'CHANGED: the header says something else' >&2; exit 1; }
export LD_LIBRARY_PATH="$(dirname "$dir/$(find root -name 'libczmq.so.4' | head -1)")"
cat >try.py <<'P'
import ctypes
import os
import sys
from ctypes import byref, c_char_p, c_void_p

czmq = ctypes.CDLL("libczmq.so.4", use_errno=True)
for name in ("zsock_new_push", "zsock_new_pull"):
    getattr(czmq, name).restype = c_void_p
endpoint = f"ipc://{os.getcwd()}/s".encode()
pull = c_void_p(czmq.zsock_new_pull(b"@" + endpoint))
push = c_void_p(czmq.zsock_new_push(b">" + endpoint))
czmq.zsock_set_rcvtimeo(pull, 5000)


def receive(picture):
    """What zsock_recv returns for a picture with two strings, their values, and errno."""
    first, second = c_char_p(b"-"), c_char_p(b"-")
    ctypes.set_errno(0)
    status = czmq.zsock_recv(pull, picture, byref(first), byref(second))
    return status, first.value, second.value, ctypes.get_errno()


def show(what, came):
    print("%-28s returns %2d, variables %s and %s, errno %d" % (what, *came))
    return came


czmq.zsock_send(push, b"szs", b"address", b"body")
match = show("an empty frame:", receive(b"szs"))
czmq.zsock_send(push, b"sss", b"address", b"full", b"body")
mismatch = show("a frame that is not empty:", receive(b"szs"))
czmq.zsock_set_rcvtimeo(pull, 300)
nothing = show("nothing:", receive(b"szs"))
czmq.zsock_set_rcvtimeo(pull, 5000)
czmq.zsock_send(push, b"s", b"address")
short = c_char_p(b"-")
status = czmq.zsock_recv(pull, b"sz", byref(short))
print(f"picture sz, one frame only:  returns {status:2d}, variable {short.value}")
same = (
    match[:3] == (0, b"address", b"body")
    and mismatch[:3] == (-1, b"address", b"body")
    and mismatch[3] in (0, 11)
    and nothing == (-1, b"-", b"-", 11)
    and (status, short.value) == (0, b"address")
)
for socket in (push, pull):
    czmq.zsock_destroy(byref(socket))
sys.exit(0 if same else 1)
P
timeout 30 /usr/bin/python3 -B try.py 2>err || { sed -n 1,5p err >&2; echo 'CHANGED: what -1 means' >&2; exit 1; }
echo 'as described: -1, and the message is in the variables'
