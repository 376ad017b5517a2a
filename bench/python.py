"""Requests per second of majordomo.Client and Worker against raw frames with pyzmq: the same broker, the same
number of threads that ask, in turns.

    npm run bench:python

The raw worker and the raw client are those of docs/languages/python.md. That client connects for each request;
a second one keeps its connections.
"""

from __future__ import annotations

import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import zmq

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "packages" / "python"))

from majordomo_client import Client, Worker  # noqa: E402

CLIENT, WORKER = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "languages" / "python.md").read_text(), re.DOTALL)[:2]
SECONDS, ROUNDS = 1.0, 9
KINDS = ("majordomo", "raw frames", "raw frames, kept connections")


def serve(kind: str, endpoint: str) -> None:
    if kind == "raw":
        program = WORKER.replace("tcp://127.0.0.1:5555", endpoint).replace('b"reverse"', 'b"raw"')
        exec(program, {})
    Worker(endpoint, "ours", lambda request: request.value[::-1]).run()


def load(kind: str, endpoint: str) -> None:
    """For each line of input, the number outstanding, one line with requests per second."""
    space: dict[str, object] = {}
    exec(CLIENT[: CLIENT.index("\nprint(")], space)
    raw, client = space["request"], Client(endpoint)

    def loop(until: float, counts: "list[int]") -> None:
        socket = zmq.Context.instance().socket(zmq.REQ)
        socket.connect(endpoint)
        count = 0
        while time.monotonic() < until:
            if kind == "majordomo":
                answer = client.request("ours", b"hello").value
            elif kind == "raw frames":
                (answer,) = raw(endpoint, b"raw", b"hello")  # type: ignore[operator]
            else:
                socket.send_multipart([b"MDPC01", b"raw", b"hello"])
                answer = socket.recv_multipart()[2]
            assert answer == b"olleh"
            count += 1
        socket.close(0)
        counts.append(count)

    loop(time.monotonic() + SECONDS, [])
    for line in sys.stdin:
        counts: "list[int]" = []
        until = time.monotonic() + SECONDS
        threads = [threading.Thread(target=loop, args=(until, counts)) for _ in range(int(line))]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        print(sum(counts) / SECONDS, flush=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        sets = ["broker.listen=tcp://127.0.0.1:0", "http.listen=off", "log.format=json", f"node.dataDir={directory}"]
        flags = [part for each in sets for part in ("--set", each)]
        node = ROOT / "node_modules" / ".bin" / "node"
        broker = subprocess.Popen([node, ROOT / "dist" / "main.js", "serve", *flags], stdout=subprocess.PIPE, text=True)
        started = [broker]
        try:
            assert broker.stdout is not None
            events = map(json.loads, broker.stdout)
            endpoint = next(each for each in events if each["event"] == "broker.ready")["endpoints"][0]

            def start(*arguments: str) -> "subprocess.Popen[str]":
                line = [sys.executable, __file__, *arguments, endpoint]
                started.append(subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
                return started[-1]

            for kind in ("ours", "raw"):
                start("serve", kind)
            loads = [start("load", kind) for kind in KINDS]
            for outstanding in (1, 8):
                rates = [[rate_of(each, outstanding) for each in loads] for _ in range(ROUNDS)]
                for at in range(1, len(KINDS)):
                    ratio = statistics.median(each[0] / each[at] for each in rates)
                    print(f"{outstanding} outstanding: {KINDS[0]} / {KINDS[at]}: {ratio:.2f}", flush=True)
        finally:
            for each in started:
                each.kill()
                each.wait()


def rate_of(process: "subprocess.Popen[str]", outstanding: int) -> float:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(f"{outstanding}\n")
    process.stdin.flush()
    return float(process.stdout.readline())


if __name__ == "__main__":
    if len(sys.argv) == 4:
        (serve if sys.argv[1] == "serve" else load)(*sys.argv[2:])
    else:
        main()
