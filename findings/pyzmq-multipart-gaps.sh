#!/usr/bin/env bash
# pyzmq 24.0.1 (Debian 12): send_multipart() with a view that is not in one piece.
#
# Expected: it looks at all frames before it sends the first, as it does for strings and None.
#
# Seen: the frames before it have been sent when it fails, and the next message becomes the rest of that one.
set -euo pipefail
/usr/bin/python3 -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download python3-zmq=24.0.1-4+b1 libzmq5=4.3.4-6 libpgm-5.3-0 libnorm1 libsodium23
for package in *.deb; do dpkg -x "$package" root; done
export LD_LIBRARY_PATH="$(dirname "$dir/$(find root -name 'libzmq.so.5' | head -1)")" PYTHONPATH="$dir/root/usr/lib/python3/dist-packages"
cat >try.py <<'P'
import array
import sys

import zmq

context = zmq.Context()
pull = context.socket(zmq.PULL)
pull.rcvtimeo = 500
port = pull.bind_to_random_port("tcp://127.0.0.1")
push = context.socket(zmq.PUSH)
push.connect(f"tcp://127.0.0.1:{port}")
frames = {
    "a string": "text",
    "a number": 7,
    "a view with gaps": memoryview(b"abcdef")[::2],
    "an array with gaps": memoryview(array.array("d", [1, 2, 3, 4]))[::2],
}
seen = {}
for name, frame in frames.items():
    try:
        push.send_multipart([b"id", b"header", frame])
        error = None
    except Exception as raised:
        error = type(raised).__name__
    push.send_multipart([b"next"])
    seen[name] = error, pull.recv_multipart()
    print(f"{name}: {error}, and the next message arrives as {seen[name][1]}")
joined = [b"id", b"header", b"next"]
sys.exit(list(seen.values()) != [("TypeError", [b"next"])] * 2 + [("BufferError", joined)] * 2)
P
timeout 30 /usr/bin/python3 -B try.py 2>err || { sed -n 1,5p err >&2; echo 'CHANGED: nothing stays behind' >&2; exit 1; }
echo 'as described: the next message is joined to what was left'
