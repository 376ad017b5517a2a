"""The connection of one service of a worker to one broker."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Callable, Optional, Sequence

import zmq

from .curve import Curve
from .handlers import Handler, Over, log
from .link import ZmqLink
from .message import Request
from .threads import say
from .worker_core import Task, WorkerCore, WorkerSettings

if TYPE_CHECKING:
    from .serving import Worker

# How long the last messages of a connection may take to leave, in milliseconds.
LINGER_MS = 1000


class Session:
    def __init__(self, worker: "Worker", settings: WorkerSettings, service: bytes, handler: Handler,
                 endpoint: str, curve: Optional[Curve], contract: bytes) -> None:
        self.name: str = service.decode("utf-8", "backslashreplace")
        self.handler = handler
        self.run: Callable[[Handler, Request, Over], None] = worker._runner.runner_of(handler)
        self.can_lose_its_place: bool = self.run != worker._runner._run_in_process
        self._service = service
        self._worker = worker
        self._endpoint = endpoint
        self.link: ZmqLink = ZmqLink(zmq.Context.instance(), worker._poller, curve)
        core = WorkerCore(settings, service, self, contract)
        self.core: WorkerCore = core
        self.link.on_up = lambda: core.up(time.monotonic())
        self.link.on_down = lambda reason: core.down(reason, time.monotonic())
        self.link.on_message = self._received

    def open(self) -> Optional[str]:
        return self.link.open(self._endpoint)

    def close(self) -> None:
        self.link.close(LINGER_MS)

    def send(self, frames: Sequence[bytes]) -> None:
        self.link.send(frames)

    def send_late(self, frames: Sequence[bytes]) -> None:
        self.link.send_apart(frames, LINGER_MS)

    def begin(self, task: Task) -> None:
        self._worker._begin(self, task)

    def cancel(self, token: bytes) -> None:
        self._worker._cancel(self, token)

    def running(self, all_sessions: bool) -> "list[Task]":
        running = self._worker._running.items()
        return [task for task, (owner, _) in running if owner is self or (all_sessions and owner._service == self._service)]

    def is_full(self) -> bool:
        if self._worker._close_at is not None:
            return True  # a worker that closes takes no more
        return sum(owner is self for owner, _ in self._worker._running.values()) >= self._worker._concurrency

    def confirmed(self) -> None:
        say(log, logging.INFO, "%s is registered at %s", self.name, self._endpoint)
        self._worker._ready[self._service].set()

    def lost(self, reason: str) -> None:
        reason += self._worker._stillness.cause(time.monotonic())
        say(log, logging.WARNING, "%s is not registered at %s: %s", self.name, self._endpoint, reason)
        self._worker._forget_held(self)

    def _received(self, frames: "list[bytes]") -> None:
        if not self.core.received(frames, time.monotonic()):
            say(log, logging.WARNING, "%s: a malformed message from %s", self.name, self._endpoint)
