"""Durable requests and schedules against the real broker."""

from __future__ import annotations

import http.server
import json
import pathlib
import queue
import threading
from typing import Any, Generator, Optional

import pytest

from majordomo_client import (
    Client,
    JobKeyReusedError,
    JobPendingError,
    JobRefusedError,
    JobUnknownError,
    OptionError,
    Request,
    ServiceError,
    Worker,
)

from .conftest import PATIENCE, Broker, StartBroker


def test_a_job_is_stored_answered_and_closed(broker: Broker) -> None:
    def render(request: Request) -> str:
        return f"{request.text()} for {request.headers['tenant']}"

    with Client(broker.endpoint) as client, Client(broker.endpoint) as other:
        job = client.enqueue("render", "scene", idempotency_key="order-17", priority=5, headers={"tenant": "acme"})
        again = client.enqueue("render", "scene", idempotency_key="order-17", priority=5, headers={"tenant": "other"})
        assert again.uuid == job.uuid
        assert job.state().state == "pending"
        with pytest.raises(JobPendingError):
            job.result(timeout_ms=100)
        with Worker(broker.endpoint, "render", render).ready():
            assert job.result(timeout_ms=10_000).text() == "scene for acme"
        same = other.job(job.uuid)
        state = same.state()
        assert state.state == "replied" and state.reply is not None and state.reply.text() == "scene for acme"
        same.close()
        same.close()
        assert job.state().state == "unknown"
        with pytest.raises(JobUnknownError):
            job.result()


def test_a_key_names_one_request_and_says_what_became_of_it(broker: Broker) -> None:
    with Client(broker.endpoint) as client:
        def again() -> "tuple[str, Optional[bool], Optional[str]]":
            job = client.enqueue("named", "one", idempotency_key="order-18")
            return job.uuid, job.existed, job.found

        uuid, existed, found = again()
        assert (existed, found) == (False, None)
        assert again() == (uuid, True, "pending")
        for body, priority in (("two", None), ("one", 1)):
            with pytest.raises(JobKeyReusedError) as refused:
                client.enqueue("named", body, idempotency_key="order-18", priority=priority)
            assert refused.value.code == "ERR_TITANIC_KEY_REUSED" and refused.value.details["status"] == 409
        with Worker(broker.endpoint, "named", lambda request: "done").ready():
            assert client.job(uuid).result(timeout_ms=10_000).text() == "done"
        assert again() == (uuid, True, "replied")
        client.job(uuid).close()
        assert again() == (uuid, True, "closed")
        assert client.job(uuid).existed is None
        assert client.enqueue("named", "one").existed is False


def test_a_dead_job_says_why(broker: Broker) -> None:
    def declines(request: Request) -> str:
        raise ServiceError("card_declined", "The card was declined", retry=False, details={"left": 7})

    with Worker(broker.endpoint, "charge", declines).ready(), Client(broker.endpoint) as client:
        job = client.enqueue("charge", "x", max_attempts=3, backoff=(1000, 60_000))
        with pytest.raises(ServiceError) as dead:
            job.result(timeout_ms=10_000)
        assert dead.value.service_code == "card_declined" and dead.value.details == {"left": 7}
        state = job.state()
        assert (state.state, state.code, state.reason) == ("dead", "card_declined", "The card was declined")


def test_a_job_outlives_a_killed_broker_while_somebody_waits(start_broker: StartBroker) -> None:
    served = start_broker()
    results: list[str] = []
    with Client(served.endpoint) as client:
        job = client.enqueue("later", "x")
        waits = threading.Thread(target=lambda: results.append(job.result(timeout_ms=20_000).text()), daemon=True)
        waits.start()
        served.kill()
        again = served.again()
        try:
            with Worker(served.endpoint, "later", lambda request: "done").ready():
                waits.join()
        finally:
            again.kill()
    assert results == ["done"]


def test_parts_of_a_job_that_runs(broker: Broker) -> None:
    go_on = threading.Event()

    def steps(request: Request) -> Generator[str, None, str]:
        yield "half"
        go_on.wait(PATIENCE)
        return "whole"

    with Worker(broker.endpoint, "steps", steps).ready(), Client(broker.endpoint) as client:
        job = client.enqueue("steps", "x")
        parts = job.progress(timeout_ms=10_000)
        first = next(parts)
        assert (first.text(), first.attempt, first.index) == ("half", 1, 0)
        go_on.set()
        for part in parts:
            assert part.index == 1
        assert job.result(timeout_ms=10_000).frames == [b"half", b"whole"]


def test_options_of_a_job_are_checked_before_it_is_sent(broker: Broker) -> None:
    with Client(broker.endpoint) as client:
        cases: "list[dict[str, Any]]" = [
            {"priority": 101}, {"delay_ms": -1}, {"ttl_ms": 0}, {"max_attempts": 0}, {"idempotency_key": ""},
            {"backoff": (10, 1)}, {"headers": {"Big": "x"}},
        ]
        for options in cases:
            with pytest.raises(OptionError):
                client.enqueue("x", "x", **options)
        with pytest.raises(OptionError):
            client.job("no uuid")
        with pytest.raises(JobRefusedError):
            client.enqueue("mmi.x", "x")


def test_schedules(broker: Broker) -> None:
    with Client(broker.endpoint) as client:
        made = client.schedule("nightly", "report", "all", cron="30 2 * * *", time_zone="Europe/Berlin")
        assert (made.name, made.service, made.time_zone, made.firings) == ("nightly", "report", "Europe/Berlin", 0)
        assert made.next > made.since
        assert [each.name for each in client.schedules()] == ["nightly"]
        with pytest.raises(JobRefusedError, match="cron"):
            client.schedule("never", "report", "all", cron="0 0 31 2 *")
        assert client.unschedule("nightly") is True
        assert client.unschedule("nightly") is False
        assert client.schedules() == []


def test_a_webhook_is_told_of_the_end_of_a_request_and_of_those_of_a_schedule(
    tmp_path: pathlib.Path, start_broker: StartBroker
) -> None:
    told: "queue.Queue[tuple[str, Any]]" = queue.Queue()

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            told.put((self.path, json.loads(body)["data"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    secret = tmp_path / "webhook.secret"
    secret.touch(mode=0o600)
    secret.write_text("whsec_" + "A" * 44)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        origin = f"http://127.0.0.1:{server.server_port}"
        broker = start_broker(f"http.webhookHosts={origin}", f"http.webhookSecretFile={secret}")
        with Client(broker.endpoint) as client, Worker(broker.endpoint, "render", lambda _: "done").ready():
            job = client.enqueue("render", "scene", webhook=f"{origin}/job")
            path, data = told.get(timeout=PATIENCE)
            assert (path, data["uuid"], data["outcome"]) == ("/job", job.uuid, "replied")
            client.schedule("often", "render", "", cron="* * * * * *", webhook=f"{origin}/schedule")
            assert told.get(timeout=PATIENCE)[0] == "/schedule"
            client.unschedule("often")
            with pytest.raises(JobRefusedError, match="400 webhook: "):
                client.enqueue("render", "scene", webhook="https://other.example/")
        server.shutdown()
