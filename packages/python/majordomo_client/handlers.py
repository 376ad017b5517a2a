"""Runs handlers in threads, in processes or on an event loop, and says what their errors are called."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import inspect
import json
import logging
import multiprocessing
import multiprocessing.connection
import multiprocessing.util
import os
import pickle
import queue
import signal
import threading
import traceback
from typing import Any, Callable, Collection, Coroutine, Iterable, NamedTuple, Optional, TypeVar, Union

from .errors import ServiceError, StreamBrokenError, is_failure_code
from .message import Request, no_more_parts
from .options import body_of, wrong
from .threads import say, signals_are_ours
from .worker_core import Failure

TEXT_BYTES_MAX = 1024
DETAIL_BYTES_MAX = 65536
DETAIL_FRAMES_MAX = 64
TRACE_FRAMES_MAX = 10
TRACE_CHARACTERS_MAX = 8192

# How long a process may take to end after its last request, in seconds.
_END_PATIENCE = 5.0
# How long a worker waits at its start for its first process, in seconds. What takes longer has passed the start of the program.
_BEGIN_PATIENCE = 10.0
# How long the tasks that handlers began, and left to themselves, may take to end when they are cancelled.
_LOOP_PATIENCE = 1.0

log: logging.Logger = logging.getLogger("majordomo.worker")

Handler = Callable[..., Any]
Result = TypeVar("Result")


class Raised(NamedTuple):
    """What a handler raised. It is made where that is caught, so that no code of the error runs elsewhere."""

    failure: Failure
    shown: str  # for the log


# The frames of the answer, or what the handler raised.
Outcome = Union["list[bytes]", Raised]
Over = Callable[[Outcome], None]


class Runner:
    """``run`` returns at once; ``over`` gets the outcome, in another thread. ``failed``: the event loop has ended."""

    def __init__(self, run_in: str, concurrency: int, expose_errors: bool, failed: Callable[[BaseException], None]) -> None:
        self._in_processes = run_in == "processes"
        self._expose_errors = expose_errors
        self._failed = failed
        self._is_closed = False
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._coroutines: "set[concurrent.futures.Future[Any]]" = set()
        # Threads of our own: a ThreadPoolExecutor costs several times as much for each request.
        self._queue: "queue.SimpleQueue[Optional[tuple[Callable[[], Outcome], Over]]]" = queue.SimpleQueue()
        self._idle: list[None] = []  # an item for each thread that waits
        self._threads = 0
        self._processes: "set[_Process]" = set()
        self._free: "list[_Process]" = []  # those that have nothing to do

    def start(self, handlers: "Iterable[Handler]") -> None:
        """Starts the first process, if a handler needs one. Raises OptionError if it ends at once: so would all."""
        if not any(self.runner_of(each) == self._run_in_process for each in handlers):
            return
        try:
            process = _Process(self._expose_errors)
        except Exception:  # a later request may have more luck
            return
        try:
            process.begin(_BEGIN_PATIENCE)
        except (EOFError, OSError):
            text = "'processes': the first one ended at once, with exit status %d, and has said why; every process imports " \
                "the program, which needs `if __name__ == \"__main__\":` around its start"
            raise wrong("run_in", text % process.end()) from None
        self._processes.add(process)
        self._free.append(process)

    def runner_of(self, handler: Handler) -> Callable[[Handler, Request, Over], None]:
        """How this handler runs. Raises OptionError if it cannot run in processes."""
        if any(inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each)
               for each in (handler, getattr(handler, "__call__", None))):
            return self._run_on_loop
        if not self._in_processes:
            return self._run_in_thread
        try:
            pickle.dumps(handler)
        except Exception as error:
            raise wrong("handler", f"must be importable to run in processes: {_text_of(error)}") from error
        return self._run_in_process

    def _run_in_thread(self, handler: Handler, request: Request, over: Over) -> None:
        self._run(lambda: self._called(handler, request), over)

    def _run_in_process(self, handler: Handler, request: Request, over: Over) -> None:
        self._run(lambda: self._in_process(handler, request), over)

    def _run(self, work: Callable[[], Outcome], over: Over) -> None:
        try:
            self._idle.pop()
        except IndexError:
            threading.Thread(target=self._work, name="majordomo-handler", daemon=True).start()
            self._threads += 1
        self._queue.put((work, over))

    def _work(self) -> None:
        while True:
            item = self._queue.get()
            if item is None:
                return
            work, over = item
            outcome = _outcome(work, self._expose_errors)
            self._idle.append(None)
            over(outcome)
            del item, work, over, outcome  # not kept until the next one

    def _in_process(self, handler: Handler, request: Request) -> Outcome:
        try:
            process = self._free.pop()
        except IndexError:
            try:
                process = _Process(self._expose_errors)
            except Exception as error:
                return not_begun(error)
            self._processes.add(process)
        try:
            outcome: Optional[Outcome] = process.run(pickle.dumps(handler), request)
        except (EOFError, OSError):
            outcome = None
        except Exception as error:  # pickle cannot read what was sent, or send it: the process goes on
            outcome = _raised(error, self._expose_errors)
        if outcome is not None and not self._is_closed:
            self._free.append(process)
            return outcome
        self._processes.discard(process)
        process.dismiss(True)
        code = process.end()
        if outcome is not None:
            return outcome
        how = f"exit status {code}" if code >= 0 else f"signal {_of(lambda: signal.Signals(-code).name, str(-code))}"
        return Raised(Failure("retry", "process_lost", f"a process of the worker was lost: {how}"), f"its process was lost: {how}")

    def _called(self, handler: Handler, request: Request) -> Outcome:
        answer = handler(request)
        if isinstance(answer, (bytes, str)):  # as most are: what else it may be takes long to find out
            return body_of(answer)
        if inspect.isawaitable(answer) or inspect.isasyncgen(answer):  # of a function that does not look like one
            return self._on_loop(_awaited(lambda _: answer, request, self._expose_errors)).result()
        return _body(answer, request)

    def _run_on_loop(self, handler: Handler, request: Request, over: Over) -> None:
        future = self._on_loop(_awaited(handler, request, self._expose_errors))
        # Its task may have been cancelled before it began.
        future.add_done_callback(lambda _: over(_outcome(future.result, self._expose_errors)))

    def _on_loop(self, work: "Coroutine[Any, Any, Result]") -> "concurrent.futures.Future[Result]":
        future = asyncio.run_coroutine_threadsafe(work, self._event_loop())
        self._coroutines.add(future)
        future.add_done_callback(self._coroutines.discard)
        return future

    @property
    def has_coroutines(self) -> bool:
        """Whether one runs on the event loop, also of a request that was given back."""
        return bool(self._coroutines)

    def close(self, is_late: bool, patience: float) -> None:
        """Waits for ``patience`` seconds for coroutines, not for other handlers; ``is_late``: their requests were given back."""
        self._is_closed = True
        for _ in range(self._threads):
            self._queue.put(None)
        processes = list(self._processes)
        for process in processes:
            process.dismiss(is_late)
        for process in processes:
            process.end()
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(_end_loop, self._loop, set(self._coroutines), patience)
            self._loop_thread.join(patience + 2 * _LOOP_PATIENCE)

    def _event_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            loop = asyncio.new_event_loop()
            run = functools.partial(self._run_loop, loop)
            self._loop_thread = threading.Thread(target=run, name="majordomo-loop", daemon=True)
            self._loop_thread.start()
            self._loop = loop
        return self._loop

    def _run_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            while not self._is_closed:  # a handler may have stopped it
                try:
                    loop.run_forever()
                except (KeyboardInterrupt, SystemExit) as error:
                    # Of a task or a callback that a handler made: who awaits it gets it as well.
                    say(log, logging.WARNING, "%s was raised on the event loop, which goes on", type(error).__name__)
            loop.close()
        except BaseException as error:
            self._failed(error)


class _Process:
    """A process that runs one handler after another: a new one, because forking one that has threads is unsafe."""

    def __init__(self, expose_errors: bool) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._connection, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(theirs, expose_errors), name="majordomo-handlers")
        self._process.start()
        theirs.close()
        self._has_begun = False
        # Before this process waits for it at its end, if no worker was closed.
        multiprocessing.util.Finalize(self, self._process.kill, exitpriority=10)

    def begin(self, patience: float) -> None:
        """Waits until it can work. Raises EOFError or OSError if the process is lost."""
        if self._connection.poll(patience):
            self._connection.recv()
            self._has_begun = True

    def run(self, handler: bytes, request: Request) -> Outcome:
        """Raises EOFError or OSError if the process is lost."""
        if not self._has_begun:
            self._received()
            self._has_begun = True
        self._connection.send((handler, request.plain(), request.group))
        while True:
            received = self._received()
            if not isinstance(received, _Part):
                outcome: Outcome = received
                return outcome
            # The process waits for this, so it has one part on its way at a time.
            self._connection.send((_passed_on(request, received.frames), request._is_over))

    def _received(self) -> Any:
        # What it forked may have its end of the connection, too.
        while not self._connection.poll(1):
            if not self._process.is_alive() and not self._connection.poll(0):
                raise EOFError
        return self._connection.recv()

    def dismiss(self, at_once: bool) -> None:
        """Lets the process end, which ``end`` waits for."""
        if at_once:
            self._process.kill()
        else:
            self._connection.close()

    def end(self) -> int:
        """Waits for the end of the process. Returns its exit status; a signal is a negative number."""
        self._process.join(_END_PATIENCE)
        self._process.kill()
        self._process.join()
        self._connection.close()
        return self._process.exitcode or 0


class _Part(NamedTuple):
    """What a handler in a process sends before its answer: a part of that, or progress."""

    frames: "list[bytes]"


def _passed_on(request: Request, frames: "list[bytes]") -> Optional[str]:
    """Sends a part of a process. Returns why it cannot be sent."""
    try:
        request._send(frames)
        return None
    except StreamBrokenError as error:
        return error.message


class _Parts:
    """The parts of one request, in its process: the worker answers each, so the handler hears that nobody waits any more."""

    def __init__(self, connection: "multiprocessing.connection.Connection", request: Request) -> None:
        self._connection = connection
        self._request = request
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._is_over = False
        self._is_whole = True  # false while a part is on its way

    def emit(self, frames: "list[bytes]") -> None:
        if os.getpid() != self._pid:
            raise StreamBrokenError("this process was forked by the handler's: only that sends parts")
        with self._lock:
            if self._is_over:
                no_more_parts(frames)
            self._is_whole = False
            # Frames may be of a class that pickle cannot read.
            self._connection.send(_Part([b"".join((frame,)) for frame in frames]))
            why, is_aborted = self._connection.recv()
            self._is_whole = True
        if is_aborted:
            self._request._cancel()
        if why is not None:
            raise StreamBrokenError(why)

    def close(self) -> None:
        with self._lock:
            self._is_over = True
            if not self._is_whole:
                os._exit(1)  # a signal handler of the program has interrupted it: what follows would not be understood


def _serve(connection: "multiprocessing.connection.Connection", expose_errors: bool) -> None:
    """What a process does."""
    own = os.getpid()
    threading.Thread(target=_end_with_worker, daemon=True).start()
    handler_of = functools.lru_cache(maxsize=None)(pickle.loads)
    # A terminal and systemd signal all processes of a worker: it decides itself when these end.
    with signals_are_ours(lambda *_: None):
        with contextlib.suppress(OSError):  # the worker has closed meanwhile
            connection.send(None)
        while True:
            try:
                handler, plain, group = connection.recv()
            except (EOFError, OSError):
                return
            request = Request(*plain)
            request.group = group
            parts = _Parts(connection, request)
            request._emit = parts.emit
            outcome = _outcome(lambda: _in_process(handler_of(handler), request), expose_errors)
            if os.getpid() != own:
                os._exit(1)  # a handler forked it and returned in both
            parts.close()
            connection.send(outcome)


def _in_process(handler: Handler, request: Request) -> "list[bytes]":
    answer = handler(request)
    if inspect.isawaitable(answer) or inspect.isasyncgen(answer):
        return asyncio.run(_answered(lambda _: answer, request))
    return _body(answer, request)


def _body(answer: Any, request: Request) -> "list[bytes]":
    """What a handler has returned: a body, or a generator of parts, which returns one."""
    if not inspect.isgenerator(answer):
        return body_of(answer)
    while True:
        try:
            request._send(body_of(next(answer)))
        except StopIteration as end:
            return body_of(b"" if end.value is None else end.value)


def _end_with_worker() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


def _outcome(work: Callable[[], Outcome], expose_errors: bool) -> Outcome:
    try:
        return work()
    except BaseException as error:
        return _raised(error, expose_errors)


async def _awaited(handler: Handler, request: Request, expose_errors: bool) -> Outcome:
    try:
        return await _answered(handler, request)
    except BaseException as error:  # what ends a program must not end the loop of all
        return _raised(error, expose_errors)


async def _answered(handler: Handler, request: Request) -> "list[bytes]":
    task: "Optional[asyncio.Task[Any]]" = asyncio.current_task()
    assert task is not None
    loop, cancel = asyncio.get_running_loop(), task.cancel
    request._stop = lambda: loop.call_soon_threadsafe(cancel)
    if request._is_over:
        raise asyncio.CancelledError
    answer = handler(request)
    while inspect.isawaitable(answer):
        answer = await answer
    if not inspect.isasyncgen(answer):
        return body_of(answer)
    async for part in answer:
        request._send(body_of(part))
    return [b""]  # an asynchronous generator cannot return a value


def _end_loop(loop: asyncio.AbstractEventLoop, coroutines: "Collection[concurrent.futures.Future[Any]]",
              patience: float) -> None:
    """Ends a loop when the coroutines have ended, or have had that time; then the tasks that handlers left behind."""

    async def end() -> None:
        if coroutines:
            await asyncio.wait([asyncio.wrap_future(each) for each in coroutines], timeout=patience)
        others = asyncio.all_tasks() - {ending}
        for each in others:
            each.cancel()
        if others:
            await asyncio.wait(others, timeout=_LOOP_PATIENCE)
        await loop.shutdown_asyncgens()
        loop.stop()

    ending = loop.create_task(end())


def not_begun(error: BaseException) -> Raised:
    """What becomes of a request for which no thread or process could be started: another worker gets it."""
    text = _text_of(error)
    return Raised(Failure("retry", "not_started", text), f"it could not be started: {text}")


def _raised(error: BaseException, expose_errors: bool) -> Raised:
    name = _of(lambda: _cut(type(error).__name__), "Error")
    where = "" if issubclass(type(error), ServiceError) else _of(lambda: _trace_of(error), "")
    return Raised(failure_of(error, expose_errors), f"{name}: {_text_of(error)}{where}")


def _trace_of(error: BaseException) -> str:
    """Where it was raised, and what caused it: from the first line on that is the program's own. A bounded part of it."""
    own = error.__traceback__
    while own is not None and os.path.dirname(own.tb_frame.f_code.co_filename) == os.path.dirname(__file__):
        own = own.tb_next
    lines = traceback.format_exception(type(error), error, own, limit=-TRACE_FRAMES_MAX)
    return "\n" + "".join(lines).rstrip()[-TRACE_CHARACTERS_MAX:]


