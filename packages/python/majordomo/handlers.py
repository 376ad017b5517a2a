"""Runs handlers in threads, in processes or on an event loop, and says what their errors are called."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import inspect
import json
import multiprocessing
import multiprocessing.connection
import os
import queue
import signal
import threading
from typing import Any, Callable, Optional, Union

from .errors import BodyError, ServiceError, is_failure_code
from .message import Request
from .options import body_of, wrong
from .worker_core import Failure

TEXT_BYTES_MAX = 1024
DETAIL_BYTES_MAX = 65536

Handler = Callable[..., Any]


# The frames of the answer, or the handler's error.
Outcome = Union["list[bytes]", BaseException]
Over = Callable[[Outcome], None]


class Runner:
    """``run`` returns at once; ``over`` gets the outcome, in another thread."""

    def __init__(self, run_in: str, concurrency: int) -> None:
        if run_in not in ("threads", "processes"):
            raise wrong("run_in", "must be 'threads' or 'processes'")
        self._concurrency = concurrency
        self._pool = self._new_pool() if run_in == "processes" else None
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        # Threads of our own: a ThreadPoolExecutor costs several times as much for each request.
        self._queue: "queue.SimpleQueue[Optional[tuple[Handler, Request, Over]]]" = queue.SimpleQueue()
        self._idle: list[None] = []  # an item for each thread that waits
        self._threads = 0

    def runner_of(self, handler: Handler) -> Callable[[Handler, Request, Over], None]:
        """How this handler runs. Raises OptionError if it cannot run in processes."""
        if inspect.iscoroutinefunction(handler) or inspect.isasyncgenfunction(handler):
            return self._run_on_loop
        if self._pool is None:
            return self._run_in_thread
        if inspect.isgeneratorfunction(handler):
            raise wrong("run_in", "must be 'threads' for handlers that send parts")
        return self._run_in_process

    def _run_in_thread(self, handler: Handler, request: Request, over: Over) -> None:
        try:
            self._idle.pop()
        except IndexError:
            self._threads += 1
            threading.Thread(target=self._work, name="majordomo-handler", daemon=True).start()
        self._queue.put((handler, request, over))

    def _work(self) -> None:
        while True:
            item = self._queue.get()
            if item is None:
                return
            handler, request, over = item
            try:
                outcome: Outcome = _called(handler, request)
            except BaseException as error:
                outcome = error
            self._idle.append(None)
            over(outcome)
            del item, handler, request, over, outcome  # not kept until the next one

    def _run_in_process(self, handler: Handler, request: Request, over: Over) -> None:
        assert self._pool is not None
        try:
            future = self._pool.submit(_in_process, handler, request.plain())
        except concurrent.futures.BrokenExecutor:
            # A process was killed, which ends its pool.
            self._pool = self._new_pool()
            future = self._pool.submit(_in_process, handler, request.plain())
        _report(future, over)

    def _run_on_loop(self, handler: Handler, request: Request, over: Over) -> None:
        _report(asyncio.run_coroutine_threadsafe(_awaited(handler, request), self._event_loop()), over)

    def _new_pool(self) -> concurrent.futures.ProcessPoolExecutor:
        # Forking a process that has threads is unsafe.
        spawn = multiprocessing.get_context("spawn")
        return concurrent.futures.ProcessPoolExecutor(self._concurrency, spawn, _begin_process)

    def close(self, is_late: bool) -> None:
        """Does not wait for handlers that still run; ``is_late``: their requests were given back."""
        for _ in range(self._threads):
            self._queue.put(None)
        if self._pool is not None:
            processes = list((self._pool._processes or {}).values()) if is_late else []
            self._pool.shutdown(wait=False)
            for process in processes:
                process.kill()  # or this process waits for them at its end
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)

    def _event_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, name="majordomo-loop", daemon=True).start()
        return self._loop


def _begin_process() -> None:
    # A terminal and systemd signal all processes of a worker: it decides itself when these end.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_worker, daemon=True).start()


def _end_with_worker() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


def _report(future: "concurrent.futures.Future[list[bytes]]", over: Over) -> None:
    def done(_: Any) -> None:
        try:
            outcome: Outcome = future.result()
        except BaseException as error:  # a task that was cancelled, too
            outcome = error
        over(outcome)

    future.add_done_callback(done)


async def _awaited(handler: Handler, request: Request) -> "list[bytes]":
    task: "Optional[asyncio.Task[Any]]" = asyncio.current_task()
    assert task is not None
    request._stop = functools.partial(asyncio.get_running_loop().call_soon_threadsafe, task.cancel)
    if request._is_cancelled:
        raise asyncio.CancelledError
    if not inspect.isasyncgenfunction(handler):
        return body_of(await handler(request))
    async for part in handler(request):
        request.partial(part)
    return [b""]  # an asynchronous generator cannot return a value


def _called(handler: Handler, request: Request) -> "list[bytes]":
    answer = handler(request)
    if not inspect.isgenerator(answer):
        return body_of(answer)
    while True:
        try:
            request.partial(next(answer))
        except StopIteration as end:
            return body_of(b"" if end.value is None else end.value)


def _in_process(handler: Handler, plain: Any) -> "list[bytes]":
    return body_of(handler(Request(*plain)))


def failure_of(error: BaseException, expose_errors: bool) -> Failure:
    """A ServiceError as it is; of any other error its class and, if exposed, its message."""
    if isinstance(error, ServiceError):
        kind = "retry" if error.retry == "elsewhere" else "error" if error.retry else "final"
        code = error.service_code if is_failure_code(error.service_code) else "Error"
        return Failure(kind, code, _cut(error.message), _detail(error))
    if isinstance(error, concurrent.futures.BrokenExecutor):
        return Failure("retry", "process_lost", "a process of the worker was lost")
    code = error.code if isinstance(error, BodyError) else type(error).__name__
    text = _cut(str(error)) if expose_errors else ""
    return Failure("error", code if is_failure_code(code) else "Error", text)


def _detail(error: ServiceError) -> "list[bytes]":
    if error.detail:
        detail = list(error.detail)  # of another service: passed on
    elif error.details:
        try:
            detail = [json.dumps(error.details).encode()]
        except (TypeError, ValueError) as reason:
            return [json.dumps({"omitted": _cut(f"the details are not JSON: {reason}")}).encode()]
    else:
        return []
    size = sum(len(frame) for frame in detail)
    if size <= DETAIL_BYTES_MAX:
        return detail
    return [json.dumps({"omitted": f"the details have {size} bytes, at most {DETAIL_BYTES_MAX} are allowed"}).encode()]


def _cut(text: str) -> str:
    return text.encode("utf-8", "replace")[:TEXT_BYTES_MAX].decode("utf-8", "ignore")
