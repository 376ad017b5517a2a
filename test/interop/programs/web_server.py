"""A web server: PORT [DELAY_MS]; it answers each POST with its body."""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        print(json.dumps({"event": "request"}), flush=True)
        time.sleep(int(sys.argv[2]) / 1000 if len(sys.argv) > 2 else 0)
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Echo)
print(json.dumps({"event": "listening"}), flush=True)
server.serve_forever()
