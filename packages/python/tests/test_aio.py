"""The client for asyncio, against the real broker."""

from __future__ import annotations

import asyncio
from typing import Generator

import pytest

from majordomo_client import AsyncClient, ClosedError, Request, ServiceError, Worker

from .conftest import Broker


def counts(request: Request) -> Generator[str, None, str]:
    yield "1"
    return "2"


def test_requests_streams_and_jobs(broker: Broker) -> None:
    def echo(request: Request) -> bytes:
        if request.value == b"bad":
            raise ServiceError("bad_input", "It is bad")
        return request.value

    async def program() -> None:
        async with AsyncClient(broker.endpoint) as client:
            replies = await asyncio.gather(*(client.request("aio-echo", str(n)) for n in range(20)))
            assert [reply.text() for reply in replies] == [str(n) for n in range(20)]
            with pytest.raises(ServiceError) as failed:
                await client.request("aio-echo", "bad")
            assert failed.value.service_code == "bad_input"
            assert [part.text() async for part in client.stream("aio-counts", "")] == ["1", "2"]
            job = await client.enqueue("aio-counts", "", idempotency_key="aio")
            assert [part.index async for part in job.progress(timeout_ms=10_000)] in ([], [0], [0, 1])
            assert (await job.result(timeout_ms=10_000)).frames == [b"1", b"2"]
            assert (await client.job(job.uuid).state()).state == "replied"
            await job.close()
            called = await client.call_durable("aio-counts", "", idempotency_key="aio-call", timeout_ms=30_000)
            assert called.frames == [b"1", b"2"]
            assert (await client.enqueue("aio-counts", "", idempotency_key="aio-call")).found == "closed"
            made = await client.schedule("aio", "report", "all", cron="@daily")
            assert [each.name for each in await client.schedules()] == [made.name]
            assert await client.unschedule("aio")

    services = {"aio-echo": echo, "aio-counts": counts}
    with Worker(broker.endpoint, services=services).ready():
        asyncio.run(program())


def test_a_closed_client_ends_what_waits(broker: Broker) -> None:
    async def program() -> None:
        client = AsyncClient(broker.endpoint)
        task = asyncio.create_task(client.request("nobody-serves-this", "x"))
        await asyncio.sleep(0)
        await client.close()
        with pytest.raises(ClosedError):
            await task
        with pytest.raises(ClosedError):
            await client.request("nobody-serves-this", "x")

    asyncio.run(program())