def failure_of(error: BaseException, expose_errors: bool) -> Failure:
    """A ServiceError as it is; of any other error its code or class and, if exposed, its text.

    The methods of an error are the program's code and may raise anything: what can be told is told.
    """
    failure = _of(lambda: _service_failure(error), None) if issubclass(type(error), ServiceError) else None
    if failure is not None:
        return failure
    code = _of(lambda: _code_of(error), "")
    text = _text_of(error) if expose_errors else ""
    return Failure("error", code if is_failure_code(code) else "Error", text)


def _code_of(error: BaseException) -> str:
    """The ``code`` of an error if that is a name, else the name of its class, as in the TypeScript SDK."""
    kind = type(error)
    code: Any = getattr(error, "code", None) if issubclass(kind, Exception) and not issubclass(kind, ServiceError) else None
    return _cut(code if issubclass(type(code), str) and is_failure_code(code) else kind.__name__)


def _service_failure(error: Any) -> Failure:
    kind = "retry" if error.retry == "elsewhere" else "error" if error.retry else "final"
    code = error.service_code if is_failure_code(error.service_code) else "Error"
    return Failure(kind, _cut(code), _cut(error.message), _detail(error))


def _detail(error: Any) -> "list[bytes]":
    if error.detail:
        # Of another service: passed on.
        detail = [frame for frame in error.detail if isinstance(frame, bytes)]
    elif error.details:
        try:
            detail = [json.dumps(error.details).encode()]
        except Exception as reason:
            return [json.dumps({"omitted": f"the details are not JSON: {_text_of(reason)}"}).encode()]
    else:
        return []
    size = sum(len(frame) for frame in detail)
    if size <= DETAIL_BYTES_MAX and len(detail) <= DETAIL_FRAMES_MAX:
        return detail
    return [json.dumps({"omitted": f"the details have {size} bytes, at most {DETAIL_BYTES_MAX} are allowed"}).encode()]


def _text_of(error: BaseException) -> str:
    return _of(lambda: _cut(str(error)), "")


def _cut(text: str) -> str:
    return str.encode(text, "utf-8", "replace")[:TEXT_BYTES_MAX].decode("utf-8", "ignore")


def _of(make: Callable[[], Result], otherwise: Result) -> Result:
    """What an error of the program tells, unless that raises."""
    try:
        return make()
    except BaseException:
        return otherwise
