"""What Client and AsyncClient share: the thread that speaks with the broker, options, and scripts of questions."""

from __future__ import annotations

import collections
import logging
import os
import queue
import time
from typing import Any, Callable, Generator, Mapping, NamedTuple, Optional, Sequence, TypeVar, Union

import zmq

from . import wire
from .call import Call, Done, OnPart, OnReceipt, Patience, Settings, is_of_broker
from .client_core import ClientCore, Line
from .curve import Curve, checked_curve
from .errors import ClosedError, RequestTimeoutError, StreamBrokenError, UsageError
from .exchange import outcome_error
from .freelance import FreelanceCore
from .link import Wake, ZmqLink
from .options import (
    DAY_MS, GROUP_BYTES_MAX, TIMEOUT_MS, USUAL, Endpoints, Read, body_of, boolean, call_time, checked_text, endpoints_of,
    headers_of, one_of, or_none, read_options, seconds, service_of, whole, wrong,
)
from .threads import THREAD_PATIENCE, Thread, here, new_lock, say

log: logging.Logger = logging.getLogger("majordomo.client")

NOT_STORED = "durable requests are safe at one broker, or pair, only: not with strategy='freelance'"

Result = TypeVar("Result")

class Ask(NamedTuple):
    """A question of a script; without ``patience``, with that of the client.

    ``on_receipt`` gets a part that comes before the answer, in the engine's thread.
    """

    service: bytes
    body: Sequence[bytes]
    patience: Optional[Patience] = None
    on_receipt: Optional[OnReceipt] = None


class Pause(NamedTuple):
    seconds: float


# A script asks and pauses; whoever runs it sends the answer in, or throws the error.
Script = Generator[Union[Ask, Pause], Any, Result]


# The options of a client but its end points, in the order in which they are checked. ClientBase has types and defaults.
CLIENT_OPTIONS: "dict[str, Read]" = {
    "strategy": one_of("failover", "freelance"),
    "hedge_ms": or_none(seconds(0)),
    "ping_interval_ms": or_none(seconds(10)),
    "if_no_worker": one_of("wait", "fail"),
    "curve": checked_curve,
    "timeout_ms": lambda option, given: call_time(option, TIMEOUT_MS if given is USUAL else given),
    "resend_ms": seconds(),
    "protocol": one_of("0.1", "0.2"),
    "max_outstanding": whole(1, 10_000_000),
    "retry_base_ms": whole(1, DAY_MS),
    "retry_max_ms": whole(1, DAY_MS),
    "stream_buffer_bytes": whole(1, 2**32),
}


