"""Programs in which gevent or eventlet has replaced threads, and gunicorn with its workers of every kind."""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
import subprocess
import sys
import threading
import time
import urllib.request
from typing import Callable, Iterator

import pytest

from majordomo_client import Request, Worker

from .conftest import PACKAGE, PATIENCE, Broker, free_port, need, output_of, start_program

REPLACE = {
    "gevent": """
from gevent import monkey
monkey.patch_all()
from gevent import spawn
""",
    # Its import warns of what it imports.
    "eventlet": """
import warnings
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import eventlet
eventlet.monkey_patch()
from eventlet import spawn
""",
}

PROGRAM = """
import asyncio, sys, threading, time
from majordomo_client import AsyncClient, Client, RequestTimeoutError, ServiceError, SharedMap, UsageError, Worker

ticks = 0


def tick():
    global ticks
    while True:
        ticks += 1
        time.sleep(0.001)


async def awaited():
    async with AsyncClient(sys.argv[1]) as client:
        return [each.text() for each in await asyncio.gather(*(client.request("green", str(n)) for n in range(3)))]


spawn(tick)
with Client(sys.argv[1]) as client:
    answers = []
    threads = [threading.Thread(target=lambda n=n: answers.append(client.request("green", f"meet {n}").text())) for n in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    print(sorted(answers), ticks > 10)
    before = ticks
    print([part.text() for part in client.stream("green-parts", "x")], ticks > before + 10)
    for call in (lambda: client.request("green", "fail"), lambda: client.request("nobody", "x", timeout_ms=50)):
        try:
            call()
        except (RequestTimeoutError, ServiceError) as error:
            print(type(error).__name__)
print(asyncio.run(awaited()))
for refused in (lambda: Worker(sys.argv[1], "x", print), lambda: SharedMap(sys.argv[1])):
    try:
        refused()
    except UsageError as error:
        print(error.code, error)
"""


class Meeting:
    """A handler whose requests wait for each other, so that a client that waits for one cannot have sent all."""

    def __init__(self) -> None:
        self._all = threading.Barrier(8)

    def __call__(self, request: Request) -> str:
        what, _, number = request.text().partition(" ")
        if what == "fail":
            raise ValueError("fails")
        if what == "meet":
            self._all.wait(PATIENCE)
            time.sleep(0.1)  # other greenlets run meanwhile
        return number or what


def parts(request: Request) -> "Iterator[str]":
    for number in range(3):
        yield str(number)
        time.sleep(0.1)


@pytest.mark.parametrize("package", ["gevent", "eventlet"])
def test_a_client_lets_other_greenlets_run_and_what_cannot_is_refused(
    broker: Broker, tmp_path: pathlib.Path, package: str
) -> None:
    need(package)
    services: "dict[str, Callable[[Request], object]]" = {"green": Meeting(), "green-parts": parts}
    with Worker(broker.endpoint, services=services, concurrency=9).ready():
        what = f"needs threads, which {package} has replaced here: run it in a process without monkey patching"
        assert output_of(start_program(tmp_path, REPLACE[package] + PROGRAM, broker.endpoint)) == [
            f"{[str(n) for n in range(8)]} True",
            "['0', '1', '2', ''] True",
            "ServiceError",
            "RequestTimeoutError",
            "['0', '1', '2']",
            f"ERR_MDP_USAGE a worker {what}",
            f"ERR_MDP_USAGE a map {what}",
        ]


APPLICATION = """
import os
from majordomo_client import Client

CLIENT = Client(os.environ["MAJORDOMO_URL"])
if os.environ["BEFORE"]:
    assert CLIENT.request("served", "before").text() == "before"


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [CLIENT.request("served", f"{os.getpid()} {environ['QUERY_STRING']}").value]
"""


@pytest.mark.parametrize(("kind", "before"), [
    ("sync", ""), ("sync", "used before"), ("gthread", "used before"),
    ("gevent", ""), ("gevent", "used before"), ("eventlet", "used before"),
])
def test_gunicorn_serves_with_a_client_that_was_made_before_its_workers(
    broker: Broker, tmp_path: pathlib.Path, kind: str, before: str
) -> None:
    for each in ("gunicorn", *([kind, f"gunicorn.workers.g{kind}"] if kind in REPLACE else [])):  # newer ones have no eventlet
        need(each)
    (tmp_path / "served.py").write_text(APPLICATION)
    address = f"127.0.0.1:{free_port()}"
    path = os.pathsep.join([str(PACKAGE), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path, "MAJORDOMO_URL": broker.endpoint, "BEFORE": before}
    # A worker that still starts when it is told to end may take the whole time of grace.
    options = ["--preload", "--workers=2", "--graceful-timeout=1", f"--worker-class={kind}", f"--bind={address}"]
    options += ["--threads=4"] if kind == "gthread" else []
    command = [sys.executable, "-m", "gunicorn", *options, "served:application"]
    with Worker(broker.endpoint, "served", lambda request: request.frames, concurrency=20).ready():
        log = tmp_path / "log"
        with log.open("w") as output:
            process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=output)
        try:
            until = time.monotonic() + PATIENCE
            while "Booting worker" not in log.read_text():
                assert process.poll() is None and time.monotonic() < until, log.read_text()
                time.sleep(0.05)

            def ask(number: int) -> "list[bytes]":
                with urllib.request.urlopen(f"http://{address}/?{number}", timeout=PATIENCE) as answer:
                    read: bytes = answer.read()
                    return read.split()

            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                answers = list(pool.map(ask, range(40)))
            assert [int(number) for _, number in answers] == list(range(40)), log.read_text()
            assert str(process.pid).encode() not in {pid for pid, _ in answers}
        finally:
            process.terminate()
            process.wait(PATIENCE)
