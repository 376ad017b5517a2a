#!/usr/bin/env bash
# PgBouncer 1.18.0 (Debian 12): what a client is told when the server refuses PgBouncer's login.
#
# Guess: the server's ErrorResponse is passed on as it is, or at least its SQLSTATE (28P01, 3D000, 53300, 57P03 …) is, since
# drivers decide by it whether to try again. max_client_conn is 53300, as too many connections are at a server.
#
# Found: only the text is passed on; the SQLSTATE is always 08P01 (protocol violation), and DETAIL and HINT are gone. A
# driver cannot tell a wrong password from a server that is starting, except by words, which are in the language of
# the server.
set -euo pipefail

work=$(mktemp -d)
trap 'kill "$pooler" "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
pooler= server=
cd "$work"
apt-get -qq -o APT::Sandbox::User=root download pgbouncer=1.18.0-1+deb12u1 libevent-2.1-7=2.1.12-stable-8 \
  libc-ares2=1.18.1-3
for each in ./*.deb; do dpkg-deb --extract "$each" files; done
library=$(echo "$PWD"/files/usr/lib/*-linux-gnu)

cat >server.py <<'PYTHON'
"""A server of the protocol that refuses every login, with the SQLSTATE that is the name of the database."""
import socket
import struct

listening = socket.create_server(("127.0.0.1", 0))
with open("server.port", "w") as file:
    file.write(str(listening.getsockname()[1]))
while True:
    client, _ = listening.accept()
    stream = client.makefile("rb")
    while True:
        size = struct.unpack("!I", stream.read(4))[0]
        startup = stream.read(size - 4)
        if startup[:4] == struct.pack("!I", 196608):
            break
        client.sendall(b"N")  # no TLS
    words = startup[4:].split(b"\0")
    state = words[words.index(b"database") + 1]
    fields = b"".join(
        kind + text + b"\0"
        for kind, text in ((b"S", b"FATAL"), (b"V", b"FATAL"), (b"C", state), (b"M", b"the words"), (b"H", b"the hint"))
    )
    client.sendall(b"E" + struct.pack("!I", len(fields) + 5) + fields + b"\0")
    stream.close()
    client.close()
PYTHON
/usr/bin/python3 server.py &
server=$!
until [[ -s server.port ]]; do sleep 0.1; done

port=$(/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >pgbouncer.ini <<INI
[databases]
* = host=127.0.0.1 port=$(cat server.port)
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $port
unix_socket_dir =
auth_type = trust
auth_file = $work/users
INI
printf '"user" ""\n' >users
# It does not run as root.
chmod 755 "$work"
as=()
((EUID != 0)) || as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
LD_LIBRARY_PATH=$library "${as[@]}" files/usr/sbin/pgbouncer pgbouncer.ini >log 2>&1 &
pooler=$!
LD_LIBRARY_PATH=$library files/usr/sbin/pgbouncer --version | head -1

cat >client.py <<'PYTHON'
import socket
import struct
import sys
import time

for state in ("28P01", "3D000", "53300", "57P03"):
    for _ in range(100):
        try:
            client = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
    words = b"".join(word.encode() + b"\0" for word in ("user", "user", "database", state)) + b"\0"
    client.sendall(struct.pack("!II", len(words) + 8, 196608) + words)
    stream = client.makefile("rb")
    assert stream.read(1) == b"E"
    told = stream.read(struct.unpack("!I", stream.read(4))[0] - 4).split(b"\0")
    print("the server said", state, "with a hint, the client is told", told)
    assert b"C08P01" in told and b"Mthe words" in told and not any(field.startswith(b"H") for field in told)
PYTHON
timeout 60 /usr/bin/python3 client.py "$port"
