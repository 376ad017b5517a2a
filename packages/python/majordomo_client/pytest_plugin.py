"""The fixture ``majordomo_broker`` of pytest: a broker for the tests of a program, which ends with them."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
from typing import IO, Iterator, NamedTuple, Optional

import pytest

_START_SECONDS = 30
_CLONE = pathlib.Path(__file__).resolve().parents[3]
_MISSING = (
    "majordomo_broker needs a broker, and finds none: `npm install --save-dev majordomo-broker` (or --global) installs it. It looks for the "
    "command `majordomo` in PATH, for node_modules/.bin/majordomo in {here} and above, and for a clone with this package that `npm run build` has built."
)
_NO_NODE = "majordomo_broker needs Node.js: {program} is built, and there is no command `node` in PATH, nor in node_modules beside it"


class ThrowAwayBroker(NamedTuple):
    """What the fixture gives: where programs connect, and the log in lines of JSON."""

    endpoint: str
    log: "list[str]"


def _command() -> "list[str]":
    """How the program is started; ends the test, in words, if there is none."""
    installed = shutil.which("majordomo")
    if installed is not None:
        return [installed]
    here = pathlib.Path.cwd()
    for folder in (here, *here.parents):
        found = shutil.which("majordomo", path=str(folder / "node_modules" / ".bin"))
        if found is not None:
            return [found]
    program = pathlib.Path(os.environ.get("MAJORDOMO_PROGRAM", _CLONE / "dist" / "main.js"))
    if not program.exists():
        pytest.fail(_MISSING.format(here=here), pytrace=False)
    beside = str(program.parent.parent / "node_modules" / ".bin")
    node = shutil.which("node", path=beside) or shutil.which("node")
    if node is None:
        pytest.fail(_NO_NODE.format(program=program), pytrace=False)
    return [node, str(program)]


@pytest.fixture(scope="session")
def majordomo_broker() -> "Iterator[ThrowAwayBroker]":
    """A broker of its own for the tests of one run, at a free port of this machine."""
    with tempfile.TemporaryDirectory(prefix="majordomo-") as folder:
        settings = ["broker.listen=tcp://127.0.0.1:0", "http.listen=off", "log.format=json", f"node.dataDir={folder}/data"]
        command = [*_command(), "serve", *(part for each in settings for part in ("--set", each))]
        environment = {name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"}
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        log: "list[str]" = []
        endpoint: "list[str]" = []
        is_told = threading.Event()
        assert process.stdout is not None
        reader = threading.Thread(target=_read, args=(process.stdout, log, endpoint, is_told), daemon=True)
        reader.start()
        try:
            if not is_told.wait(_START_SECONDS) or not endpoint:
                pytest.fail(f"the broker did not start: {' '.join(command)}\n{''.join(log)}", pytrace=False)
            yield ThrowAwayBroker(endpoint[0], log)
        finally:
            process.kill()
            process.wait()
            reader.join()
            process.stdout.close()


def _read(output: "IO[str]", log: "list[str]", endpoint: "list[str]", is_told: threading.Event) -> None:
    for line in output:
        log.append(line)
        del log[:-10_000]
        found = _endpoint_in(line)
        if found is not None and not is_told.is_set():
            endpoint.append(found)
            is_told.set()
    is_told.set()


def _endpoint_in(line: str) -> Optional[str]:
    try:
        event = json.loads(line)
        return str(event["endpoints"][0]) if event["event"] == "broker.ready" else None
    except (KeyError, TypeError, ValueError):
        return None
