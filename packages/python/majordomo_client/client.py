"""A client for threads."""

from __future__ import annotations

import time
import warnings
from typing import Any, Callable, Iterator, Mapping, Optional, Sequence, Union

from . import jobs, schedules
from .contract import contract_in
from .curve import Curve
from .engine import CLIENT_OPTIONS, Ask, Engine, Pause, Result, Script
from .errors import MajordomoError
from .jobs import JobState
from .message import ProgressPart, Reply, StreamPart
from .options import USUAL, Body, Endpoints, check_names, cost, names_options, service_of
from .schedules import Schedule
from .threads import new_mailbox
from .typed import Input, Output, TypedService

Service = Union[str, bytes]


def shown(service: Service) -> str:
    return service_of(service).decode("utf-8", "backslashreplace")


@names_options
class ClientBase:
    """What Client and AsyncClient share: their options, which ``Client`` explains, and counts."""

    def __init__(
        self,
        endpoints: Endpoints = None,
        *,
        timeout_ms: Optional[int] = USUAL,
        resend_ms: int = 2500,
        max_outstanding: int = 100_000,
        if_no_worker: str = "wait",
        stream_buffer_bytes: int = 67_108_864,
        protocol: str = "0.2",
        retry_base_ms: int = 100,
        retry_max_ms: int = 2000,
        curve: Optional[Curve] = None,
        strategy: str = "failover",
        hedge_ms: Optional[int] = None,
        ping_interval_ms: Optional[int] = None,
    ) -> None:
        self._engine = Engine(endpoints, locals())

    def __del__(self, warn: Callable[..., None] = warnings.warn) -> None:
        engine: Optional[Engine] = getattr(self, "_engine", None)  # None: its options were wrong
        if engine is not None and engine.end_if_left_open():
            warn(f"a client of {', '.join(engine.settings.endpoints)} was never closed", ResourceWarning, source=self)

    @property
    def counters(self) -> Mapping[str, int]:
        """Counts of ``late`` answers, ``malformed`` messages, ``resends``, ``resumed`` requests and ``reopened`` connections."""
        return self._engine.counters


