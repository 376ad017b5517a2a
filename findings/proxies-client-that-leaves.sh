#!/usr/bin/env bash
# nginx, HAProxy, Apache httpd, lighttpd and h2o of Debian 12: a client leaves before its answer.
#
# Expected: the proxy sees that the client has closed, and closes its connection to the server, which can end the work.
#
# Seen: nginx does. HAProxy does with `option abortonclose` in `defaults` or `listen`; in a `backend` alone, where its
# manual allows the option, it changes nothing. Apache, lighttpd and h2o never tell: the server learns of it when it has
# answered.
set -euo pipefail
dir=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download nginx=1.22.1-9+deb12u* nginx-common haproxy=2.6.12-1+deb12u* apache2-bin lighttpd=1.4.69-1* h2o=2.2.5+dfsg2-7 \
  liblua5.3-0 libopentracing-c-wrapper0 libopentracing1 libapr1 libaprutil1 libh2o0.13 libwslay1 libnettle8 libxxhash0
for each in ./*.deb; do dpkg-deb --extract "$each" files; done
library=$(echo "$dir"/files/usr/lib/*-linux-gnu)
export LD_LIBRARY_PATH=$library PATH=$dir/files/usr/sbin:$dir/files/usr/bin:$PATH

cat >server.py <<'PYTHON'
# Answers after four seconds, and says of each request whether the connection was closed before.
import socket
import sys
import threading
import time


def serve(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return
        data += more
    path, start = data.split(b" ")[1].decode(), time.monotonic()
    told = False
    try:
        while path != "/ready" and not told:
            connection.settimeout(max(0.01, start + 4 - time.monotonic()))
            told = not connection.recv(65536)
    except TimeoutError:
        pass
    except OSError:
        told = True
    if path != "/ready":
        print(path[1:], "told" if told else "not told", flush=True)
    try:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    except OSError:
        pass
    connection.close()


listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=50)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
PYTHON
cat >client.py <<'PYTHON'
import socket
import sys
import time

port, path = int(sys.argv[1]), sys.argv[2]
with socket.create_connection(("127.0.0.1", port), timeout=2) as peer:
    peer.sendall(f"GET /{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    if path == "ready":
        assert b" 200 " in peer.recv(100)
    else:
        time.sleep(0.5)
PYTHON
read -r server nginx backend defaults listen apache lighttpd h2o < <(python3 -c "
import socket
s = [socket.socket() for _ in range(8)]
for each in s: each.bind(('127.0.0.1', 0))
print(*(each.getsockname()[1] for each in s))")
user=$(id -un)
cat >nginx.conf <<END
daemon off; pid $dir/nginx.pid; error_log stderr; events {}
http { access_log off; client_body_temp_path $dir/b; proxy_temp_path $dir/p; fastcgi_temp_path $dir/f; uwsgi_temp_path $dir/u; scgi_temp_path $dir/s;
server { listen 127.0.0.1:$nginx; location / { proxy_pass http://127.0.0.1:$server; } } }
END
timeouts='  mode http
  timeout connect 1s
  timeout client 30s
  timeout server 30s'
cat >haproxy.cfg <<END
defaults
$timeouts
frontend one
  bind 127.0.0.1:$backend
  default_backend one
backend one
  option abortonclose
  server one 127.0.0.1:$server
listen three
  bind 127.0.0.1:$listen
  option abortonclose
  server one 127.0.0.1:$server
defaults
$timeouts
  option abortonclose
frontend two
  bind 127.0.0.1:$defaults
  default_backend two
backend two
  server one 127.0.0.1:$server
END
modules=$dir/files/usr/lib/apache2/modules
cat >apache.conf <<END
ServerRoot $dir
ServerName localhost
Listen 127.0.0.1:$apache
PidFile $dir/apache.pid
ErrorLog $dir/apache.log
DefaultRuntimeDir $dir
LoadModule mpm_event_module $modules/mod_mpm_event.so
LoadModule authz_core_module $modules/mod_authz_core.so
LoadModule proxy_module $modules/mod_proxy.so
LoadModule proxy_http_module $modules/mod_proxy_http.so
ProxyPass / http://127.0.0.1:$server/
END
cat >lighttpd.conf <<END
server.modules = ("mod_proxy")
server.document-root = "$dir"
server.bind = "127.0.0.1"
server.port = $lighttpd
proxy.server = ("" => (("host" => "127.0.0.1", "port" => $server)))
END
printf 'user: %s\nhosts:\n  "*":\n    listen: { port: %s, host: 127.0.0.1 }\n    paths:\n      "/":\n        proxy.reverse.url: http://127.0.0.1:%s/\n' "$user" "$h2o" "$server" >h2o.conf

start() { timeout 60 "$@" >>programs.log 2>&1 & pids+=($!); }
python3 server.py "$server" >seen & pids+=($!)
start nginx -e stderr -c "$dir/nginx.conf"
start haproxy -f haproxy.cfg
start apache2 -DFOREGROUND -f "$dir/apache.conf"
start lighttpd -D -f lighttpd.conf -m "$dir/files/usr/lib/lighttpd"
start h2o -c h2o.conf
curls=()
for each in nginx haproxy-backend:backend haproxy-defaults:defaults haproxy-listen:listen apache lighttpd h2o; do
  port=${each#*:}
  for _ in $(seq 50); do python3 client.py "${!port}" ready 2>/dev/null && break; sleep 0.2; done || { echo "$each does not answer"; tail -5 programs.log; exit 1; }
  python3 client.py "${!port}" "${each%:*}" & curls+=($!)
done
wait "${curls[@]}"
sleep 5
sort seen
[ "$(sort seen | tr '\n' ,)" = 'apache not told,h2o not told,haproxy-backend not told,haproxy-defaults told,haproxy-listen told,lighttpd not told,nginx told,' ]
