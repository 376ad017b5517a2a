#!/usr/bin/env bash
# nginx 1.22.1 (Debian 12): a part of $request_uri that `if` captures, for proxy_pass.
#
# Expected: `if ($request_uri ~ ^/below(/.*)$) { set $rest $1; }` gives the rest as it was sent: $request_uri is not
# decoded.
#
# Seen: `set` escapes the numbered capture once more: /a%2Fb arrives as /a%252Fb, and a question mark as %3F, if the path
# has anything escaped in it. A capture with a name, (?<rest>…), is not escaped.
set -euo pipefail
dir=$(mktemp -d)
trap 'kill "${server:-}" "${nginx:-}" 2>/dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download nginx=1.22.1-9+deb12u*
dpkg-deb --extract nginx_*.deb files
read -r upstream port < <(python3 -c "
import socket
s = [socket.socket() for _ in range(2)]
for each in s: each.bind(('127.0.0.1', 0))
print(*(each.getsockname()[1] for each in s))")
cat >server.py <<'PYTHON'
import http.server
import sys


class Echo(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.path.encode() + b"\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Echo).serve_forever()
PYTHON
cat >nginx.conf <<END
daemon off; pid $dir/pid; error_log stderr; events {}
http { access_log off; client_body_temp_path $dir/b; proxy_temp_path $dir/p; fastcgi_temp_path $dir/f; uwsgi_temp_path $dir/u; scgi_temp_path $dir/s;
server { listen 127.0.0.1:$port;
location /numbered/ { if (\$request_uri ~ ^/numbered(/.*)\$) { set \$rest \$1; } proxy_pass http://127.0.0.1:$upstream\$rest; }
location /named/ { if (\$request_uri !~ ^/named(?<path>/.*)\$) { return 400; } proxy_pass http://127.0.0.1:$upstream\$path; }
} }
END
python3 server.py "$upstream" 2>server.log &
server=$!
files/usr/sbin/nginx -p "$dir" -e stderr -c "$dir/nginx.conf" 2>nginx.log &
nginx=$!
get() { python3 -c 'import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode().strip())' "http://127.0.0.1:$port$1"; }
for _ in $(seq 50); do get /named/ >first 2>&1 && break; sleep 0.2; done
numbered=$(get '/numbered/a%2Fb?c=1')
named=$(get '/named/a%2Fb?c=1')
echo "numbered: $numbered, named: $named"
[ "$numbered" = '/a%252Fb%3Fc=1' ] && [ "$named" = '/a%2Fb?c=1' ]
