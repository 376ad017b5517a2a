"""A client for threads."""

from __future__ import annotations

import collections
import concurrent.futures
import logging
import threading
import time
from typing import Any, Callable, Mapping, Optional, Sequence, Union

import zmq

from .client_core import Call, ClientCore, Settings
from .errors import ClosedError, MajordomoError
from .link import Wake, ZmqLink
from .message import Reply
from .options import (
    DAY_MS,
    Body,
    Endpoints,
    body_of,
    endpoints_of,
    headers_of,
    integer,
    service_of,
    version_of,
    wrong,
)

log = logging.getLogger("majordomo.client")


class Client:
    """Sends requests to services. Any number of threads may use one client.

        with Client('tcp://127.0.0.1:5555') as client:
            print(client.request('echo', 'hello').text())

    ``endpoints``: one broker, or the nodes of a pair in order, as text separated by commas or as a list;
    without it, the environment variable ``MAJORDOMO_URL``. A request is sent at most ``1 + retries``
    times, and ends no later than ``(1 + retries) * timeout_ms`` milliseconds after the call.
    ``if_no_worker='fail'``: a request to a service without workers fails at once with NoWorkerError.
    ``stream_buffer_bytes`` bounds an answer that comes in parts. ``retry_base_ms`` and ``retry_max_ms``
    are the first and the longest pause after a refusal or a lost connection, in milliseconds.

    Raises OptionError, EndpointError.
    """

    def __init__(
        self,
        endpoints: Endpoints = None,
        *,
        timeout_ms: int = 2500,
        retries: int = 3,
        max_outstanding: int = 100_000,
        if_no_worker: str = "wait",
        stream_buffer_bytes: int = 67_108_864,
        protocol: str = "0.2",
        retry_base_ms: int = 100,
        retry_max_ms: int = 2000,
    ) -> None:
        if if_no_worker not in ("wait", "fail"):
            raise wrong("if_no_worker", "must be 'wait' or 'fail'")
        self._timeout_ms = integer("timeout_ms", timeout_ms, 1, DAY_MS)
        self._retries = integer("retries", retries, 0, 1000)
        self._version = version_of(protocol)
        settings = Settings(
            endpoints_of(endpoints),
            self._version,
            integer("max_outstanding", max_outstanding, 1, 10_000_000),
            integer("retry_base_ms", retry_base_ms, 1, DAY_MS),
            integer("retry_max_ms", retry_max_ms, 1, DAY_MS),
            if_no_worker == "fail",
            integer("stream_buffer_bytes", stream_buffer_bytes, 1, 2**40),
        )
        self._poller = zmq.Poller()
        self._wake = Wake(self._poller)
        link = ZmqLink(zmq.Context.instance(), self._poller)
        self._core = core = ClientCore(settings, link)
        link.on_up = lambda: core.up(time.monotonic())
        link.on_down = lambda reason: core.down(reason, time.monotonic())
        link.on_message = lambda frames: core.received(frames, time.monotonic())
        self._link = link
        self._tasks: collections.deque[Callable[[], None]] = collections.deque()
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="majordomo-client", daemon=True)
        self._thread.start()

    def request(
        self,
        service: Union[str, bytes],
        body: Body,
        *,
        timeout_ms: Optional[int] = None,
        retries: Optional[int] = None,
        headers: Optional[Mapping[str, str]] = None,
    ) -> Reply:
        """Sends a request and waits for its reply.

            client.request('sum', '[1, 2]', timeout_ms=500).json()

        ``body``: text, bytes or a list of these, one for each frame. ``timeout_ms``, in milliseconds,
        and ``retries`` stand in for the client's. A request with ``headers`` also tells the worker how
        long this client waits. A service that answers in parts gives them joined.

        Raises ServiceError if the service failed, RequestTimeoutError, UnreachableError, RefusedError,
        ForbiddenError, NoWorkerError, TooLargeError, UnsupportedError, LimitError, ClosedError,
        OptionError, BodyError.
        """
        name = service_of(service)
        frames = body_of(body)
        packed = headers_of(headers)
        if packed is not None and self._version == 1:
            raise wrong("headers", "need protocol 0.2")
        timeout = integer("timeout_ms", timeout_ms, 1, DAY_MS) if timeout_ms is not None else self._timeout_ms
        tries = integer("retries", retries, 0, 1000) if retries is not None else self._retries
        future: concurrent.futures.Future[Sequence[bytes]] = concurrent.futures.Future()

        def done(reply: Optional[Sequence[bytes]], error: Optional[MajordomoError]) -> None:
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(reply or ())

        call = Call(name, frames, packed, timeout / 1000, tries, done)
        self._post(lambda: self._core.start(call, time.monotonic()))
        try:
            return Reply(call.name, future.result())
        except KeyboardInterrupt:
            self._post(lambda: self._core.abandon(call))
            raise

    @property
    def counters(self) -> Mapping[str, int]:
        """Counts of ``late`` answers, ``malformed`` messages, ``resends`` and ``reopened`` connections."""
        return dict(self._core.counters)

    def close(self) -> None:
        """Ends the connection; requests that wait raise ClosedError. Closing twice does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._wake.set()
        self._thread.join()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _post(self, task: Callable[[], None]) -> None:
        with self._lock:
            if self._closed:
                raise ClosedError("the client was closed")
            self._tasks.append(task)
        self._wake.set()

    def _run(self) -> None:
        try:
            while not self._closed:
                self._turn()
        except BaseException:
            log.exception("the client's thread ended")
            raise
        finally:
            with self._lock:
                self._closed = True
            while self._tasks:
                self._tasks.popleft()()
            self._core.close()
            self._wake.close()

    def _turn(self) -> None:
        wait = max(0.0, self._core.next_at() - time.monotonic())
        self._poller.poll(None if wait == float("inf") else int(wait * 1000) + 1)
        self._wake.clear()
        while self._tasks:
            self._tasks.popleft()()
        self._link.read()
        self._core.tick(time.monotonic())


def connect(endpoints: Endpoints = None, **options: Any) -> Client:
    """Short for ``Client(endpoints, **options)``."""
    return Client(endpoints, **options)
