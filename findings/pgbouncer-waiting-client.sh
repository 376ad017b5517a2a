#!/usr/bin/env bash
# PgBouncer 1.18.0 (Debian 12), a database whose server refuses connections, and clients that give up.
#
# Guess: the client is told at once that the server refuses, with a FATAL error. A client that closes its connection
# while it waits for a server is forgotten at once, as the kernel tells that its socket is closed.
#
# Found: the client is told nothing: it waits for client_login_timeout (60 s), while PgBouncer tries again each
# server_login_retry (15 s). Its socket is not read meanwhile, so one that has closed goes on waiting, and counts in
# max_client_conn for as long: a program that tries again every two seconds, and gives up after one, fills
# max_client_conn (here 8) by itself, and then shuts out everyone, also the clients of other databases.
set -euo pipefail

work=$(mktemp -d)
trap 'kill "$pooler" 2>/dev/null || true; rm -rf "$work"' EXIT
pooler=
cd "$work"
apt-get -qq -o APT::Sandbox::User=root download pgbouncer=1.18.0-1+deb12u1 libevent-2.1-7=2.1.12-stable-8 \
  libc-ares2=1.18.1-3
for each in ./*.deb; do dpkg-deb --extract "$each" files; done
library=$(echo "$PWD"/files/usr/lib/*-linux-gnu)

free_port() {
  /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
port=$(free_port)
refusing=$(free_port)
cat >pgbouncer.ini <<INI
[databases]
away = host=127.0.0.1 port=$refusing
other = host=127.0.0.1 port=$refusing
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $port
unix_socket_dir =
auth_type = trust
auth_file = $work/users
admin_users = admin
max_client_conn = 8
INI
printf '"admin" ""\n"user" ""\n' >users
# It does not run as root.
chmod 755 "$work"
as=()
((EUID != 0)) || as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
LD_LIBRARY_PATH=$library "${as[@]}" files/usr/sbin/pgbouncer pgbouncer.ini >log 2>&1 &
pooler=$!
LD_LIBRARY_PATH=$library files/usr/sbin/pgbouncer --version | head -1

cat >clients.py <<'PYTHON'
import socket
import struct
import sys
import time

PORT = int(sys.argv[1])


def connect(user, database):
    """A client that has sent its startup message."""
    for _ in range(100):
        try:
            client = socket.create_connection(("127.0.0.1", PORT))
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
    words = b"".join(word.encode() + b"\0" for word in ("user", user, "database", database)) + b"\0"
    client.sendall(struct.pack("!II", len(words) + 8, 196608) + words)
    return client


def messages(client, until):
    """What it is told, up to a message of that type, or for a second."""
    told = []
    client.settimeout(1)
    stream = client.makefile("rb")
    try:
        while not told or told[-1][0] not in until:
            kind = stream.read(1)
            if kind == b"":
                break
            told.append((kind, stream.read(struct.unpack("!I", stream.read(4))[0] - 4)))
    except TimeoutError:
        pass
    return told


admin = connect("admin", "pgbouncer")
messages(admin, b"Z")


def waiting():
    """Clients of the database that wait, by PgBouncer's own count."""
    admin.sendall(b"Q" + struct.pack("!I", 15) + b"SHOW POOLS\0")
    for kind, row in messages(admin, b"Z"):
        if kind != b"D":
            continue
        columns, at = [], 2
        while at < len(row):
            size = struct.unpack_from("!i", row, at)[0]
            columns.append(row[at + 4 : at + 4 + max(size, 0)].decode())
            at += 4 + max(size, 0)
        if columns[0] == "away":
            return int(columns[3])
    return 0


first = connect("user", "away")
said = [kind for kind, _ in messages(first, b"EZ")]
print("within a second of the login it is told", said)
first.close()
for _ in range(6):
    client = connect("user", "away")
    messages(client, b"EZ")
    client.close()
time.sleep(1)
count = waiting()
print("clients that wait, of 7 that have closed their connections:", count)
told = messages(connect("user", "other"), b"EZ")
print("the first client of another database:", told)
assert all(kind not in b"EZ" for kind in said), said
assert count == 7, count
assert any(kind == b"E" and b"no more connections allowed" in text for kind, text in told), told
PYTHON
/usr/bin/python3 clients.py "$port"
