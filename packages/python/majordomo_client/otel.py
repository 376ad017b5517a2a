"""Traces of OpenTelemetry: needs ``opentelemetry-api``, which ``pip install majordomo-client[otel]`` brings.

    client = TracedClient('tcp://127.0.0.1:5555')
    Worker('tcp://127.0.0.1:5555', 'render', traced(render)).run()

The spans, and what they say, are those of the TypeScript SDK, with whose programs they make one trace.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from typing import Any, AsyncIterator, Callable, Iterator, Mapping, Optional

from opentelemetry import propagate, trace  # pyright: ignore[reportMissingImports]

from .aio import AsyncClient, AsyncJob
from .client import Client, Job, shown
from .errors import ServiceError, UnsupportedError
from .message import Reply, StreamPart

__all__ = ["TracedAsyncClient", "TracedClient", "traced"]


@contextlib.contextmanager
def _span(operation: str, kind: str, service: Any, of: Any = None) -> "Iterator[Any]":
    name = shown(service)
    attributes = {
        "messaging.system": "majordomo",
        "messaging.operation.name": operation,
        "messaging.operation.type": "process" if operation == "process" else "send",
        "messaging.destination.name": name,
    }
    tracer: Any = trace.get_tracer("majordomo-client")
    span = tracer.start_span(f"{operation} {name}", context=of, kind=getattr(trace.SpanKind, kind), attributes=attributes)
    with trace.use_span(span, end_on_exit=True):  # which records what is raised
        try:
            yield span
        except BaseException as error:
            found = error.service_code if isinstance(error, ServiceError) else getattr(error, "code", None)
            span.set_attribute("error.type", str(found or type(error).__name__))
            raise


def _carried(headers: "Optional[Mapping[str, str]]") -> "dict[str, str]":
    carried: "dict[str, str]" = {}
    propagate.inject(carried)
    return {**carried, **(headers or {})}


class TracedClient(Client):
    """Client whose requests and streams, ``enqueue`` and ``call_durable`` have spans. A broker without headers gets them without the context."""

    def request(self, service: Any, body: Any, *, headers: "Optional[Mapping[str, str]]" = None, **options: Any) -> Reply:
        """See ``Client.request``."""
        with _span("request", "CLIENT", service):
            try:
                return super().request(service, body, headers=_carried(headers), **options)
            except UnsupportedError:
                if headers is not None or options.get("once") or options.get("group"):
                    raise
                return super().request(service, body, **options)

    def stream(self, service: Any, body: Any, *, headers: "Optional[Mapping[str, str]]" = None, **options: Any) -> "Iterator[StreamPart]":
        """See ``Client.stream``."""
        with _span("request", "CLIENT", service):
            yield from super().stream(service, body, headers=_carried(headers), **options)

    def enqueue(self, service: Any, body: Any, *, headers: "Optional[Mapping[str, str]]" = None, **options: Any) -> Job:
        """See ``Client.enqueue``."""
        with _span("enqueue", "PRODUCER", service) as span:
            job = super().enqueue(service, body, headers=_carried(headers), **options)
            span.set_attribute("messaging.message.id", job.uuid)
            return job

    def call_durable(self, service: Any, body: Any, *, headers: "Optional[Mapping[str, str]]" = None, **options: Any) -> Reply:
        """See ``Client.call_durable``."""
        with _span("request", "CLIENT", service):
            return super().call_durable(service, body, headers=_carried(headers), **options)


class TracedAsyncClient(AsyncClient):
    """TracedClient for asyncio."""

    async def request(self, service: Any, body: Any, *, headers: "Optional[Mapping[str, str]]" = None, **options: Any) -> Reply:
        """See ``Client.request``."""
        with _span("request", "CLIENT", service):
            try:
                return await super().request(service, body, headers=_carried(headers), **options)
            except UnsupportedError:
                if headers is not None or options.get("once") or options.get("group"):
                    raise
                return await super().request(service, body, **options)

    async def stream(self, service: Any, body: Any, *, headers: "Optional[Mapping[str, str]]" = None,
                     **options: Any) -> "AsyncIterator[StreamPart]":
        """See ``Client.stream``."""
        with _span("request", "CLIENT", service):
            async for part in super().stream(service, body, headers=_carried(headers), **options):
                yield part

    async def enqueue(self, service: Any, body: Any, *, headers: "Optional[Mapping[str, str]]" = None, **options: Any) -> AsyncJob:
        """See ``Client.enqueue``."""
        with _span("enqueue", "PRODUCER", service) as span:
            job = await super().enqueue(service, body, headers=_carried(headers), **options)
            span.set_attribute("messaging.message.id", job.uuid)
            return job

    async def call_durable(self, service: Any, body: Any, *, headers: "Optional[Mapping[str, str]]" = None, **options: Any) -> Reply:
        """See ``Client.call_durable``."""
        with _span("request", "CLIENT", service):
            return await super().call_durable(service, body, headers=_carried(headers), **options)


def traced(handler: "Callable[..., Any]") -> "Callable[..., Any]":
    """A handler with a span for each request, a child of its client's."""

    def of(given: "tuple[Any, ...]") -> Any:
        request = given[-1]
        return _span("process", "CONSUMER", request.service, propagate.extract(request.headers))

    @functools.wraps(handler)
    def call(*given: Any) -> Any:
        with of(given):
            return handler(*given)

    @functools.wraps(handler)
    def parts(*given: Any) -> Any:
        with of(given):
            return (yield from handler(*given))

    @functools.wraps(handler)
    async def call_later(*given: Any) -> Any:
        with of(given):
            return await handler(*given)

    @functools.wraps(handler)
    async def parts_later(*given: Any) -> Any:
        with of(given):
            async for part in handler(*given):
                yield part

    if inspect.isgeneratorfunction(handler):
        return parts
    if inspect.isasyncgenfunction(handler):
        return parts_later
    return call_later if inspect.iscoroutinefunction(handler) else call