class Engine:
    def __init__(self, endpoints: Endpoints, given: Mapping[str, Any]) -> None:
        options = read_options(CLIENT_OPTIONS, given)
        self.is_freelance: bool = options.strategy == "freelance"
        for option in () if self.is_freelance else ("hedge_ms", "ping_interval_ms"):
            if given[option] is not None:
                raise wrong(option, "needs strategy='freelance'")
        self._timeout: float = options.timeout_ms
        self._is_time_named = given["timeout_ms"] is not USUAL
        self.settings: Settings = Settings(
            endpoints_of(endpoints),
            1 if options.protocol == "0.1" else 2,
            options.max_outstanding,
            options.retry_base_ms,
            options.retry_max_ms,
            options.if_no_worker == "fail",
            options.stream_buffer_bytes,
            options.hedge_ms,
            options.ping_interval_ms or 1.0,
            options.resend_ms,
        )
        if self.is_freelance and len(set(self.settings.endpoints)) < len(self.settings.endpoints):
            raise wrong("endpoints", "must be different brokers: one is named twice")
        self._curve: Optional[Curve] = options.curve
        self._closed = False
        self._pid = 0
        here(self)

    def _begin_here(self) -> None:
        self._poller = zmq.Poller()
        self._wake: Optional[Wake] = None
        self._thread: Optional[Thread] = None
        self._tasks: collections.deque[Callable[[], None]] = collections.deque()
        self._lock = new_lock()
        self._has_ended = False
        context: zmq.Context[Any] = zmq.Context.instance()
        self._core: Union[ClientCore, FreelanceCore]
        if self.is_freelance:
            self._links = [ZmqLink(context, self._poller, self._curve) for _ in self.settings.endpoints]
            self._core = several = FreelanceCore(self.settings, self._links)
            for at, each in enumerate(self._links):
                _connect(several, at, each)
        else:
            self._links = []

            def dial(line: Line) -> ZmqLink:
                link = ZmqLink(context, self._poller, self._curve)
                link.on_up = lambda: core.up(line, time.monotonic())
                link.on_down = lambda reason: core.down(line, reason, time.monotonic())
                link.on_message = lambda frames: core.received(line, frames, time.monotonic())
                self._links = [*(each for each in self._links if each.is_open), link]
                return link

            self._core = core = ClientCore(self.settings, dial)

    @property
    def facts(self) -> Optional[wire.Facts]:
        """The facts of the broker that is connected now; None: not known."""
        return self._core.facts

    def ask_why(self, service: str) -> None:
        """Asks the broker why a stored request for this service has no reply; ``why_of`` tells what it says."""
        core = self._core
        if service and isinstance(core, ClientCore):
            ask_why = core.ask_why
            self.post(lambda: ask_why(service.encode(), time.monotonic()))

    def why_of(self, service: str) -> str:
        return self._core.whys.of(service.encode(), time.monotonic())

    @property
    def counters(self) -> Mapping[str, int]:
        return dict(self._core.counters)

    def call(self, service: object, body: object, patience: Patience, headers: Optional[Mapping[str, str]], done: Done,
             on_part: Optional[OnPart] = None, once: bool = False, group: Optional[str] = None,
             on_receipt: Optional[OnReceipt] = None) -> Call:
        """Sends a request. ``done`` and ``on_part`` are called in the engine's thread."""
        name = service_of(service)
        if self.is_freelance and name.startswith(b"titanic."):
            raise UsageError(NOT_STORED)
        packed = headers_of(headers)
        if packed is not None and self.settings.version == 1:
            raise wrong("headers", "need protocol 0.2")
        if on_part is not None and self.settings.version == 1:
            raise wrong("protocol", "must be '0.2' for streams")
        if boolean("once", once) and self.settings.hedge is not None:
            raise wrong("once", "cannot be combined with hedge_ms, which asks several brokers")
        named = b"" if group is None else checked_text("group", group, GROUP_BYTES_MAX).encode()
        for option in [each for each, given in (("once", once), ("group", named)) if given]:
            if self.settings.version == 1:
                raise wrong(option, "needs protocol 0.2")
            if is_of_broker(name):
                raise wrong(option, "is not for what the broker answers itself")
        call = Call(name, body_of(body), packed, patience, done, on_part, once, named, on_receipt)
        self.post(lambda: self._core.start(call, time.monotonic()))
        call.pid = self._pid
        return call

    def next(self, call: Call, arrived: Any) -> Any:
        """Waits for what comes next of a call. The wait has an end also if this client's thread does not run."""
        self.check(call)
        limit = max(0.0, max(call.end, call.after.end) - time.monotonic()) + THREAD_PATIENCE
        for _ in range(2):  # once more: the whole process may have stood still
            try:
                return arrived.get(timeout=None if limit == float("inf") else limit)
            except queue.Empty:
                pass
        why = f"the thread of this client has not run for {2 * limit:.0f} s"
        if call.once:
            raise outcome_error(call, why)
        raise RequestTimeoutError(f"no answer from '{call.name}': {why}", {"service": call.name})

    def check(self, call: Call) -> None:
        """Raises StreamBrokenError for a stream that the parent of this process began."""
        if call.pid != os.getpid():
            raise StreamBrokenError(f"{call.name}: the stream was begun before fork, in the parent of this process")

    def ask(self, question: Ask, done: Done) -> Call:
        patience = question.patience or self.patience()
        return self.call(question.service, question.body, patience, None, done, on_receipt=question.on_receipt)

    def patience(self, timeout_ms: Optional[int] = USUAL) -> Patience:
        """The patience of a call that begins now: what is given, else what the client has."""
        is_usual = timeout_ms is USUAL
        timeout = self._timeout if is_usual else call_time("timeout_ms", timeout_ms)
        return Patience(time.monotonic() + timeout, self._is_time_named or not is_usual, timeout=timeout)

    def cancel(self, call: Call) -> None:
        if call.pid != os.getpid():
            return  # it is the parent's
        try:
            self.post(lambda: self._core.abandon(call))
        except ClosedError:
            pass  # it has ended already

    def post(self, task: Callable[[], None]) -> None:
        here(self)
        with self._lock:
            if self._closed or self._has_ended:
                raise ClosedError("the client was closed")
            # Only now: a process that forks first does so without threads.
            self._wake = self._wake or Wake(self._poller)
            self._thread = self._thread or Thread(self._run, "majordomo-client")
            self._tasks.append(task)
        self._wake.set()

    def close(self) -> None:
        here(self)
        with self._lock:
            self._closed = True
        if self._wake is not None and self._thread is not None:
            self._wake.set()
            self._thread.join()

    def end_if_left_open(self) -> bool:
        """Ends it if nobody has closed it, who could do so no longer, without waiting. Returns whether it did so.

        One that was never used has nothing to end: forkserver imports a program, and with it the clients of its modules.
        """
        if self._closed or self._pid != os.getpid() or self._wake is None:
            return False
        self._closed = True
        self._wake.set()
        return True

    def _run(self) -> None:
        assert self._wake is not None
        try:
            while not self._closed:
                self._turn(self._wake)
        except BaseException as error:
            say(log, logging.ERROR, "the client's thread ended", exc_info=error)
        finally:
            with self._lock:
                self._has_ended = True
            while self._tasks:
                self._tasks.popleft()()
            self._core.close()
            for link in self._links:
                link.left()
            with self._lock:
                self._wake.close()

    def _turn(self, wake: Wake) -> None:
        wait = min(max(0.0, self._core.next_at() - time.monotonic()), DAY_MS / 1000)
        ready = dict(self._poller.poll(int(wait * 1000) + 1))
        wake.clear(ready)
        while self._tasks:
            self._tasks.popleft()()
        for link in self._links:
            link.read(ready)
        self._core.tick(time.monotonic())
        self._core.flush()


def _connect(core: FreelanceCore, at: int, link: ZmqLink) -> None:
    link.on_up = lambda: core.up(at, time.monotonic())
    link.on_down = lambda reason: core.down(at, reason, time.monotonic())
    link.on_message = lambda frames: core.received(at, frames, time.monotonic())
