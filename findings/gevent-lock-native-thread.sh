#!/usr/bin/env bash
# gevent 22.10.2 (Debian 12): a monkey-patched threading.Lock that a native thread releases.
#
# Guess: the greenlet that waits for the lock goes on when the native thread releases it, as it does when a native
# thread sets a monkey-patched threading.Event: gevent's notes say that locks work across threads.
#
# Found: acquire(timeout=2) returns False after two seconds, although the lock was released after half a second.
# Without a timeout, acquire() raises LoopExit ("This operation would block forever") at once, while the native
# thread still has the lock. The Event wakes its greenlet at once. So what greenlets and native threads share
# needs locks of the system (monkey.get_original), and greenlets need something else to wait for: an Event, a socket.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get -qq -o APT::Sandbox::User=root download python3-gevent=22.10.2-3 python3-greenlet=2.0.2-1 python3-zope.event=4.4-3 \
  python3-zope.interface=5.5.2-1+b1 libev4=1:4.33-1 libc-ares2=1.18.1-3
for each in ./*.deb; do dpkg-deb --extract "$each" root; done

cat >program.py <<'PYTHON'
from gevent import monkey

monkey.patch_all()
import threading
import time

import gevent

start = monkey.get_original("_thread", "start_new_thread")
native_sleep = monkey.get_original("time", "sleep")
print("gevent", gevent.__version__)


def later(function):
    def run():
        native_sleep(0.5)
        function()

    start(run, ())


def timed(what, wait):
    began = time.monotonic()
    try:
        outcome = wait()
    except BaseException as error:
        outcome = f"{type(error).__name__}: {error.args[0]}"
    took = time.monotonic() - began
    print(what, "|", outcome, "|", "at once" if took < 0.25 else "0.5 s" if took < 1.5 else "2 s")


event = threading.Event()
later(event.set)
timed("Event.wait(2)", lambda: event.wait(2))
lock = threading.Lock()
lock.acquire()
later(lock.release)
timed("Lock.acquire(timeout=2)", lambda: lock.acquire(timeout=2))
lock = threading.Lock()
lock.acquire()
later(lock.release)
timed("Lock.acquire()", lock.acquire)
PYTHON

libraries=$(echo root/usr/lib/*-linux-gnu)
PYTHONPATH=root/usr/lib/python3/dist-packages LD_LIBRARY_PATH=$libraries timeout 30 /usr/bin/python3 program.py | tee seen
diff seen - <<'EXPECTED'
gevent 22.10.2
Event.wait(2) | True | 0.5 s
Lock.acquire(timeout=2) | False | 2 s
Lock.acquire() | LoopExit: This operation would block forever | at once
EXPECTED
