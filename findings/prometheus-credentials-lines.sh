#!/usr/bin/env bash
# Prometheus 2.42 (Debian 12): a second line in the file of `credentials_file`.
#
# Expected: the first line is the token, as it is of many programs that read a secret of a file; or the file is refused.
#
# Seen: the whole text is the token, without the white space at its ends. A line break cannot be in a header, so no request is
# sent any more, and the target is down at the next scrape. `promtool check config` finds nothing wrong.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download prometheus=2.42.0+ds-5+deb12u1
dpkg -x prometheus_*.deb root
root/usr/bin/prometheus --version | head -1
cat >try.py <<'PY'
import http.server, json, os, socket, subprocess, sys, threading, time, urllib.request

asked = []

class Target(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked.append(self.headers['Authorization'])
        self.send_response(200)
        self.send_header('Content-Type', 'text/plain; version=0.0.4')
        self.end_headers()
        self.wfile.write(b'it 1\n')

    def log_message(self, *_):
        pass

def write(name, text):
    with open(name, 'w') as file:
        file.write(text)

server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Target)
threading.Thread(target=server.serve_forever, daemon=True).start()
with socket.socket() as one:
    one.bind(('127.0.0.1', 0))
    address = f'127.0.0.1:{one.getsockname()[1]}'
write('token', 'first\n')
write('prometheus.yml', f'''global: {{scrape_interval: 1s}}
scrape_configs:
- job_name: it
  authorization: {{credentials_file: {os.getcwd()}/token}}
  static_configs: [{{targets: ['127.0.0.1:{server.server_address[1]}']}}]
''')
command = ['root/usr/bin/prometheus', '--config.file=prometheus.yml', '--storage.tsdb.path=data', f'--web.listen-address={address}']
prometheus = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

def until(health):
    """What Prometheus says of its target, once that has this health, or after 20 s."""
    for _ in range(100):
        time.sleep(0.2)
        try:
            with urllib.request.urlopen(f'http://{address}/api/v1/targets') as answer:
                (target,) = json.load(answer)['data']['activeTargets']
        except (OSError, ValueError):
            continue
        if target['health'] == health:
            break
    return target['health'], target['lastError']

try:
    one_line = until('up')
    sent = asked[-1]
    print(f'one line: {one_line[0]}; sent: {sent!r}')
    write('token', 'first\nsecond\n')
    two_lines = until('down')
    before = len(asked)
    time.sleep(3)
    print(f'two lines: {two_lines[0]}: {two_lines[1]}; requests in three seconds: {len(asked) - before}')
    check = subprocess.run(['root/usr/bin/promtool', 'check', 'config', 'prometheus.yml'], capture_output=True, text=True)
    print(f'promtool check config: status {check.returncode}')
    as_seen = (one_line[0], sent, two_lines[0], len(asked) - before, check.returncode) == ('up', 'Bearer first', 'down', 0, 0)
    as_seen = as_seen and 'invalid header field value' in two_lines[1]
finally:
    prometheus.terminate()
    prometheus.wait()
print('as described' if as_seen else 'DIFFERENT from the description')
sys.exit(0 if as_seen else 1)
PY
timeout 90 python3 try.py
