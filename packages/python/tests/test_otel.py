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


def test_the_sdk_exports_spans_of_clients_and_handlers(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    from majordomo_client.otel import TracedClient, traced

    sdk: Any = pytest.importorskip("opentelemetry.sdk.trace")
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), sdk.TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    with Worker(broker.endpoint, "traced", traced(seen)).ready(), TracedClient(broker.endpoint) as client:
        job = client.enqueue("traced", "x")
        seen_in = [job.result().text(), client.request("traced", "x").text()]
        with pytest.raises(ServiceError):
            client.request("traced", "fail")
    spans: "list[Any]" = sorted(exporter.get_finished_spans(), key=lambda each: int(each.start_time))
    shown = [(each.name, each.kind.name, each.status.status_code.name, each.attributes.get("error.type")) for each in spans]
    assert shown == [
        ("enqueue traced", "PRODUCER", "UNSET", None),
        ("process traced", "CONSUMER", "UNSET", None),
        ("request traced", "CLIENT", "UNSET", None),
        ("process traced", "CONSUMER", "UNSET", None),
        ("request traced", "CLIENT", "ERROR", "why"),
        ("process traced", "CONSUMER", "ERROR", "why"),
    ]
    for caller, handler in zip(spans[::2], spans[1::2]):
        assert caller.parent is None and handler.parent.span_id == caller.context.span_id
        assert handler.context.trace_id == caller.context.trace_id
    assert seen_in == [f"{each.context.trace_id:x}" for each in spans[:4:2]]
    assert spans[0].attributes["messaging.message.id"] == job.uuid
    assert [event.name for event in spans[5].events] == ["exception"]
