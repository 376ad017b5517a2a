"""The scenarios of test/scenarios/sdk.json, which the TypeScript SDK runs as well."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest

from majordomo_client import AsyncClient, MajordomoError, Reply, Request, ServiceError, Worker

from .conftest import PATIENCE, ROOT, Broker, StartBroker

SCENARIOS = json.loads((ROOT / "test" / "scenarios" / "sdk.json").read_text())
LIMIT = 1048576


STRANGE = {"levels": b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}", "digits": b'{"a":' + b"9" * 5000 + b"}"}


class Coded(Exception):
    def __init__(self, code: str) -> None:
        super().__init__("It has a code")
        self.code = code


class Run:
    def __init__(self, start: StartBroker, count: int) -> None:
        self.brokers: list[Broker] = [start(f"limits.messageBytes={LIMIT}") for _ in range(count)]
        self.endpoints = [broker.endpoint for broker in self.brokers]
        self.workers: dict[str, Worker] = {}
        self.requests: dict[str, asyncio.Task[Reply]] = {}
        self.begun = threading.Semaphore(0)
        self.aborted = threading.Semaphore(0)
        self.released = threading.Event()

    async def run(self, scenario: "dict[str, Any]") -> None:
        try:
            async with AsyncClient(self.endpoints, **times_of(scenario)) as client:
                for step in scenario["steps"]:
                    await self.step(client, step)
        finally:
            self.released.set()
            for worker in self.workers.values():
                worker.close(grace_ms=1000)
            for broker in self.brokers:
                broker.kill()

    async def step(self, client: AsyncClient, step: "dict[str, Any]") -> None:
        kind = step["do"]
        if kind == "worker":
            handler = getattr(self, step["handler"])
            worker = Worker(self.endpoints, step["service"], handler, retry_max_ms=200)
            self.workers[step["id"]] = worker.start()
            await in_thread(worker.ready)
        elif kind == "request":
            body = bytes(step["bytes"]) if "bytes" in step else step["body"]
            call = client.request(step["service"], body, **times_of(step))
            self.requests[step["id"]] = asyncio.create_task(call)
            await asyncio.sleep(0)  # it begins
        elif kind in ("begun", "aborted"):
            for _ in range(step["count"]):
                assert await in_thread(getattr(self, kind).acquire, True, PATIENCE)
        elif kind == "release":
            self.released.set()
        elif kind == "kill":
            self.brokers[step["broker"]].kill()
        elif kind == "start":
            self.brokers[step["broker"]] = await in_thread(self.brokers[step["broker"]].again)
        elif kind == "closeWorker":
            await in_thread(self.workers[step["id"]].close, 0)
        elif kind == "late":
            assert client.counters["late"] == step["count"]
        else:
            await self.outcome(kind, self.requests[step["id"]], step)

    async def outcome(self, kind: str, request: "asyncio.Task[Reply]", step: "dict[str, Any]") -> None:
        if kind == "cancel":
            request.cancel()
            with pytest.raises(asyncio.CancelledError):
                await request
        elif kind == "reply":
            assert (await request).text() == step["body"]
        elif kind == "error":
            with pytest.raises(MajordomoError) as failed:
                await request
            assert failed.value.code == step["code"]
            if "serviceCode" in step:
                assert isinstance(failed.value, ServiceError) and failed.value.service_code == step["serviceCode"]
        else:
            raise ValueError(f"no step {kind}")

    def echo(self, request: Request) -> bytes:
        return request.value

    def hold(self, request: Request) -> bytes:
        self.begun.release()
        while not self.released.wait(0.02):
            if request.aborted.is_set():
                self.aborted.release()
                self.released.wait(PATIENCE)
        return request.value

    def large(self, request: Request) -> bytes:
        return bytes(2 * LIMIT)

    def coded(self, request: Request) -> str:
        raise Coded(request.text())

    def strange(self, request: Request) -> str:
        error = ServiceError("strange", "It has strange details")
        error.detail = [STRANGE[request.text()]]
        raise error

    def decline(self, request: Request) -> str:
        raise ServiceError("card_declined", "The card was declined")


def times_of(given: "dict[str, Any]") -> "dict[str, Any]":
    names = {"timeout_ms": "timeoutMs", "resend_ms": "resendMs"}
    return {name: given[other] for name, other in names.items() if other in given}


async def in_thread(function: Any, *arguments: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(None, function, *arguments)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[each["name"] for each in SCENARIOS])
def test_scenario(scenario: "dict[str, Any]", start_broker: StartBroker) -> None:
    run = Run(start_broker, scenario.get("brokers", 1))
    asyncio.run(run.run(scenario))
