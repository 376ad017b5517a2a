#!/usr/bin/env bash
# pyzmq 24.0.1 (Debian 12), ThreadAuthenticator: configure_curve(domain="*").
#
# Expected: it is for all domains, as the docstring says.
#
# Seen: it is for sockets without a domain only. A socket with a zap_domain refuses everybody until its domain is
# configured by name.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download python3-zmq=24.0.1-4+b1 libzmq5=4.3.4-6 libpgm-5.3-0 libnorm1 libsodium23
for package in *.deb; do dpkg -x "$package" root; done
export LD_LIBRARY_PATH="$(dirname "$dir/$(find root -name 'libzmq.so.5' | head -1)")" PYTHONPATH="$dir/root/usr/lib/python3/dist-packages"
cat >try.py <<'P'
import os
import sys

import zmq
import zmq.auth
from zmq.auth.thread import ThreadAuthenticator

_, server_file = zmq.auth.create_certificates(".", "server")
client_public, client_file = zmq.auth.create_certificates(".", "client")
os.mkdir("clients")
os.rename(client_public, "clients/client.key")
SERVER, CLIENT = zmq.auth.load_certificate(server_file), zmq.auth.load_certificate(client_file)


def admitted(mechanism, configured, domain):
    context = zmq.Context()
    authenticator = ThreadAuthenticator(context)
    authenticator.start()
    server, client = context.socket(zmq.PULL), context.socket(zmq.PUSH)
    if domain:
        server.zap_domain = domain
    if mechanism == "CURVE":
        authenticator.configure_curve(domain=configured, location="clients")
        server.curve_server = True
        server.curve_publickey, server.curve_secretkey = SERVER
        client.curve_serverkey = SERVER[0]
        client.curve_publickey, client.curve_secretkey = CLIENT
    else:
        authenticator.configure_plain(domain=configured, passwords={"ann": "secret"})
        server.plain_server = True
        client.plain_username, client.plain_password = b"ann", b"secret"
    client.connect(f"tcp://127.0.0.1:{server.bind_to_random_port('tcp://127.0.0.1')}")
    client.send(b"x")
    result = bool(server.poll(1000))
    authenticator.stop()
    context.destroy(0)
    return result


CASES = [("*", b"", True), ("*", b"global", False), ("global", b"global", True)]
same = True
for mechanism in ("CURVE", "PLAIN"):
    for configured, domain, described in CASES:
        got = admitted(mechanism, configured, domain)
        print(f"{mechanism}, configured for {configured!r}, zap_domain {domain!r}: {'admitted' if got else 'refused'}")
        same = same and got == described
sys.exit(0 if same else 1)
P
timeout 60 /usr/bin/python3 try.py || { echo 'CHANGED: "*" covers all domains' >&2; exit 1; }
echo 'as described: "*" covers only sockets without a domain'
