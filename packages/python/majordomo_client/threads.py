"""Threads of the system, also where gevent or eventlet has replaced Python's, and what a forked process makes anew.

Those two make greenlets of a program's threads: one that waits for a ZeroMQ socket stops all of them, and their
locks do not know threads of the system. So what a greenlet shares with a thread of ours has a lock of the system,
and the greenlet waits for it at a socket.
"""

from __future__ import annotations

import _socket
import _thread
import collections
import contextlib
import importlib
import logging
import os
import queue
import signal
import socket
import threading
import time
from typing import Any, Callable, Iterator, Optional, Protocol, Union

from .errors import UsageError

# How long a call waits for a thread of ours when its own time is over, in seconds.
THREAD_PATIENCE = 5.0


class Owner(Protocol):
    _pid: int

    def _begin_here(self) -> None:
        """Makes what each process has for itself."""


_locks: "dict[int, Any]" = {}  # by process: that of the parent may be taken for ever
_inherited: "list[Any]" = []


def here(owner: Owner) -> None:
    """Lets ``owner`` begin anew in a process that was forked, which has neither threads nor connections of its parent."""
    if is_here(owner):
        return
    with _locks.setdefault(os.getpid(), new_lock()):
        if not is_here(owner):
            if owner._pid:
                _inherited.append(dict(vars(owner)))  # the parent's sockets are not for us to close
            owner._begin_here()
            owner._pid = os.getpid()


def is_here(owner: Owner) -> bool:
    """Whether this process has begun to use it."""
    return owner._pid == os.getpid()


_OURS = (signal.SIGTERM, signal.SIGINT)
_before: "dict[int, Any]" = {}  # while these are ours, the handlers that they had


@contextlib.contextmanager
def signals_are_ours(handler: Callable[..., Any]) -> Iterator[None]:
    """SIGTERM and SIGINT call ``handler`` in this process, in its main thread.

    What it forks has the handlers from before, and what it executes has the usual ones: ignored signals would be
    inherited. They wait while it forks, because Python drops what reaches a child before it has begun.
    """
    try:
        for number in _OURS:
            _before[number] = signal.signal(number, handler)
        yield
    finally:
        _usual_signals()


def _usual_signals() -> None:
    for number in list(_before):
        signal.signal(number, _before.pop(number))


def _hold_signals() -> None:
    if _before:
        signal.pthread_sigmask(signal.SIG_BLOCK, _OURS)


def _free_signals() -> None:
    if _before:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _OURS)


def _free_signals_of_child() -> None:
    if _before:
        _usual_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _OURS)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold_signals, after_in_parent=_free_signals, after_in_child=_free_signals_of_child)


def _package(function: Any) -> Optional[str]:
    name = str(function.__module__).partition(".")[0]
    return name if name in ("gevent", "eventlet") else None


def replaced_by() -> Optional[str]:
    """``gevent`` or ``eventlet``, if that has replaced Python's threads; None: they are Python's own."""
    return _package(_thread.start_new_thread)


def need_threads(what: str) -> None:
    """Raises UsageError in a program of greenlets."""
    package = replaced_by()
    if package is not None:
        text = f"{what} needs threads, which {package} has replaced here: run it in a process without monkey patching"
        raise UsageError(text, {"package": package})


def _original(name: str) -> Any:
    package = replaced_by()
    if package == "gevent":
        return importlib.import_module("gevent.monkey").get_original("_thread", name)
    if package == "eventlet":
        return getattr(importlib.import_module("eventlet.patcher").original("_thread"), name)
    return getattr(_thread, name)


def new_lock() -> Any:
    """A lock for what a thread of the system shares with the program."""
    return _original("allocate_lock")()


def new_pair() -> "tuple[Any, Any]":
    """Two connected sockets of the system."""
    reader, writer = getattr(_socket, "socketpair", socket.socketpair)()
    return reader, writer


class Thread:
    """A thread of the system that runs ``run`` and does not keep the process alive."""

    def __init__(self, run: Callable[[], None], name: str) -> None:
        self._run = run
        self._ident: Optional[int] = None
        self._is_over = False
        self._thread: Optional[threading.Thread] = None
        if replaced_by() is None:
            self._thread = threading.Thread(target=self._main, name=name, daemon=True)
            self._thread.start()
        else:
            _original("start_new_thread")(self._main, ())

    def _main(self) -> None:
        self._ident = _original("get_ident")()
        try:
            self._run()
        finally:
            self._is_over = True

    def join(self) -> None:
        """Waits for the end of the thread; in the thread itself it does not."""
        if self._ident == _original("get_ident")():
            return
        if self._thread is not None:
            self._thread.join()
        while self._thread is None and not self._is_over:
            time.sleep(0.005)  # other greenlets run


class Mailbox(queue.SimpleQueue[Any]):
    """Where a thread of ours puts what one of the program gets."""

    def __enter__(self) -> "Mailbox":
        return self

    def __exit__(self, *_: Any) -> None:
        pass


class _GreenMailbox:
    """A mailbox whose reader waits at a socket."""

    def __init__(self) -> None:
        self._items: "collections.deque[Any]" = collections.deque()
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)

    def put(self, item: Any) -> None:
        self._items.append(item)
        try:
            self._writer.send(b"!")
        except OSError:
            pass  # it is full, which wakes the reader as well, or nobody reads any more

    def get(self, timeout: float) -> Any:
        self._reader.settimeout(timeout)
        while not self._items:
            try:
                self._reader.recv(4096)
            except socket.timeout:
                raise queue.Empty from None
        return self._items.popleft()

    def __enter__(self) -> "_GreenMailbox":
        return self

    def __exit__(self, *_: Any) -> None:
        self._reader.close()
        self._writer.close()


def new_mailbox() -> Union[Mailbox, _GreenMailbox]:
    """``with new_mailbox() as box``: ``box.put(item)``, and ``box.get(timeout=seconds)``, which raises queue.Empty."""
    is_green = replaced_by() is not None or _package(socket.socket) is not None
    return _GreenMailbox() if is_green else Mailbox()


def say(log: logging.Logger, level: int, text: str, *arguments: Any, **options: Any) -> None:
    """Logs from a thread of ours: what the program's filters and handlers raise must not end it."""
    try:
        log.log(level, text, *arguments, **options)
    except BaseException:
        pass
