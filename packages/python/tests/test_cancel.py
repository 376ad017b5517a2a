"""Requests that nobody waits for any more, against the real broker."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from types import SimpleNamespace
from typing import Any, AsyncIterator, Generator, Optional

import pytest

from majordomo_client import AsyncClient, Client, Request, RequestTimeoutError, ServiceError, StreamBrokenError, Worker
from majordomo_client.handlers import Raised
from majordomo_client.worker_core import Failure

from .conftest import PATIENCE, Broker

HOUR_MS = 3_600_000


class Handlers:
    """Each says that it runs, and what it was told."""

    def __init__(self) -> None:
        self.running = threading.Event()
        self.told = threading.Event()
        self.release = threading.Event()

    def thread(self, request: Request) -> str:
        if request.value == b"next":
            return "done"
        self.running.set()
        assert request.aborted.wait(PATIENCE) and request.is_aborted()
        with pytest.raises(StreamBrokenError):
            request.partial("more")
        request.progress("more")
        self.told.set()
        raise ValueError("it is dropped")

    async def task(self, request: Request) -> str:
        if request.value == b"next":
            return "done"
        self.running.set()
        try:
            await asyncio.sleep(PATIENCE)
        except asyncio.CancelledError:
            assert request.is_aborted()
            self.told.set()
            raise
        raise AssertionError("it was not cancelled")

    def deaf(self, request: Request) -> str:
        if request.value == b"next":
            return "done"
        self.running.set()
        self.release.wait(PATIENCE)
        self.told.set()
        return "too late"

    def parts(self, request: Request) -> Generator[str, None, str]:
        yield "1"
        self.running.set()
        request.aborted.wait(PATIENCE)
        self.told.set()
        return "2"

    async def async_parts(self, request: Request) -> AsyncIterator[str]:
        yield "1"
        self.running.set()
        try:
            await asyncio.sleep(PATIENCE)
        finally:
            self.told.set()


async def in_thread(function: Any, *arguments: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(None, function, *arguments)


@pytest.mark.parametrize(("kind", "closes"), [("thread", False), ("task", False), ("thread", True)])
@pytest.mark.parametrize("strategy", ["failover", "freelance"])
def test_a_cancelled_task_ends_the_handler_of_its_request_even_if_its_client_closes_at_once(
    broker: Broker, caplog: pytest.LogCaptureFixture, kind: str, closes: bool, strategy: str
) -> None:
    handlers = Handlers()
    service = f"cancel-{kind}-{closes}-{strategy}"

    async def program() -> None:
        async with AsyncClient(broker.endpoint, strategy=strategy, timeout_ms=HOUR_MS) as client:
            task = asyncio.create_task(client.request(service, "x"))
            assert await in_thread(handlers.running.wait, PATIENCE)
            waiting = asyncio.create_task(client.request(service, "x"))
            await asyncio.sleep(0.1)
            waiting.cancel()
            task.cancel()
            await asyncio.sleep(0)  # the tasks hear of it
            if closes:
                return
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await in_thread(handlers.told.wait, PATIENCE)
            handlers.told.clear()
            assert (await client.request(service, "next")).text() == "done"
            assert client.counters["late"] == 0 and not handlers.told.is_set()

    with Worker(broker.endpoint, service, getattr(handlers, kind)).ready():
        asyncio.run(program())
        assert not closes or handlers.told.wait(PATIENCE)
    assert caplog.messages == []


@pytest.mark.parametrize(("kind", "protocol"), [("thread", "0.2"), ("task", "0.2"), ("thread", "0.1")])
def test_a_closed_durable_request_ends_its_handler(
    broker: Broker, caplog: pytest.LogCaptureFixture, kind: str, protocol: str
) -> None:
    handlers = Handlers()
    service = f"cancel-stored-{kind}-{protocol}"
    worker = Worker(broker.endpoint, service, getattr(handlers, kind), protocol=protocol)
    with worker.ready(), Client(broker.endpoint) as client:
        job = client.enqueue(service, "x")
        assert handlers.running.wait(PATIENCE)
        job.cancel()
        assert handlers.told.wait(PATIENCE)
        assert client.request(service, "next", timeout_ms=10_000).text() == "done"
        assert job.state().state == "unknown"
    assert caplog.messages == []


@pytest.mark.parametrize("kind", ["parts", "async_parts"])
def test_a_stream_that_is_left_ends_its_handler(broker: Broker, caplog: pytest.LogCaptureFixture, kind: str) -> None:
    handlers = Handlers()
    service = f"cancel-{kind}"

    async def program() -> None:
        async with AsyncClient(broker.endpoint, timeout_ms=HOUR_MS) as client:
            parts = client.stream(service, "x")
            assert (await parts.__anext__()).text() == "1"
            await in_thread(handlers.running.wait, PATIENCE)
            await parts.aclose()  # type: ignore[attr-defined]
            assert await in_thread(handlers.told.wait, PATIENCE)

    with Worker(broker.endpoint, service, getattr(handlers, kind)).ready():
        with Client(broker.endpoint, timeout_ms=HOUR_MS) as client:
            for part in client.stream(service, "x"):
                assert part.text() == "1" and handlers.running.wait(PATIENCE)
                break
            assert handlers.told.wait(PATIENCE)
        handlers.running.clear()
        handlers.told.clear()
        asyncio.run(program())
    assert caplog.messages == []


def test_a_handler_that_goes_on_loses_its_place_and_its_late_answer_is_dropped(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    handlers = Handlers()
    worker = Worker(broker.endpoint, "cancel-deaf", handlers.deaf, cancel_grace_ms=100)
    with worker.ready(), Client(broker.endpoint, timeout_ms=HOUR_MS) as client:
        job = client.enqueue("cancel-deaf", "x")
        assert handlers.running.wait(PATIENCE)
        begun = time.monotonic()
        job.close()
        assert client.request("cancel-deaf", "next").text() == "done"
        assert time.monotonic() - begun >= 0.1
        handlers.release.set()
        assert handlers.told.wait(PATIENCE)
        assert client.request("cancel-deaf", "next").text() == "done"
    warning, _ = caplog.messages
    assert "goes on 100 ms after its request was cancelled" in warning


@pytest.mark.parametrize("is_async", [False, True])
def test_no_more_handlers_go_on_than_may_run(broker: Broker, caplog: pytest.LogCaptureFixture, is_async: bool) -> None:
    begun = {each: threading.Event() for each in "abc"}
    release = {each: threading.Event() for each in "abc"}

    def hangs(request: Request) -> str:
        begun[request.text()].set()
        assert release[request.text()].wait(PATIENCE)
        return ""

    async def hangs_on_loop(request: Request) -> str:
        begun[request.text()].set()
        while not release[request.text()].is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)
        return ""

    service = f"cancel-hangs-{is_async}"
    handler = hangs_on_loop if is_async else hangs
    with Worker(broker.endpoint, service, handler, cancel_grace_ms=50).ready(), Client(broker.endpoint) as client:
        jobs = {each: client.enqueue(service, each) for each in "abc"}
        for each in "ab":
            assert begun[each].wait(PATIENCE)
            jobs[each].close()
        assert not begun["c"].wait(0.5)  # a goes on, and b keeps the place
        release["a"].set()
        assert begun["c"].wait(PATIENCE)
        errors = [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR]
        assert errors[0].startswith("handlers that go on after their requests were cancelled: 1, as many as may run")
        for event in release.values():
            event.set()


@pytest.mark.parametrize(("left_ms", "ends"), [(0, ["given back"]), (60_000, ["failed"]), (None, ["failed"])])
def test_what_a_handler_raises_after_the_deadline_is_no_failure(
    caplog: pytest.LogCaptureFixture, left_ms: Optional[int], ends: "list[str]"
) -> None:
    told: list[str] = []
    core = SimpleNamespace(give_back=lambda *_: told.append("given back"), fail=lambda *_: told.append("failed"))
    session: Any = SimpleNamespace(name="late", core=core)
    task: Any = object()
    worker = Worker("tcp://127.0.0.1:1", "late", lambda request: "")
    worker._running[task] = (session, Request("late", [b""], {}, left_ms))
    worker._over(session, task, Raised(Failure("error", "ValueError", "in vain"), "ValueError: in vain"))
    assert told == ends and len(caplog.messages) == told.count("failed")


def test_a_request_that_has_not_begun_goes_back_at_once(broker: Broker) -> None:
    handlers = Handlers()
    services = {"cancel-held-a": handlers.deaf, "cancel-held-b": handlers.thread}

    async def program() -> None:
        async with AsyncClient(broker.endpoint, timeout_ms=HOUR_MS) as client:
            first = asyncio.create_task(client.request("cancel-held-a", "x"))
            assert await in_thread(handlers.running.wait, PATIENCE)
            handlers.running.clear()
            # The place is one for both services: the worker holds the second.
            second = asyncio.create_task(client.request("cancel-held-b", "x"))
            await asyncio.sleep(0.2)
            assert len(worker._held) == 1
            second.cancel()
            for _ in range(100):
                if not worker._held:
                    break
                await asyncio.sleep(0.05)
            assert len(worker._held) == 0
            handlers.release.set()
            assert (await first).text() == "too late"
            assert not handlers.running.is_set()

    with Worker(broker.endpoint, services=services).ready() as worker:
        asyncio.run(program())


def test_a_cancelled_error_of_a_handler_that_nobody_cancelled_is_a_failure(broker: Broker) -> None:
    async def gives_in(request: Request) -> str:
        raise asyncio.CancelledError

    with Worker(broker.endpoint, "cancel-itself", gives_in).ready(), Client(broker.endpoint) as client:
        with pytest.raises(ServiceError) as failed:
            client.request("cancel-itself", "x")
    assert failed.value.service_code == "CancelledError"


def test_calls_that_time_out_before_their_client_closes_are_all_taken_back(broker: Broker) -> None:
    begun, cancelled = threading.Semaphore(0), threading.Semaphore(0)

    async def handler(_: Request) -> str:
        begun.release()
        try:
            await asyncio.sleep(PATIENCE)
        except asyncio.CancelledError:
            cancelled.release()
            raise
        return ""

    async def ask() -> int:
        async with AsyncClient(broker.endpoint, timeout_ms=2000) as client:
            calls = [client.request("slow", "x") for _ in range(500)]
            ends = await asyncio.gather(*calls, return_exceptions=True)
        return sum(isinstance(each, RequestTimeoutError) for each in ends)

    with Worker(broker.endpoint, "slow", handler, concurrency=500).ready() as worker:
        assert asyncio.run(ask()) == 500
        while begun.acquire(timeout=0):
            assert cancelled.acquire(timeout=PATIENCE)
        worker.close(grace_ms=0)
