#!/usr/bin/env bash
# CPython 3.11.2 (Debian 12): a task of a ProcessPoolExecutor raises an error whose __init__ takes two arguments.
#
# Guess: its future raises the error, or a TypeError that says that the error cannot be unpickled. Other tasks go on.
#
# Found: the error is pickled without complaint and cannot be unpickled, which breaks the whole pool: the future
# raises BrokenProcessPool, so does that of the task beside it, whose process is killed, and the pool takes no more
# tasks. Neither tells the class or the text of the error. An error that cannot be pickled harms nobody: its future
# raises the reason.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
version=3.11.2-6+deb12u8
apt-get -qq -o APT::Sandbox::User=root download python3.11-minimal=$version libpython3.11-minimal=$version libpython3.11-stdlib=$version
for each in ./*.deb; do dpkg-deb --extract "$each" files; done

cat >program.py <<'PYTHON'
import concurrent.futures
import sys
import time


class Declined(Exception):
    def __init__(self, code, text):
        super().__init__(f"{code}: {text}")


class Unpicklable(Exception):
    def __reduce__(self):
        raise RuntimeError("it cannot be pickled")


def fails(kind):
    time.sleep(1)
    raise Declined(7, "the card was declined") if kind == "two arguments" else Unpicklable()


def beside():
    time.sleep(3)
    return "goes on"


def shown(future):
    try:
        return future.result()
    except Exception as error:
        return f"{type(error).__name__}, tells of the card: {'card' in str(error)}"


if __name__ == "__main__":
    print("Python", sys.version.split()[0])
    for kind in ("unpicklable", "two arguments"):
        with concurrent.futures.ProcessPoolExecutor(2) as pool:
            other = pool.submit(beside)
            failed = pool.submit(fails, kind)
            print(kind, "|", shown(failed))
            print("  the task beside it |", shown(other))
            try:
                print("  a task after it |", shown(pool.submit(str, "runs")))
            except Exception as error:
                print("  a task after it |", type(error).__name__)
PYTHON

PYTHONHOME=$work/files/usr timeout 60 files/usr/bin/python3.11 program.py | tee seen
diff seen - <<'EXPECTED'
Python 3.11.2
unpicklable | RuntimeError, tells of the card: False
  the task beside it | goes on
  a task after it | runs
two arguments | BrokenProcessPool, tells of the card: False
  the task beside it | BrokenProcessPool, tells of the card: False
  a task after it | BrokenProcessPool
EXPECTED
