"""The command majordomo-worker, and what a release has."""

from __future__ import annotations

import json
import pathlib
import signal
import subprocess
import sys
import tarfile
import zipfile

from majordomo import Client

from .conftest import PATIENCE, ROOT, Broker

HERE = ROOT / "packages" / "python"


def command(directory: pathlib.Path, *arguments: str) -> "subprocess.Popen[str]":
    line = [sys.executable, "-m", "majordomo.worker", *arguments]
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


def test_the_packages_of_a_release(tmp_path: pathlib.Path) -> None:
    made = [sys.executable, str(HERE / "make_packages.py"), str(tmp_path)]
    subprocess.run(made, check=True, capture_output=True, timeout=PATIENCE)
    version = json.loads((ROOT / "package.json").read_text())["version"]
    wheel = tmp_path / f"majordomo_client-{version}-py3-none-any.whl"
    names = zipfile.ZipFile(wheel).namelist()
    info = f"majordomo_client-{version}.dist-info"
    assert {"majordomo/py.typed", "majordomo/worker.py", f"{info}/RECORD", f"{info}/entry_points.txt"} <= set(names)
    assert not any("tests" in name or "__pycache__" in name for name in names)
    source = tarfile.open(tmp_path / f"majordomo_client-{version}.tar.gz").getnames()
    assert f"majordomo_client-{version}/pyproject.toml" in source and f"majordomo_client-{version}/PKG-INFO" in source
    program = f"import sys; sys.path.insert(0, {str(wheel)!r}); import majordomo; print(majordomo.__file__)"
    found = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, check=True, text=True)
    assert str(wheel) in found.stdout
    first = wheel.read_bytes()
    subprocess.run(made, check=True, capture_output=True, timeout=PATIENCE)
    assert wheel.read_bytes() == first
