"""Brokers, the repository's built program: ``npm run build`` makes it."""

from __future__ import annotations

import faulthandler
import importlib.util
import itertools
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import threading
from typing import Any, Callable, Iterator, Sequence

import pytest

from majordomo_client.pytest_plugin import majordomo_broker as majordomo_broker

ROOT = pathlib.Path(__file__).resolve().parents[3]
PACKAGE = pathlib.Path(__file__).resolve().parents[1]
PROGRAM = os.environ.get("MAJORDOMO_PROGRAM", str(ROOT / "dist" / "main.js"))
PATIENCE = 30.0
TEST_PATIENCE = 240  # a whole test, on a busy machine
_given = itertools.count()


@pytest.fixture(autouse=True)
def in_time() -> Iterator[None]:
    """A test that hangs fails, and says where."""

    def late(*_: object) -> None:
        faulthandler.dump_traceback()
        pytest.fail(f"the test has taken {TEST_PATIENCE} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(TEST_PATIENCE)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def free_port(above: int = 0) -> int:
    """A free port, and as many above it, below those that the system picks for outgoing connections.

    Processes that run beside this one begin elsewhere, and each port is given once.
    """
    while True:
        port = 12_000 + (os.getpid() * 37 + next(_given)) % 8000
        try:
            for each in range(port, port + above + 1):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", each))
        except OSError:
            continue
        for _ in range(above):
            next(_given)
        return port


def node_program() -> str:
    """The repository's own Node, of the right version, where there is one."""
    ours = ROOT / "node_modules" / ".bin" / "node"
    return str(ours) if ours.exists() else shutil.which("node") or "node"


def need(module: str) -> None:
    """Skips a test whose tool is absent, which is an error where all are installed."""
    if importlib.util.find_spec(module) is not None:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"{module} is not installed")
    pytest.skip(f"{module} is not installed")


def start_program(directory: pathlib.Path, text: str, *arguments: str) -> "subprocess.Popen[str]":
    """A program of the package, in Python's development mode; what it prints as a warning is an error."""
    # On a busy machine the development mode warns of steps of an event loop that take long.
    quiet_loop = "import logging\nlogging.getLogger('asyncio').setLevel(logging.ERROR)\n"
    (directory / "program.py").write_text(quiet_loop + text)
    path = os.pathsep.join([str(PACKAGE), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
    # Python 3.12 and newer warn of each fork of a process that has threads.
    quiet = ["-W", "ignore:This process:DeprecationWarning"]
    command = [sys.executable, "-X", "dev", *quiet, "program.py", *arguments]
    return subprocess.Popen(command, cwd=directory, env=environment, text=True, stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def output_of(process: "subprocess.Popen[str]", status: int = 0) -> "list[str]":
    """The lines that a program has printed when it has ended, with this status and nothing on its standard error."""
    try:
        printed, errors = process.communicate(timeout=4 * PATIENCE)
    finally:
        process.kill()
    assert (process.returncode, errors) == (status, ""), printed
    return printed.splitlines()


class Broker:
    """A process of ``majordomo serve``; ``wait`` waits for events of its log."""

    def __init__(self, directory: pathlib.Path, endpoint: str, *sets: str) -> None:
        self.endpoint = endpoint
        self.directory = directory
        self._sets = sets
        self._events: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        settings = [f"broker.listen={endpoint}", "http.listen=off", "log.format=json", f"node.dataDir={directory}", *sets]
        flags = [part for setting in settings for part in ("--set", setting)]
        command = [node_program(), PROGRAM, "serve", *flags]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._is_over = False
        threading.Thread(target=self._read, daemon=True).start()
        try:
            self.wait("broker.ready")
        except BaseException:
            self.kill()
            raise

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            try:
                event = json.loads(line)
            except ValueError:
                event = {"event": "", "text": line}
            with self._changed:
                self._events.append(event)
                self._changed.notify_all()
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def wait(self, event: str, count: int = 1) -> dict[str, Any]:
        def found() -> "list[dict[str, Any]]":
            return [each for each in self._events if each.get("event") == event]

        with self._changed:
            met = self._changed.wait_for(lambda: self._is_over or len(found()) >= count, PATIENCE)
            assert met and len(found()) >= count, f"{count} x {event} not in the log: {self._events}"
            return found()[count - 1]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def again(self) -> "Broker":
        """Another one in its place."""
        return Broker(self.directory, self.endpoint, *self._sets)


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One that the tests share; none kills it."""
    started = Broker(tmp_path_factory.mktemp("broker"), f"tcp://127.0.0.1:{free_port()}", "limits.messageBytes=1MiB")
    yield started
    started.kill()


def start_pair(directory: pathlib.Path, map_endpoints: "Sequence[str]" = ()) -> "list[Broker]":
    """The primary and the backup of a pair."""
    links = [f"tcp://127.0.0.1:{free_port()}" for _ in range(2)]
    return [
        Broker(
            directory / role, f"tcp://127.0.0.1:{free_port()}", f"node.name={role}", f"bstar.role={role}",
            f"bstar.listen={links[at]}", f"bstar.peer={links[1 - at]}", "bstar.heartbeatIntervalMs=1000",
            *(f"map.listen={each}" for each in map_endpoints[at : at + 1]),
        )
        for at, role in enumerate(["primary", "backup"])
    ]


StartBroker = Callable[..., Broker]


@pytest.fixture
def start_broker(tmp_path: pathlib.Path) -> Iterator[StartBroker]:
    """Starts brokers that end with the test."""
    started: list[Broker] = []

    def start(*sets: str) -> Broker:
        directory = tmp_path / str(len(started))
        started.append(Broker(directory, f"tcp://127.0.0.1:{free_port()}", *sets))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.kill()
