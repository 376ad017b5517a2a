"""The names of docs/python.md and docs/errors.md exist in both SDKs, and the programs of the first run."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys

import majordomo_client
from majordomo_client import errors

from .conftest import ROOT, Broker

PAGE = (ROOT / "docs" / "python.md").read_text()
ERRORS = (ROOT / "docs" / "errors.md").read_text()
NAME = re.compile(r"`([^`]+)`")


def known(name: str) -> bool:
    """A name of the module, a member of a class, or the argument of a function: `Client.request(headers)`."""
    path, _, argument = name.rstrip(")").partition("(")
    thing: object = majordomo_client
    for part in path.split("."):
        thing = getattr(thing, part, None)
    if thing is None:
        # What an instance has.
        owner, _, attribute = path.rpartition(".")
        kind = getattr(majordomo_client, owner, None)
        return kind is not None and re.search(rf"self\.{attribute}\b[^=\n]*= ", inspect.getsource(kind)) is not None
    return not argument or argument in inspect.signature(thing).parameters  # type: ignore[arg-type]


def test_the_names_of_the_list_exist_in_both_sdks() -> None:
    items = re.split(r"\n(?:- |\n)", PAGE.split("## Names")[1])
    rows = [re.split(r":\s", each, maxsplit=1) for each in items if each.startswith("`") and re.search(r":\s", each)]
    assert len(rows) > 10
    # The options of durable requests.
    files = [*(ROOT / "src" / "sdk").rglob("*.ts"), ROOT / "src" / "wire" / "job-option-table.ts"]
    source = "\n".join(path.read_text() for path in files)
    for typescript, python in rows:
        for name in NAME.findall(typescript):
            word = re.split(r"[.(]", name.rstrip(")"))[-1]
            assert re.search(rf"\b{word}\b", source), f"{name} is not in the TypeScript SDK"
        for name in NAME.findall(python):
            assert known(name), f"{name} is not in majordomo_client"


def test_every_name_of_the_package_is_on_the_page_or_among_the_errors() -> None:
    missing = [name for name in majordomo_client.__all__ if not re.search(rf"\b{name}\b", PAGE + ERRORS)]
    assert missing == []


def test_a_type_checker_finds_every_error_in_the_package() -> None:
    source = inspect.getsource(majordomo_client).partition("__all__ = ")[2]
    assert set(errors.__all__) <= set(ast.literal_eval(source))


def test_the_errors_of_docs_errors_md_have_their_codes() -> None:
    kinds = [getattr(majordomo_client, name) for name in errors.__all__ if name != "MajordomoError"]
    rows = set(re.findall(r"^\| `(ERR_\w+)` *\| `(\w+)` *\|", ERRORS, re.MULTILINE))
    assert rows == {(kind.code, kind.__name__) for kind in kinds}


def test_the_programs_of_the_page_run(broker: Broker) -> None:
    worker, client = re.findall(r"```python\n(# (?:worker|client)\.py\n.*?)```", PAGE, re.DOTALL)
    run = [sys.executable, "-c"]
    here = str(ROOT / "packages" / "python")
    serving = subprocess.Popen([*run, worker.replace("tcp://127.0.0.1:5555", broker.endpoint)], cwd=here)
    try:
        asked = [*run, client.replace("tcp://127.0.0.1:5555", broker.endpoint)]
        assert subprocess.run(asked, cwd=here, capture_output=True, check=True, timeout=30).stdout == b"olleh\n"
    finally:
        serving.terminate()
        assert serving.wait(30) == 0
