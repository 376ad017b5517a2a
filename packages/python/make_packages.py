#!/usr/bin/env python3
"""Writes the wheel and the sdist into a directory: ``make_packages.py DIRECTORY``.

With the standard library alone, so that a release needs neither a network nor build tools; the same
sources make the same bytes. The metadata are those of pyproject.toml, which pip and other tools read.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import pathlib
import re
import sys
import tarfile
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
# 1980-01-01, the first day of ZIP.
EPOCH = (1980, 1, 1, 0, 0, 0)
EXTRAS = re.compile(r"^optional-dependencies = \{(.*)\}$", re.MULTILINE)


def metadata() -> "tuple[str, str]":
    """The version, and the text of METADATA and PKG-INFO."""
    project = (HERE / "pyproject.toml").read_text()

    def value(key: str) -> str:
        match = re.search(rf'^{key} = "(.*)"$', project, re.MULTILINE)
        if match is None:
            raise SystemExit(f"pyproject.toml has no {key}")
        return match[1]

    version = value("version")
    needs = re.search(r'^dependencies = \["(.*)"\]$', project, re.MULTILINE)
    if needs is None:
        raise SystemExit("pyproject.toml has no dependencies in the expected form")
    extras = EXTRAS.search(project)
    found = re.findall(r'(\w+) = \["(.*?)"\]', extras[1] if extras else "")
    classifiers = re.findall(r'^classifiers = \["(.*)"\]$', project, re.MULTILINE)
    optional = [line for extra, need in found for line in (f"Provides-Extra: {extra}", f'Requires-Dist: {need}; extra == "{extra}"')]
    head = [
        "Metadata-Version: 2.1",
        "Name: majordomo-client",
        f"Version: {version}",
        f"Summary: {value('description')}",
        "License: MPL-2.0",
        f"Requires-Python: {value('requires-python')}",
        f"Requires-Dist: {needs[1]}",
        *optional,
        *(f"Classifier: {classifier}" for classifier in classifiers),
        "Description-Content-Type: text/markdown",
    ]
    return version, "\n".join(head) + "\n\n" + (HERE / "README.md").read_text()


def sources() -> "dict[str, bytes]":
    files = sorted(path for path in (HERE / "majordomo_client").iterdir() if path.suffix in (".py", ".typed"))
    return {f"majordomo_client/{path.name}": path.read_bytes() for path in files}


def write_wheel(directory: pathlib.Path, version: str, text: str) -> pathlib.Path:
    info = f"majordomo_client-{version}.dist-info"
    files = sources()
    files[f"{info}/METADATA"] = text.encode()
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: make_packages\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{info}/entry_points.txt"] = b"[console_scripts]\nmajordomo-worker = majordomo_client.worker:main\n" \
        b"[pytest11]\nmajordomo = majordomo_client.pytest_plugin\n"
    files[f"{info}/LICENSE"] = (HERE / "LICENSE").read_bytes()
    record = []
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        record.append(f"{name},sha256={digest},{len(content)}\n")
    files[f"{info}/RECORD"] = "".join([*record, f"{info}/RECORD,,\n"]).encode()
    target = directory / f"majordomo_client-{version}-py3-none-any.whl"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            wheel.writestr(entry, content)
    return target


def write_sdist(directory: pathlib.Path, version: str, text: str) -> pathlib.Path:
    root = f"majordomo_client-{version}"
    files = {**sources(), "PKG-INFO": text.encode()}
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        files[name] = (HERE / name).read_bytes()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"{root}/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    target = directory / f"{root}.tar.gz"
    target.write_bytes(gzip.compress(packed.getvalue(), mtime=0))
    return target


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    version, text = metadata()
    for write in (write_wheel, write_sdist):
        print(write(pathlib.Path(sys.argv[1]), version, text))


if __name__ == "__main__":
    main()
