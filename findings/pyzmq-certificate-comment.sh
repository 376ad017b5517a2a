#!/usr/bin/env bash
# pyzmq 24.0.1 (Debian 12), zmq.auth.load_certificate: a certificate with a comment after its key.
#
# Guess: load_certificate reads what CZMQ reads (both call the format a ZeroMQ certificate), so it leaves the comment
# out; or it finds that this is no key of 40 characters, and raises ValueError, as it does for a file without keys.
#
# Found: it returns key, quotation mark, blanks and comment together as the key, without an error. The mistake shows
# when a socket is given that key, as "Invalid argument". CZMQ 4.2.1 (zcert_load) reads the key alone.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get -qq -o APT::Sandbox::User=root download python3-zmq=24.0.1-4+b1 libzmq5=4.3.4-6 libczmq4=4.2.1-1
for each in ./*.deb; do dpkg-deb --extract "$each" files; done

cat >program.py <<'PYTHON'
import ctypes
import sys

import zmq
import zmq.auth

print("pyzmq", zmq.__version__, "libzmq", zmq.zmq_version())
public, secret = (key.decode() for key in zmq.curve_keypair())
with open("worker.key_secret", "w") as file:
    file.write(f'curve\n    public-key = "{public}"   # of the worker\n    secret-key = "{secret}"   # keep it to yourself\n')

czmq = ctypes.CDLL(sys.argv[1])
czmq.zcert_load.restype = ctypes.c_void_p
for name in ("zcert_public_txt", "zcert_secret_txt"):
    getattr(czmq, name).restype = ctypes.c_char_p
    getattr(czmq, name).argtypes = [ctypes.c_void_p]
certificate = czmq.zcert_load(b"worker.key_secret")
assert certificate is not None
assert czmq.zcert_public_txt(certificate) == public.encode() and czmq.zcert_secret_txt(certificate) == secret.encode()
print("CZMQ reads both keys")

found = zmq.auth.load_certificate("worker.key_secret")
shown = [key.replace(public.encode(), b"PUBLIC").replace(secret.encode(), b"SECRET") for key in found]
print("load_certificate", shown)
assert shown == [b'PUBLIC"   # of the worker', b'SECRET"   # keep it to yourself']
try:
    zmq.Context.instance().socket(zmq.DEALER).curve_publickey = found[0]
except zmq.ZMQError as error:
    print("a socket says", error)
else:
    raise AssertionError("a socket takes it")
PYTHON

library=$(echo files/usr/lib/*-linux-gnu)
export LD_LIBRARY_PATH=$PWD/$library PYTHONPATH=$PWD/files/usr/lib/python3/dist-packages
/usr/bin/python3 program.py "$PWD/$(echo "$library"/libczmq.so.4)"
