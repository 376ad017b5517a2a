"""The fixture of pytest, and what it says where the broker is missing."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys

import pytest

from majordomo_client import Client
from majordomo_client.pytest_plugin import ThrowAwayBroker

from .conftest import PACKAGE, PATIENCE, node_program

TEST = """
from majordomo_client import Client

def test_it(majordomo_broker):
    with Client(majordomo_broker.endpoint) as client:
        assert client.request("mmi.broker", "").frames[0] == b"200"
"""


def test_the_fixture_gives_a_broker(majordomo_broker: ThrowAwayBroker) -> None:
    with Client(majordomo_broker.endpoint) as client:
        assert client.request("mmi.broker", "").frames[0] == b"200"
    assert any("broker.ready" in line for line in majordomo_broker.log)


@pytest.mark.parametrize(("where", "text"), [
    ("command", "1 passed"), ("node_modules", "1 passed"), ("clone", "1 passed"),
    ("nothing", "npm install --save-dev majordomo-broker"), ("no node", "needs Node.js"), ("wrong", "the broker did not start: .*\nno broker"),
])
def test_where_the_broker_comes_from_and_what_is_said_without(tmp_path: pathlib.Path, where: str, text: str) -> None:
    (tmp_path / "test_it.py").write_text(TEST)
    program = os.environ.get("MAJORDOMO_PROGRAM", str(PACKAGE.parents[1] / "dist" / "main.js"))
    tools = tmp_path / ("node_modules/.bin" if where == "node_modules" else "tools")
    tools.mkdir(parents=True)
    if where in ("command", "node_modules", "wrong"):
        (tools / "majordomo").write_text("#!/bin/sh\n" + ("echo no broker" if where == "wrong" else f'exec "{node_program()}" "{program}" "$@"'))
        (tools / "majordomo").chmod(0o755)
    if where == "clone":
        (tools / "node").symlink_to(node_program())
    if where == "no node":
        (tmp_path / "main.js").touch()
        program = str(tmp_path / "main.js")
    elif where != "clone":
        program = str(tmp_path / "missing.js")
    path = "/usr/bin:/bin" if where not in ("no node", "node_modules", "nothing") else str(tmp_path / "none")
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE), "PATH": f"{tools}:{path}" if where != "node_modules" else path,
                   "MAJORDOMO_PROGRAM": program}
    command = [sys.executable, "-m", "pytest", "-p", "majordomo_client.pytest_plugin", "-p", "no:cacheprovider", "test_it.py"]
    found = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=2 * PATIENCE)
    assert re.search(text, found.stdout), found.stdout + found.stderr
    assert found.returncode == (0 if "passed" in text else 1)