@names_options
class Client(ClientBase):
    """Sends requests to services. Any number of threads may use one client.

        with Client('tcp://127.0.0.1:5555') as client:
            print(client.request('echo', 'hello').text())

    ``endpoints``: one broker, or the nodes of a pair in order, as text separated by commas or as a list;
    without it, the environment variable ``MAJORDOMO_URL``. ``timeout_ms`` is how long a whole call may take, in
    milliseconds, also a stream until its last part: default 10,000, and None is no end. If it is given, here or for a call,
    workers learn of it. Brokers without sessions, which may lose a request, are sent it again when they have not answered
    for ``resend_ms``.
    ``if_no_worker='fail'``: a request to a service without workers fails at once with NoWorkerError.
    ``stream_buffer_bytes`` bounds what has arrived of one answer and is not read. ``retry_base_ms`` and
    ``retry_max_ms`` are the first and the longest pause after a refusal or a lost connection, in
    milliseconds. ``curve``: see Curve. ``strategy='freelance'``: the end points are brokers that know nothing of
    each other; ``hedge_ms``: after so long without an answer one more of them is asked; ``ping_interval_ms``: one
    that is silent for twice as long is taken for dead, default 1000.

    Raises OptionError, EndpointError.
    """

    def request(
        self,
        service: Service,
        body: Body,
        *,
        timeout_ms: Optional[int] = USUAL,
        headers: Optional[Mapping[str, str]] = None,
        once: bool = False,
        group: Optional[str] = None,
    ) -> Reply:
        """Sends a request and waits for its reply.

            client.request('sum', '[1, 2]', timeout_ms=500).json()

        ``body``: text, bytes or a list of these, one for each frame. ``timeout_ms``, the time of the whole call in
        milliseconds, stands in for the client's. A request with ``headers``, or a time that was given, also tells the
        worker how long this client waits. A service that answers in parts gives them joined. ``once``: at most one worker
        runs it, and OutcomeUnknownError says that nobody knows whether it did. ``group``: a tenant or a device, 1 to 255 bytes
        in UTF-8; the groups of a service take turns at its workers. A broker without groups gives UnsupportedError.

        Raises ServiceError if the service failed, RequestTimeoutError, OutcomeUnknownError, UnreachableError,
        KeyRefusedError, RefusedError, ForbiddenError, NoWorkerError, TooLargeError, UnsupportedError, LimitError, ClosedError,
        OptionError, BodyError.
        """
        patience = self._engine.patience(timeout_ms)
        begin = lambda done: self._engine.call(service, body, patience, headers, done, None, once, group)
        return Reply(shown(service), self._wait(begin))

    def call(
        self,
        service: "TypedService[Input, Output]",
        value: "Union[Input, Mapping[str, Any]]",
        *,
        timeout_ms: Optional[int] = USUAL,
        headers: Optional[Mapping[str, str]] = None,
        once: bool = False,
        group: Optional[str] = None,
    ) -> Output:
        """Sends a value to a TypedService and returns the value of its reply.

            client.call(TAX, Place('DE'))

        Raises what ``request`` raises; ServiceError ``invalid_argument`` before a wrong value is sent.
        """
        body = service.encode("input", value)
        reply = self.request(service.name, body, timeout_ms=timeout_ms, headers=headers, once=once, group=group)
        found: Output = service.decode("output", reply)
        return found

    def stream(
        self,
        service: Service,
        body: Body,
        *,
        timeout_ms: Optional[int] = USUAL,
        headers: Optional[Mapping[str, str]] = None,
        once: bool = False,
        group: Optional[str] = None,
    ) -> Iterator[StreamPart]:
        """Yields the parts of an answer as they come; the last has ``final``.

            for part in client.stream('countdown', '3'):
                print(part.text(), part.final)

        The request is sent when the loop begins; the last part must come within ``timeout_ms``. Leaving the loop cancels the request. Raises what ``request`` raises, and StreamBrokenError.
        """
        name = shown(service)
        patience = self._engine.patience(timeout_ms)
        with new_mailbox() as parts:
            call = self._engine.call(
                service, body, patience, headers,
                lambda _, error: parts.put(error) if error is not None else None,
                lambda frames, final: parts.put(StreamPart(name, frames, final)),
                once, group,
            )
            try:
                while True:
                    part = self._engine.next(call, parts)
                    if isinstance(part, MajordomoError):
                        raise part
                    call.read_bytes += cost(part.frames)
                    yield part
                    if part.final:
                        return
            finally:
                self._engine.cancel(call)

    def enqueue(
        self,
        service: Service,
        body: Body,
        *,
        idempotency_key: Optional[str] = None,
        priority: Optional[int] = None,
        delay_ms: Optional[int] = None,
        ttl_ms: Optional[int] = None,
        max_attempts: Optional[int] = None,
        backoff: "Optional[tuple[int, int]]" = None,
        shared: bool = False,
        webhook: Optional[str] = None,
        group: Optional[str] = None,
        headers: Optional[Mapping[str, str]] = None,
        timeout_ms: Optional[int] = USUAL,
    ) -> "Job":
        """Stores a durable request; returns when it is on the broker's disk.

            job = client.enqueue('render', scene, idempotency_key='order-17')
            reply = job.result(timeout_ms=60_000)

        The same ``idempotency_key`` for the same service gives the same job again: ``job.existed`` says so. ``priority``: -100 to
        100, higher goes first. ``delay_ms``, ``ttl_ms`` and ``backoff``, the first and the longest pause
        between attempts, are in milliseconds; ``ttl_ms`` counts from the end of ``delay_ms``. ``shared``: other keys may read and close it.
        ``webhook``: a URL that is told of its end, if the broker allows its host. ``group``: as of ``request``.

        Raises what ``request`` raises, JobKeyReusedError if the key was used for a request with another body or other
        options, JobRefusedError, JobUnsupportedError. After a RequestTimeoutError, or a JobRefusedError that says so, it is
        not known whether it was stored: it is safe to repeat with the same ``idempotency_key``.
        """
        stored = jobs.stored_options(
            idempotency_key=idempotency_key, priority=priority, delay_ms=delay_ms, ttl_ms=ttl_ms,
            max_attempts=max_attempts, backoff=backoff, shared=shared, webhook=webhook, group=group, headers=headers,
        )
        patience = self._engine.patience(timeout_ms)
        found = self._run(jobs.enqueue(self._engine, service, body, stored, patience))
        return Job(self, found.uuid, shown(service), found.existed, found.found)

    def call_durable(
        self,
        service: Service,
        body: Body,
        *,
        idempotency_key: Optional[str] = None,
        priority: Optional[int] = None,
        delay_ms: Optional[int] = None,
        ttl_ms: Optional[int] = None,
        max_attempts: Optional[int] = None,
        backoff: "Optional[tuple[int, int]]" = None,
        shared: bool = False,
        webhook: Optional[str] = None,
        group: Optional[str] = None,
        headers: Optional[Mapping[str, str]] = None,
        timeout_ms: Optional[int] = USUAL,
    ) -> Reply:
        """Stores a durable request, waits for its reply and closes it, in one exchange with the broker.

            receipt = client.call_durable('charge', order, idempotency_key='order-17')

        The request is on disk before it runs, and its reply before this returns; after a lost connection, or broker, it is
        found by its uuid, or its key. The close goes out with the reply and is not waited for. The same ``idempotency_key``
        gives the reply as long as nobody has had it; a key whose reply was had is used up: JobUnknownError. The options are
        those of ``enqueue``.
        ``timeout_ms`` is the time of the whole call; without it the client's counts until the request is stored, and then
        there is no end. A broker that cannot answer both at once is sent ``enqueue``, ``result`` and ``close``.

        Raises what ``enqueue`` raises until it is stored, and afterwards what ``Job.result`` raises: the request then stays,
        with the uuid in the ``details`` of JobPendingError.
        """
        stored = jobs.stored_options(
            idempotency_key=idempotency_key, priority=priority, delay_ms=delay_ms, ttl_ms=ttl_ms,
            max_attempts=max_attempts, backoff=backoff, shared=shared, webhook=webhook, group=group, headers=headers,
        )
        return self._run(jobs.call_durable(self._engine, service, body, stored, timeout_ms))

    def job(self, uuid: str) -> "Job":
        """The durable request with this uuid, which another client may have stored."""
        return Job(self, jobs.checked_uuid(uuid), "")

    def schedule(
        self,
        name: str,
        service: Service,
        body: Body,
        *,
        cron: str,
        time_zone: Optional[str] = None,
        priority: Optional[int] = None,
        delay_ms: Optional[int] = None,
        ttl_ms: Optional[int] = None,
        max_attempts: Optional[int] = None,
        backoff: "Optional[tuple[int, int]]" = None,
        shared: bool = False,
        webhook: Optional[str] = None,
        group: Optional[str] = None,
        headers: Optional[Mapping[str, str]] = None,
        timeout_ms: Optional[int] = USUAL,
    ) -> Schedule:
        """Has the broker store a request whenever the cron line says so; replaces a schedule of that name.

            client.schedule('nightly', 'report', 'all', cron='30 2 * * *', time_zone='Europe/Berlin')

        The other options are those of ``enqueue``. Raises what ``enqueue`` raises.
        """
        stored = jobs.stored_options(
            priority=priority, delay_ms=delay_ms, ttl_ms=ttl_ms, max_attempts=max_attempts, backoff=backoff,
            shared=shared, webhook=webhook, group=group, headers=headers,
        )
        patience = self._engine.patience(timeout_ms)
        return self._run(schedules.schedule(name, service, body, cron, time_zone, stored, patience))

    def unschedule(self, name: str) -> bool:
        """Ends a schedule; False if there was none. Requests that are stored already stay."""
        return self._run(schedules.unschedule(name))

    def schedules(self) -> "list[Schedule]":
        """All schedules of this client's key."""
        return self._run(schedules.schedules(self._engine.patience()))

    def contract_of(
        self, service: Service, *, timeout_ms: Optional[int] = USUAL,
    ) -> "Optional[dict[str, Any]]":
        """The JSON of ``mmi.contract``: what the workers of a service announced as ``contract``.

        None if none did, or if the broker knows no contracts. Raises what ``request`` raises.
        """
        name = service_of(service)
        reply = self.request("mmi.contract", name, timeout_ms=timeout_ms)
        return contract_in(reply.frames)

    def close(self) -> None:
        """Ends the connection; requests that wait raise ClosedError. Closing twice does nothing.

        It usually returns at once. If nothing has come since this client sent its last message, it reads for a moment what
        still comes, a second at most: a connection that is closed with unread input loses what it has sent.
        """
        self._engine.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _wait(self, begin: Callable[[Any], Any]) -> Sequence[bytes]:
        with new_mailbox() as arrived:  # costs less than a Future
            call = begin(lambda body, error: arrived.put(body or () if error is None else error))
            try:
                outcome: Union[Sequence[bytes], MajordomoError] = self._engine.next(call, arrived)
            except BaseException:
                self._engine.cancel(call)
                raise
        if isinstance(outcome, MajordomoError):
            raise outcome
        return outcome

    def _run(self, script: "Script[Result]") -> Result:
        answer: Any = None
        error: Optional[MajordomoError] = None
        while True:
            try:
                step = script.send(answer) if error is None else script.throw(error)
            except StopIteration as end:
                result: Result = end.value
                return result
            answer, error = None, None
            if isinstance(step, Pause):
                time.sleep(step.seconds)
                continue
            try:
                answer = self._answer(step)
            except MajordomoError as raised:
                error = raised

    def _answer(self, question: Ask) -> Sequence[bytes]:
        return self._wait(lambda done: self._engine.ask(question, done))


