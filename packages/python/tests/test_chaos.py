"""Worker processes are killed while they hold durable requests; each request ends with its result."""

from __future__ import annotations

import pathlib
import socket
import subprocess
import sys
import threading

from majordomo_client import Client

from .conftest import ROOT, StartBroker

REQUESTS, KILLS, WORKERS = 60, 12, 3

# A handler says which request it holds, and goes on when it is told to.
HANDLER = """
import os, socket

def work(request):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(f"{os.getpid()}-{request.text()}")
        line.settimeout(60)
        line.sendto(f"{os.getpid()} {request.text()}".encode(), "judge")
        line.recv(10)
        os.unlink(line.getsockname())
    return "done " + request.text()
"""


class Fleet:
    """Workers, of which some are killed as soon as they hold a request, and replaced."""

    def __init__(self, directory: pathlib.Path, endpoint: str) -> None:
        (directory / "chores.py").write_text(HANDLER)
        self._directory = directory
        self._endpoint = endpoint
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._judge = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._judge.bind(str(directory / "judge"))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.kills = 0
        self.begun: list[str] = []

    def __enter__(self) -> "Fleet":
        for _ in range(WORKERS):
            self._start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.sendto(b"end", str(self._directory / "judge"))
        self._thread.join()
        self._judge.close()
        for process in self._processes.values():
            process.kill()
            process.wait()

    def _start(self) -> None:
        line = [sys.executable, "-m", "majordomo_client.worker", "chores:work", "--endpoint", self._endpoint, "--concurrency", "2"]
        environment = {"PYTHONPATH": str(ROOT / "packages" / "python"), "PATH": "/usr/bin:/bin"}
        process = subprocess.Popen(line, cwd=self._directory, env=environment, stderr=subprocess.DEVNULL)
        self._processes[process.pid] = process

    def _run(self) -> None:
        while True:
            message = self._judge.recv(100).decode()
            if message == "end":
                return
            pid, body = message.split(" ")
            process = self._processes.get(int(pid))
            if process is None:
                continue  # it was killed while it said so
            self.begun.append(body)
            if len(self.begun) % 4 == 0 and self.kills < KILLS:
                self.kills += 1
                process.kill()
                process.wait()
                del self._processes[process.pid]
                self._start()
            else:
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
                    line.sendto(b"go on", str(self._directory / f"{pid}-{body}"))


def test_every_durable_request_ends_with_its_result_however_many_workers_are_killed(
    start_broker: StartBroker, tmp_path: pathlib.Path
) -> None:
    broker = start_broker()
    with Client(broker.endpoint) as client, Fleet(tmp_path, broker.endpoint) as fleet:
        jobs = [client.enqueue("work", str(number), max_attempts=100, backoff=(10, 100)) for number in range(REQUESTS)]
        for number, job in enumerate(jobs):
            assert job.result(timeout_ms=60_000).text() == f"done {number}"
            job.close()
        assert fleet.kills == KILLS and len(fleet.begun) >= REQUESTS + KILLS
        assert set(fleet.begun) == {str(number) for number in range(REQUESTS)}
