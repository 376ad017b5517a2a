#!/usr/bin/env bash
# HAProxy 2.6 with `check` before a ROUTER of libzmq 4.3.4 (Debian 12).
#
# Expected: each check is a connection, so the monitor of the ROUTER tells of it, and a process that does not work
# fails it.
#
# Seen: HAProxy resets the connection before the kernel hands it on: the program never sees it, and a stopped process
# passes. With a step that reads (tcp-check expect) each check is seen.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download haproxy=2.6.12-1+deb12u4 libzmq5=4.3.4-6 python3-zmq=24.0.1-4+b1 \
  liblua5.3-0 libopentracing-c-wrapper0 libopentracing1 libpcre2-8-0 libsodium23 libpgm-5.3-0 libnorm1 libbsd0
for package in *.deb; do dpkg -x "$package" root; done
cat >try.py <<'PY'
import os, signal, socket, subprocess, sys, time
import zmq
from zmq.utils.monitor import parse_monitor_message

def free_port():
    with socket.socket() as one:
        one.bind(('127.0.0.1', 0))
        return one.getsockname()[1]

context = zmq.Context()

def router():
    it = context.socket(zmq.ROUTER)
    monitor = it.get_monitor_socket(zmq.EVENT_ACCEPTED | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_DISCONNECTED)
    return it, monitor, it.bind_to_random_port('tcp://127.0.0.1')

plain, reading = router(), router()
with open('haproxy.cfg', 'w') as file:
    file.write(f'''global
  stats socket {os.getcwd()}/stats
defaults
  mode tcp
  timeout connect 2s
  timeout client 5s
  timeout server 5s
listen plain
  bind 127.0.0.1:{free_port()}
  server it 127.0.0.1:{plain[2]} check inter 200ms
listen reading
  bind 127.0.0.1:{free_port()}
  option tcp-check
  tcp-check expect binary ff
  server it 127.0.0.1:{reading[2]} check inter 200ms
''')
haproxy = subprocess.Popen(['root/usr/sbin/haproxy', '-db', '-f', 'haproxy.cfg'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

def events(monitor):
    seen = {}
    while monitor.poll(0):
        name = zmq.Event(parse_monitor_message(monitor.recv_multipart())['event']).name
        seen[name] = seen.get(name, 0) + 1
    return seen

def status(name):
    with socket.socket(socket.AF_UNIX) as one:
        one.connect('stats')
        one.sendall(b'show stat\n')
        text = b''
        while part := one.recv(65536):
            text += part
    rows = [line.split(',') for line in text.decode().lstrip('# ').splitlines() if line]
    at = {column: i for i, column in enumerate(rows[0])}
    row = next(r for r in rows if r[0] == name and r[1] == 'it')
    return row[at['status']], row[at['check_status']]

try:
    time.sleep(4)
    as_seen = haproxy.poll() is None
    for name, (_, monitor, _port) in (('plain', plain), ('reading', reading)):
        up, how = status(name)
        seen = events(monitor)
        print(f'{name} check, about 20 of them: HAProxy says {up} ({how}); events at the ROUTER: {seen or "none"}')
        as_seen &= up == 'UP' and (seen == {} if name == 'plain' else min(seen.get(e, 0) for e in ('ACCEPTED', 'HANDSHAKE_FAILED_NO_DETAIL', 'DISCONNECTED')) >= 10)
finally:
    haproxy.terminate()
    haproxy.wait()
print('as described' if as_seen else 'DIFFERENT from the description')
sys.stdout.flush()
os._exit(0 if as_seen else 1)
PY
LD_LIBRARY_PATH="$dir/root/usr/lib/x86_64-linux-gnu" PYTHONPATH="$dir/root/usr/lib/python3/dist-packages" timeout 40 /usr/bin/python3 try.py