@names_options
class Job:
    """A durable request. ``uuid`` is all that is needed to find it again: ``client.job(uuid)``.

    ``existed``: whether the request of the ``idempotency_key`` existed before ``enqueue``, which then stored nothing;
    None: not known. ``found``: its state then, ``pending``, ``replied``, ``dead`` (``result()`` raises the failure of
    that time) or ``closed`` (nothing is left of it but its key). To begin anew, use another key.
    """

    def __init__(self, client: Client, uuid: str, service: str, existed: Optional[bool] = None,
                 found: Optional[str] = None) -> None:
        self._client = client
        self.uuid = uuid
        self.service = service
        self.existed = existed
        self.found = found

    def result(self, timeout_ms: Optional[int] = None) -> Reply:
        """Waits for the reply, across restarts of brokers and lost connections; without ``timeout_ms``, in
        milliseconds, until there is an answer.

        Raises ServiceError if the request is dead and a worker said why, JobDeadError, JobUnknownError,
        JobPendingError when the time is up, and what ``request`` raises.
        """
        return self._client._run(jobs.result(self._client._engine, self.uuid, self.service, timeout_ms))

    def progress(self, timeout_ms: Optional[int] = None) -> Iterator[ProgressPart]:
        """Yields the parts that the worker sends while it works, those so far first; ends when the reply is there.

            for part in job.progress():
                print(part.attempt, part.index, part.text())

        ``timeout_ms`` is the longest wait for each. Raises what ``result`` raises, JobUnsupportedError.
        """
        place = b""
        while True:
            engine = self._client._engine
            place, parts = self._client._run(jobs.progress(engine, self.uuid, self.service, timeout_ms, place))
            yield from parts
            if not place:
                return

    def state(self) -> JobState:
        """Asks the broker once."""
        return self._client._run(jobs.state(self._client._engine, self.uuid, self.service))

    def close(self) -> None:
        """Deletes request and reply, stops further attempts, and cancels the one that runs. It is safe to close twice."""
        self._client._run(jobs.close(self.uuid))

    def cancel(self) -> None:
        """Does the same as ``close()``."""
        self.close()


def connect(endpoints: Endpoints = None, **options: Any) -> Client:
    """Short for ``Client(endpoints, **options)``."""
    check_names(CLIENT_OPTIONS, options)
    return Client(endpoints, **options)
