"""Traces: the context of a client's span goes to the handler."""

from __future__ import annotations

import asyncio
from typing import Any, Callable

import pytest

from majordomo_client import Client, Request, ServiceError, Worker

from .conftest import Broker

trace: Any = pytest.importorskip("opentelemetry.trace")
TRACE, PARENT = 0x5CE0E9A56015FEC5AADFA328AE398115, 0x1234567890ABCDEF


def seen(request: Request) -> str:
    if request.text() == "fail":
        raise ServiceError("why", "it fails")
    return f"{trace.get_current_span().get_span_context().trace_id:x}"


async def seen_later(request: Request) -> str:
    return seen(request)


def seen_in_parts(request: Request) -> Any:
    yield seen(request)
    return ""


async def seen_in_later_parts(request: Request) -> Any:
    yield seen(request)


@pytest.mark.parametrize("handler", [seen, seen_later, seen_in_parts, seen_in_later_parts])
def test_the_handler_is_in_the_trace_of_its_client(broker: Broker, handler: "Callable[..., Any]") -> None:
    from majordomo_client.otel import TracedAsyncClient, TracedClient, traced

    parent = trace.NonRecordingSpan(trace.SpanContext(TRACE, PARENT, True, trace.TraceFlags(1)))

    async def program() -> str:
        async with TracedAsyncClient(broker.endpoint) as client:
            parts = [part.text() async for part in client.stream("traced", "x")]
            assert "".join(parts) == f"{TRACE:x}"
            job = await client.enqueue("traced", "x")
            assert (await job.result()).text() == f"{TRACE:x}"
            return (await client.request("traced", "x")).text()

    with Worker(broker.endpoint, "traced", traced(handler)).ready(), TracedClient(broker.endpoint) as client:
        with trace.use_span(parent):
            assert client.request("traced", "x").text() == f"{TRACE:x}"
            assert "".join(part.text() for part in client.stream("traced", "x")) == f"{TRACE:x}"
            assert client.enqueue("traced", "x").result().text() == f"{TRACE:x}"
            assert asyncio.run(program()) == f"{TRACE:x}"
            with pytest.raises(ServiceError):
                client.request("traced", "fail")
        with Client(broker.endpoint) as plain:
            assert plain.request("traced", "x").text() == "0"
