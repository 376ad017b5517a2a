"""Durable requests and schedules against the real broker."""

from __future__ import annotations

import http.server
import json
import pathlib
import queue
import threading
import time
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
    UnreachableError,
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


@pytest.mark.parametrize("protocol", ["0.2", "0.1"])
def test_a_durable_call_is_stored_answered_and_closed(broker: Broker, protocol: str) -> None:
    with Client(broker.endpoint, protocol=protocol) as client, Client(broker.endpoint) as other:
        with Worker(broker.endpoint, "called", lambda request: f"{request.text()} {request.headers.get('n')}").ready():
            options: "dict[str, Any]" = {"idempotency_key": f"call {protocol}", "headers": {"n": "1"}, "timeout_ms": 30_000}
            assert client.call_durable("called", "scene", **options).text() == "scene 1"
            # The close went out with the reply, before this.
            assert client.enqueue("called", "scene", idempotency_key=f"call {protocol}").found == "closed"
            with pytest.raises(JobUnknownError):
                other.call_durable("called", "scene", **options)
            assert other.call_durable("called", ["a"]).text() == "a None"


def test_a_durable_call_is_closed_by_a_client_that_leaves_at_once(broker: Broker) -> None:
    with Worker(broker.endpoint, "left", lambda request: request.text()).ready():
        with Client(broker.endpoint) as client:
            client.call_durable("left", "x", idempotency_key="left")
        with Client(broker.endpoint) as other:
            end = time.monotonic() + PATIENCE
            while other.enqueue("left", "x", idempotency_key="left").found != "closed":
                assert time.monotonic() < end
                time.sleep(0.01)


def test_a_durable_call_has_its_time_and_says_what_stays(broker: Broker) -> None:
    with Client(broker.endpoint, timeout_ms=500) as client:
        with pytest.raises(JobPendingError) as late:
            client.call_durable("nobody", "x", timeout_ms=300)
        assert " within 300 ms" in str(late.value)
        assert client.job(str(late.value.details["uuid"])).state().state == "pending"
        # The time of the client is for storing it.
        answers: "queue.Queue[str]" = queue.Queue()
        threading.Thread(target=lambda: answers.put(client.call_durable("later", "x").text())).start()
        with pytest.raises(queue.Empty):
            answers.get(timeout=1.0)
        with Worker(broker.endpoint, "later", lambda request: request.text()).ready():
            assert answers.get(timeout=PATIENCE) == "x"
    with Client("tcp://127.0.0.1:1", timeout_ms=200) as nobody, pytest.raises(UnreachableError):
        nobody.call_durable("later", "x")


def test_a_durable_call_that_fails_stays_for_the_operator(broker: Broker) -> None:
    def refuse(_: Request) -> str:
        raise ServiceError("card_declined", "no", retry=False)

    with Client(broker.endpoint) as client, Worker(broker.endpoint, "declines", refuse).ready():
        with pytest.raises(ServiceError) as failed:
            client.call_durable("declines", "x", idempotency_key="dead", timeout_ms=30_000)
        assert failed.value.service_code == "card_declined"
        assert client.enqueue("declines", "x", idempotency_key="dead").found == "dead"
        with pytest.raises(JobKeyReusedError):
            client.call_durable("declines", "y", idempotency_key="dead")


def test_a_durable_call_goes_on_over_a_restart(start_broker: StartBroker) -> None:
    broker = start_broker()
    with Client(broker.endpoint, timeout_ms=60_000) as client:
        answers: "queue.Queue[str]" = queue.Queue()
        threading.Thread(target=lambda: answers.put(client.call_durable("again", "x", idempotency_key="k").text())).start()
        with Client(broker.endpoint) as other:
            other.enqueue("again", "x", idempotency_key="k")  # stored by either of the two
        broker.kill()
        after = broker.again()
        try:
            with Worker(broker.endpoint, "again", lambda request: request.text()).ready():
                assert answers.get(timeout=PATIENCE) == "x"
        finally:
            after.kill()


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
