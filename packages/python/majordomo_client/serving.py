"""A worker: offers services to one broker or to both nodes of a pair."""

from __future__ import annotations

import collections
import contextlib
import functools
import logging
import multiprocessing
import os
import socket
import threading
import time
from typing import Any, Callable, Mapping, Optional, Sequence, Union

import zmq

from . import wire
from .contract import contract_frame, contracts_of
from .curve import Curve, checked_curve
from .errors import ClosedError, RequestTimeoutError, StreamBrokenError
from .handlers import Handler, Outcome, Raised, Runner, log, not_begun
from .link import Wake
from .message import Request, no_more_parts
from .options import (
    DAY_MS, Endpoints, Read, boolean, endpoints_of, integer, names_options, one_of, or_none, read_options, seconds, service_of, shown,
    utf8, whole, wrong,
)
from .session import Session
from .threads import Thread, here, need_threads, say, signals_are_ours
from .typed import TypedService, typed_handler
from .worker_core import STEP, Stillness, Task, WorkerSettings

# What the tasks of coroutines have at least for their ends after the grace of close(), in seconds.
_END_PATIENCE = 1.0
# Parts and answers that may wait for the thread of the worker.
_TASKS_MAX = 1000
# How long brokers may take to let a worker go that closes, in seconds.
_LEAVE_PATIENCE = 1.0
# Why the worker gives a request back, for the broker's log; and one that no handler was called for.
CANCELLED = b"cancelled"
UNWANTED = wire.NOT_BEGUN + b": cancelled"
CLOSING = wire.NOT_BEGUN + b": the worker closes"


def _name(option: str, given: Any) -> str:
    if not isinstance(given, str) or len(given) > 64:
        raise wrong(option, f"must be text of at most 64 characters, not {shown(given)}")
    utf8(option, given)
    return given


# The options of a worker that have one check each, in the order in which they are checked.
WORKER_OPTIONS: "dict[str, Read]" = {
    "name": or_none(_name),
    "concurrency": whole(1, 10_000),
    "protocol": one_of("0.1", "0.2"),
    "heartbeat_interval_ms": seconds(10),
    "heartbeat_liveness": whole(1, 1000),
    "retry_base_ms": whole(1, DAY_MS),
    "retry_max_ms": whole(1, DAY_MS),
    "cancel_grace_ms": seconds(0),
    "expose_errors": boolean,
    "run_in": one_of("threads", "processes"),
    "curve": checked_curve,
}


