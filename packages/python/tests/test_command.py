"""The command majordomo-worker, and what a release has."""

from __future__ import annotations

import importlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from typing import Callable

import pytest

from majordomo_client import Client, Worker

from .conftest import PATIENCE, ROOT, Broker

HERE = ROOT / "packages" / "python"


def command(directory: pathlib.Path, *arguments: str) -> "subprocess.Popen[str]":
    line = [sys.executable, "-m", "majordomo_client.worker", *arguments]
    environment = {"PYTHONPATH": str(HERE), "PATH": "/usr/bin:/bin"}
    return subprocess.Popen(line, cwd=directory, env=environment, stderr=subprocess.PIPE, text=True)


def test_a_function_of_a_module_is_a_service_until_sigterm(broker: Broker, tmp_path: pathlib.Path) -> None:
    (tmp_path / "texts.py").write_text("def upper(request):\n    return request.text().upper()\n")
    process = command(tmp_path, "texts:upper", "--endpoint", broker.endpoint, "--run-in", "processes")
    with Client(broker.endpoint) as client:
        assert client.request("upper", "hello", timeout_ms=10_000).text() == "HELLO"
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0 and "upper is registered at" in log


SLOW = """
import os, pathlib, time

def slow(request):
    pathlib.Path("part").write_text(str(os.getpid()))
    pathlib.Path("part").rename("pid")
    while not pathlib.Path("go").exists():
        time.sleep(0.02)
    return "done"
"""


def patiently(met: "Callable[[], bool]") -> None:
    until = time.monotonic() + PATIENCE
    while not met():
        assert time.monotonic() < until
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_processes_of_a_worker_end_when_it_does_and_not_before(broker: Broker, tmp_path: pathlib.Path) -> None:
    (tmp_path / "chores.py").write_text(SLOW)
    pid = tmp_path / "pid"
    with Client(broker.endpoint) as client:
        job = client.enqueue("slow", "x", max_attempts=100, backoff=(10, 10))
        line = ("chores:slow", "--endpoint", broker.endpoint, "--run-in", "processes")
        killed = command(tmp_path, *line)
        patiently(pid.exists)
        child = int(pid.read_text())
        killed.kill()
        killed.communicate()
        patiently(lambda: not is_alive(child))
        pid.unlink()
        stopped = command(tmp_path, *line)
        patiently(pid.exists)
        # As systemd does.
        for each in (int(pid.read_text()), stopped.pid):
            os.kill(each, signal.SIGTERM)
        (tmp_path / "go").touch()
        assert job.result(timeout_ms=60_000).text() == "done"
        stopped.communicate(timeout=PATIENCE)
        assert stopped.returncode == 0


def test_handlers_in_processes_that_outlast_the_grace_are_killed(
    broker: Broker, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "late_chores.py").write_text(SLOW)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    slow = importlib.import_module("late_chores").slow
    with Client(broker.endpoint) as client:
        client.enqueue("late", "x")
        worker = Worker(broker.endpoint, "late", slow, run_in="processes").start()
        patiently((tmp_path / "pid").exists)
        worker.close(grace_ms=0)
        child = int((tmp_path / "pid").read_text())
        patiently(lambda: not is_alive(child))


def test_what_cannot_begin_says_why(tmp_path: pathlib.Path) -> None:
    for arguments, why in (
        (["texts"], "MODULE:FUNCTION"),
        (["no_such_module:f"], "no_such_module"),
        (["os:no_such_function"], "no_such_function"),
        (["os:getcwd"], "MAJORDOMO_URL"),
        (["os:getcwd", "--curve-key-file", "x"], "belong together"),
    ):
        process = command(tmp_path, *arguments)
        _, log = process.communicate(timeout=PATIENCE)
        assert process.returncode == 2 and why in log


FAILING = """
import ctypes, threading

def fail(request):
    (own,) = [each for each in threading.enumerate() if each.name == "majordomo-worker"]
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(own.ident), ctypes.py_object(SystemExit))
    return "done"
"""


def test_a_worker_that_fails_and_a_module_that_does_have_exit_status_1(broker: Broker, tmp_path: pathlib.Path) -> None:
    (tmp_path / "failing.py").write_text(FAILING)
    (tmp_path / "broken.py").write_text("raise ValueError('not today')\n")
    process = command(tmp_path, "broken:f", "--endpoint", broker.endpoint)
    _, log = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1 and "not today" in log
    (tmp_path / "lacking.py").write_text("import nope\n")
    process = command(tmp_path, "lacking:f", "--endpoint", broker.endpoint)
    _, log = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1 and 'lacking.py", line 1' in log and "No module named 'nope'" in log
    process = command(tmp_path, "failing:fail", "--endpoint", broker.endpoint)
    with Client(broker.endpoint) as client:
        job = client.enqueue("fail", "x")
        _, log = process.communicate(timeout=PATIENCE)
        job.close()
    assert process.returncode == 1 and "RuntimeError: the worker has failed" in log


def test_the_packages_of_a_release(tmp_path: pathlib.Path) -> None:
    made = [sys.executable, str(HERE / "make_packages.py"), str(tmp_path)]
    subprocess.run(made, check=True, capture_output=True, timeout=PATIENCE)
    version = json.loads((ROOT / "package.json").read_text())["version"]
    wheel = tmp_path / f"majordomo_client-{version}-py3-none-any.whl"
    names = zipfile.ZipFile(wheel).namelist()
    info = f"majordomo_client-{version}.dist-info"
    assert {"majordomo_client/py.typed", "majordomo_client/worker.py", f"{info}/RECORD", f"{info}/entry_points.txt"} <= set(names)
    assert not any("tests" in name or "__pycache__" in name for name in names)
    source = tarfile.open(tmp_path / f"majordomo_client-{version}.tar.gz").getnames()
    assert f"majordomo_client-{version}/pyproject.toml" in source and f"majordomo_client-{version}/PKG-INFO" in source
    program = f"import sys; sys.path.insert(0, {str(wheel)!r}); import majordomo_client; print(majordomo_client.__file__)"
    found = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, check=True, text=True)
    assert str(wheel) in found.stdout
    first = wheel.read_bytes()
    subprocess.run(made, check=True, capture_output=True, timeout=PATIENCE)
    assert wheel.read_bytes() == first
