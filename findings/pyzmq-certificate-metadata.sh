#!/usr/bin/env bash
# Certificates of pyzmq 24.0.1, read by CZMQ 4.2.1 (Debian 12): the metadata.
#
# Expected: it is in both files, as in those of CZMQ.
#
# Seen: it is in the secret file only, without quotes: CZMQ takes what follows a # for a comment.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download libczmq4=4.2.1-1 python3-zmq=24.0.1-4+b1 libzmq5=4.3.4-6 libpgm-5.3-0 libnorm1 libsodium23 libmicrohttpd12 liblz4-1 libuuid1 libsystemd0
for package in *.deb; do dpkg -x "$package" root; done
export LD_LIBRARY_PATH="$(dirname "$dir/$(find root -name 'libczmq.so.4' | head -1)")" PYTHONPATH="$dir/root/usr/lib/python3/dist-packages"
mkdir python czmq
cat >try.py <<'P'
import ctypes
import shutil
import sys

import zmq.auth

czmq = ctypes.CDLL("libczmq.so.4")
for name in ("zcert_new", "zcert_load"):
    getattr(czmq, name).restype = ctypes.c_void_p
czmq.zcert_meta.restype = czmq.zcert_public_txt.restype = ctypes.c_char_p
NAME = b"unit #7"


def read(file):
    """Name and key of one file alone: zcert_load prefers FILE_secret where it exists."""
    shutil.copy(file, "alone")
    certificate = ctypes.c_void_p(czmq.zcert_load(b"alone"))
    return czmq.zcert_meta(certificate, b"name"), czmq.zcert_public_txt(certificate)


public, secret = zmq.auth.create_certificates("python", "a", metadata={"name": NAME.decode()})
key = zmq.auth.load_certificate(secret)[0]
own = ctypes.c_void_p(czmq.zcert_new())
czmq.zcert_set_meta(own, b"name", b"%s", NAME)
czmq.zcert_save(own, b"czmq/a")
seen = {
    "pyzmq's public file": read(public),
    "pyzmq's secret file": read(secret),
    "CZMQ's public file": read("czmq/a"),
    "CZMQ's secret file": read("czmq/a_secret"),
}
for file, (name, _) in seen.items():
    print(f"{file}: CZMQ reads the name {name}")
keys_right = all(seen[f"pyzmq's {kind} file"][1] == key for kind in ("public", "secret"))
names = [name for name, _ in seen.values()]
sys.exit(0 if keys_right and names == [None, b"unit", NAME, NAME] else 1)
P
/usr/bin/python3 -B try.py 2>err || { sed -n 1,5p err >&2; echo 'CHANGED: the metadata arrives' >&2; exit 1; }
echo 'as described: the keys arrive, the name does not'