@names_options
class Worker:
    """Offers a service; its handler gets a Request and returns a body (text, bytes or a list of these).

        def reverse(request):
            return request.value[::-1]

        Worker('tcp://127.0.0.1:5555', 'reverse', reverse, concurrency=4).run()

    A thread of its own speaks with the brokers and heartbeats while handlers compute. ``concurrency``: how
    many requests run at the same time, 1 to 10000. ``run_in``: ``'threads'``, or ``'processes'`` for
    handlers that compute in Python (they must be importable); handlers that are coroutine functions run
    on one event loop. ``services`` offers several instead: ``{name: handler}``. ``endpoints``: for a pair
    give both; the worker registers at each. ``name`` is shown in lists and logs; default ``HOST:PID``.
    A handler that raises fails its request: ServiceError gives code, text and details; of other errors
    clients get the class and, with ``expose_errors``, the text. A request that nobody waits for any more sets
    ``request.aborted`` and cancels the task of a coroutine; a handler that goes on for ``cancel_grace_ms`` loses its
    place to another request, unless it runs in a process, or ``concurrency`` others go on already. A generator sends what it yields as parts
    of the answer, and what it returns as the last (an asynchronous one: an empty frame). ``contract`` is told to
    the broker: a dict with ``version``, ``description``, ``contentType`` (text), the JSON Schemas ``input``,
    ``output`` and ``progress``, and ``errors``, those of details by code; with ``services``, ``{name: contract}``. A TypedService
    in place of a name has its contract, which is checked; its handler gets the value and the Request.
    ``curve``: see Curve. Times are in milliseconds.

    Raises OptionError, EndpointError.
    """

    def __init__(
        self,
        endpoints: Endpoints = None,
        service: "Union[str, bytes, TypedService[Any, Any], None]" = None,
        handler: Optional[Handler] = None,
        *,
        services: "Optional[Mapping[Any, Handler]]" = None,
        contract: Optional[Mapping[str, Any]] = None,
        name: Optional[str] = None,
        concurrency: int = 1,
        run_in: str = "threads",
        protocol: str = "0.2",
        heartbeat_interval_ms: int = 2500,
        heartbeat_liveness: int = 3,
        retry_base_ms: int = 100,
        retry_max_ms: int = 5000,
        cancel_grace_ms: int = 10_000,
        expose_errors: bool = True,
        curve: Optional[Curve] = None,
    ) -> None:
        if (service is None) == (services is None):
            raise wrong("service", "or services must be given, and not both")
        if services is not None and not isinstance(services, Mapping):
            raise wrong("services", f"must be a dict of handlers by service, not {shown(services)}")
        offered: Sequence[tuple[Any, Any]]
        offered = list(services.items()) if services is not None else [(service, handler)]
        typed = {service_of(each.name): each for each, _ in offered if isinstance(each, TypedService)}
        handlers = {
            service_of(each.name if isinstance(each, TypedService) else each):
                typed_handler(each, function) if isinstance(each, TypedService) else function
            for each, function in offered if callable(function)
        }
        if not handlers or len(handlers) < len(offered):
            raise wrong("handler", "must be a function for each service")
        contracts: dict[bytes, bytes] = {}
        if contract is not None:
            if not typed.keys().isdisjoint(map(service_of, [] if services is None else contract)) or isinstance(service, TypedService):
                raise wrong("contract", "cannot be given for a TypedService, which has one")
            contracts = contracts_of({service: contract} if services is None else contract, handlers)
        contracts.update((name, contract_frame(each.contract)) for name, each in typed.items())
        options = read_options(WORKER_OPTIONS, locals())
        self._concurrency: int = options.concurrency
        self._settings = WorkerSettings(
            1 if options.protocol == "0.1" else 2,
            options.name or "",
            options.concurrency,
            options.heartbeat_interval_ms,
            options.heartbeat_liveness,
            options.retry_base_ms,
            options.retry_max_ms,
        )
        self._has_name = name is not None
        self._handlers, self._contracts, self._curve = handlers, contracts, curve
        self._endpoints = endpoints_of(endpoints)
        self._cancel_grace: float = options.cancel_grace_ms
        self._expose_errors: bool = options.expose_errors
        self._run_in = run_in
        self._close_at: Optional[float] = None
        self._grace = 0.0
        self._is_signalled = False
        need_threads("a worker")
        self._pid = 0
        here(self)

    def _begin_here(self) -> None:
        self._runner = Runner(self._run_in, self._concurrency, self._expose_errors, self._fail)
        self._poller = zmq.Poller()
        self._wake: Optional[Wake] = None  # made when it starts
        self._tasks: collections.deque[Callable[[], None]] = collections.deque()
        self._held: collections.deque[tuple[Session, Task]] = collections.deque()
        self._running: dict[Task, tuple[Session, Request]] = {}
        self._cancelled: dict[Task, float] = {}  # of these, when their places are given to others
        self._going_on: set[Task] = set()  # whose places were given to others: as many as places, at most
        self._ready = {each: threading.Event() for each in self._handlers}
        self._ended = threading.Event()
        self._error: Optional[BaseException] = None
        self._stillness = Stillness()
        self._leave_until: Optional[float] = None  # nothing runs any more, and brokers have not let it go yet
        self._thread: Optional[Thread] = None
        self._lock = threading.Lock()
        settings = self._settings if self._has_name else self._settings._replace(name=_process_name())
        self._sessions = [
            Session(self, settings, each, function, endpoint, self._curve, self._contracts.get(each, b""))
            for each, function in self._handlers.items()
            for endpoint in self._endpoints
        ]

    def start(self) -> "Worker":
        """Starts the worker's thread and returns at once. Starting twice does nothing."""
        here(self)
        if self._run_in == "processes" and getattr(multiprocessing.current_process(), "_inheriting", False):
            raise wrong("run_in", "'processes' needs `if __name__ == \"__main__\":` around the start of the worker")
        with self._lock:
            if self._thread is None:
                self._runner.start(self._handlers.values())
                self._wake = self._wake or Wake(self._poller)
                self._thread = Thread(self._run, "majordomo-worker")
        return self

    def run(self) -> None:
        """Works until ``close()``. In the main thread SIGTERM and SIGINT close it: running handlers finish.

        Raises RuntimeError if the worker's thread has failed, whose error is the cause.
        """
        with contextlib.ExitStack() as signals:
            if threading.current_thread() is threading.main_thread():
                signals.enter_context(signals_are_ours(self._signalled))
            self.start()
            while not self._ended.wait(0.5):
                pass  # short waits, so that signals are handled on every system
        if self._error is not None:
            raise RuntimeError("the worker has failed") from self._error

    def ready(self, timeout_ms: int = 10_000) -> "Worker":
        """Waits until every service is registered with a broker; starts the worker if need be.

        Raises RequestTimeoutError after ``timeout_ms`` milliseconds, ClosedError if the worker is closed, or has failed.
        """
        self.start()
        until = time.monotonic() + integer("timeout_ms", timeout_ms, 0, DAY_MS) / 1000
        for service, event in self._ready.items():
            if not event.wait(max(0.0, until - time.monotonic())):
                why = [f"{each._endpoint}: {each.core.why}" for each in self._sessions if each.core.why]
                raise RequestTimeoutError("; ".join([f"{service.decode('utf-8', 'backslashreplace')!r} is not registered with any broker", *why]))
            if self._close_at is not None or self._ended.is_set():
                raise ClosedError("the worker was closed, or has failed") from self._error
        return self

    def close(self, grace_ms: int = 10_000) -> None:
        """Accepts no more requests, waits for the handlers that run and, while a broker is away, to send their answers to
        it, and says goodbye to the brokers.

        After ``grace_ms`` milliseconds it sets ``request.aborted``, gives the requests back, and cancels the tasks of
        coroutines, which have as long again, at least a second, for their ``finally``. What it has sent last may take a
        second more, at most, to leave.
        """
        here(self)
        self._close_soon(integer("grace_ms", grace_ms, 0, DAY_MS))
        if self._thread is not None:
            self._thread.join()

    def __enter__(self) -> "Worker":
        return self.start()

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _signalled(self, *_: Any) -> None:
        """The first signal closes the worker, the second ends it."""
        is_second, self._is_signalled = self._is_signalled, True
        if is_second:
            self._grace, self._close_at = 0.0, time.monotonic()
        self._close_soon(10_000)
        if self._running and not is_second:
            text = "closing; requests that still run: %d, for at most 10 s; a second signal ends them at once"
            say(log, logging.WARNING, text, len(self._running))

    # No lock: a signal handler calls this.
    def _close_soon(self, grace_ms: int) -> None:
        if self._close_at is None:
            self._grace = grace_ms / 1000
            self._close_at = time.monotonic() + self._grace
        if self._wake is not None:
            self._wake.set()

    def _run(self) -> None:
        assert self._wake is not None
        try:
            while not self._is_over():
                self._turn(self._wake)
        except BaseException as error:
            self._error = error
            say(log, logging.ERROR, "the worker has failed", exc_info=error)
        finally:
            self._end(self._wake)

    def _end(self, wake: Wake) -> None:
        steps: list[Callable[[], object]] = []
        patience = min(max(_END_PATIENCE, self._grace), max(_END_PATIENCE, self._cancel_grace))
        for task, (session, request) in self._running.items():
            steps += [request._end, functools.partial(session.core.give_back, task)]
        steps += [functools.partial(session.core.decline, task, CLOSING) for session, task in self._held]
        steps += [session.core.end for session in self._sessions]
        steps += [functools.partial(self._runner.close, bool(self._running), patience)]
        steps += [session.link.left for session in self._sessions]
        steps += [wake.close, self._ended.set, self._wake_waiting]
        for step in steps:
            try:
                step()
            except BaseException as error:  # the others are as needed
                say(log, logging.ERROR, "a step of the end of a worker has failed", exc_info=error)

    def _wake_waiting(self) -> None:
        for event in self._ready.values():
            event.set()  # ``ready`` finds that the worker is closed

    def _fail(self, error: BaseException) -> None:
        """Ends the worker, whose event loop has ended."""
        def fail() -> None:
            raise error

        self._post(fail)

    def _is_over(self) -> bool:
        at, now = self._close_at, time.monotonic()
        if at is None:
            return False
        self._leave()
        if self._running or self._runner.has_coroutines:
            return now >= at
        if any(session.core.is_leaving and session.core.state == "registered" for session in self._sessions):
            self._leave_until = self._leave_until or now + _LEAVE_PATIENCE
            return now >= self._leave_until and self._stillness.is_settled(now)
        if now >= at:
            return True
        if not any(session.core.has_unsent for session in self._sessions):
            return True
        for session in self._sessions:  # the others must not hold requests until then
            if session.core.state != "ended" and not session.core.has_unsent:
                session.core.end()
        return False

    def _leave(self) -> None:
        for session in self._sessions:
            session.core.leave()
        while self._held:
            session, task = self._held.popleft()
            session.core.decline(task, CLOSING)

    def _turn(self, wake: Wake) -> None:
        began = time.monotonic()
        self._stillness.looked(began)
        at = min(session.core.next_at() for session in self._sessions)
        if self._cancelled:
            at = min(at, self._give_up_at)
        if self._close_at is not None:
            at = min(at, self._leave_until or self._close_at)
            self._wake_waiting()
        if self._running:
            at = min(at, began + STEP)
        wait = max(0.0, max(at, self._stillness.settled_at) - began)
        ready = dict(self._poller.poll(None if wait == float("inf") else int(wait * 1000) + 1))
        self._stillness.looked(time.monotonic(), began + wait)
        wake.clear(ready)
        for session in self._sessions:
            session.link.read(ready)
        if not self._stillness.is_settled(time.monotonic()):
            return
        # Before the answers: however long each takes, heartbeats go out.
        for session in self._sessions:
            session.core.tick(time.monotonic())
        # Answers after reading: not over a connection that has ended.
        for _ in range(len(self._tasks)):  # those of now: handlers that flood must not keep it from the rest
            if not self._stillness.is_settled(time.monotonic()):
                return
            self._tasks.popleft()()
        while self._cancelled and time.monotonic() >= self._give_up_at:
            self._give_up(next(iter(self._cancelled)))

    @property
    def _give_up_at(self) -> float:
        if len(self._going_on) >= self._concurrency:
            return float("inf")  # until one of these ends
        return next(iter(self._cancelled.values()))  # the first was cancelled first

    def _begin(self, session: "Session", task: Task) -> None:
        if self._close_at is not None:  # since the thread of the worker looked last
            session.core.decline(task, CLOSING)
            return
        if len(self._running) >= self._concurrency:
            self._held.append((session, task))
            return
        command = task.command
        request = Request(session.name, command.body, command.headers, command.deadline_ms)
        request.group = command.group.decode("utf-8", "replace")
        self._running[task] = (session, request)
        request._emit = functools.partial(self._emit, session, task, request)

        def over(outcome: Outcome) -> None:
            request._emit = no_more_parts
            self._post(lambda: self._over(session, task, outcome))

        try:
            session.run(session.handler, request, over)
        except Exception as error:
            over(not_begun(error))

    def _post(self, task: Callable[[], None]) -> None:
        self._tasks.append(task)
        if self._wake is not None:
            self._wake.set()

    def _emit(self, session: "Session", task: Task, request: Request, body: "list[bytes]") -> None:
        def send() -> None:
            if not request._is_cancelled:
                session.core.partial(task, body)

        while len(self._tasks) >= _TASKS_MAX and not request._is_over:
            time.sleep(0.001)  # a handler that floods goes no faster than the thread of the worker
        if request._is_cancelled:
            raise StreamBrokenError("the request was cancelled: nobody waits for its answer")
        if not session.core.is_current(task):
            raise StreamBrokenError("the registration has ended, so the stream cannot go on")
        self._post(send)

    def _cancel(self, session: "Session", token: bytes) -> None:
        """Cancels a request: one that has not begun goes back, and the handler of another is told."""
        for entry in self._held:
            if entry[0] is session and entry[1].client == token:
                self._held.remove(entry)
                session.core.give_back(entry[1], UNWANTED)
                return
        for task, (owner, request) in self._running.items():
            if owner is session and task.client == token and not request._is_cancelled:
                request._cancel()
                if session.can_lose_its_place:
                    self._cancelled[task] = time.monotonic() + self._cancel_grace
                return

    def _give_up(self, task: Task) -> None:
        del self._cancelled[task]
        session, _ = self._running.pop(task)
        self._run_ended(task)
        say(log, logging.WARNING, "a handler of %s goes on %.0f ms after its request was cancelled: its place is given to another",
            session.name, self._cancel_grace * 1000)
        self._going_on.add(task)
        if len(self._going_on) == self._concurrency:
            text = "handlers that go on after their requests were cancelled: %d, as many as may run; others keep their places"
            say(log, logging.ERROR, text, self._concurrency)
        session.core.give_back(task, CANCELLED)
        self._begin_held()

    def _over(self, session: "Session", task: Task, outcome: Outcome) -> None:
        self._cancelled.pop(task, None)
        _, request = self._running.pop(task, (None, None))
        if request is None:
            self._going_on.discard(task)
            return
        is_error = isinstance(outcome, Raised)
        if request._is_cancelled or (is_error and request.is_aborted()):  # also after the deadline
            session.core.give_back(task, CANCELLED)
        elif isinstance(outcome, Raised):
            say(log, logging.WARNING, "a handler of %s failed: %s", session.name, outcome.shown)
            session.core.fail(task, outcome.failure)
        else:
            session.core.final(task, outcome)
        self._run_ended(task)  # after the answer: before it, the broker would give the request out again
        self._begin_held()

    def _run_ended(self, task: Task) -> None:
        for session in self._sessions:
            session.core.run_ended(task)

    def _begin_held(self) -> None:
        for session in self._sessions:
            session.core.has_room(time.monotonic())
        while self._held and len(self._running) < self._concurrency:
            self._begin(*self._held.popleft())

    def _forget_held(self, session: "Session") -> None:
        """Drops the held requests of an ended registration: the broker gives them to others."""
        self._held = collections.deque(each for each in self._held if each[0] is not session)


def _process_name() -> str:
    suffix = f":{os.getpid()}"
    return socket.gethostname()[: 64 - len(suffix)] + suffix
