"""Streams, both ways, against the real broker."""

from __future__ import annotations

import threading
from typing import AsyncIterator, Generator

import pytest

from majordomo import Client, LimitError, OptionError, Request, ServiceError, StreamBrokenError, Worker

from .conftest import PATIENCE, Broker, StartBroker


def countdown(request: Request) -> Generator[str, None, str]:
    for number in range(int(request.text()), 0, -1):
        yield str(number)
    return "lift-off"


async def letters(request: Request) -> AsyncIterator[str]:
    for letter in request.text():
        yield letter


def fails(request: Request) -> Generator[str, None, str]:
    yield "one"
    raise ServiceError("no_more", "There is no more")


def test_parts_come_one_by_one_and_the_last_is_marked(broker: Broker) -> None:
    services = {"countdown": countdown, "letters": letters}
    with Worker(broker.endpoint, services=services).ready(), Client(broker.endpoint) as client:
        parts = [(part.text(), part.final) for part in client.stream("countdown", "2")]
        assert parts == [("2", False), ("1", False), ("lift-off", True)]
        assert [part.text() for part in client.stream("letters", "ab")] == ["a", "b", ""]
        assert client.request("countdown", "2").frames == [b"2", b"1", b"lift-off"]


def test_a_worker_of_the_old_version_sends_its_parts_as_one_answer(broker: Broker) -> None:
    with Worker(broker.endpoint, "old", countdown, protocol="0.1").ready(), Client(broker.endpoint) as client:
        (part,) = client.stream("old", "2")
        assert part.frames == [b"2", b"1", b"lift-off"] and part.final


def test_any_handler_may_send_parts(broker: Broker) -> None:
    def handler(request: Request) -> str:
        request.partial("first")
        return "last"

    with Worker(broker.endpoint, "parts", handler).ready(), Client(broker.endpoint) as client:
        assert [part.text() for part in client.stream("parts", "")] == ["first", "last"]


def test_progress_is_told_apart_from_the_answer(broker: Broker) -> None:
    release = threading.Event()

    def handler(request: Request) -> str:
        request.progress("half")
        release.wait(PATIENCE)
        return "done"

    for protocol in ("0.2", "0.1"):
        told = ["half"] if protocol == "0.2" else []
        with Worker(broker.endpoint, "told", handler, protocol=protocol).ready(), Client(broker.endpoint) as client:
            job = client.enqueue("told", "")
            if told:
                first = next(job.progress())
                assert (first.text(), first.progress) == ("half", True)
            release.set()
            assert job.result().text() == "done"
            assert client.request("told", "").text() == "done"
            parts = [(part.text(), part.progress, part.final) for part in client.stream("told", "")]
            assert parts == [*((text, True, False) for text in told), ("done", False, True)]
            release.clear()


def test_a_failure_ends_a_stream(broker: Broker) -> None:
    with Worker(broker.endpoint, "fails", fails).ready(), Client(broker.endpoint) as client:
        parts = client.stream("fails", "")
        assert next(parts).text() == "one"
        with pytest.raises(ServiceError) as failed:
            next(parts)
    assert failed.value.service_code == "no_more"


def test_a_killed_broker_breaks_a_stream(start_broker: StartBroker) -> None:
    served = start_broker()
    release = threading.Event()

    def held(request: Request) -> Generator[str, None, str]:
        yield "one"
        release.wait(PATIENCE)
        return "two"

    with Worker(served.endpoint, "held", held).ready(), Client(served.endpoint, timeout_ms=10_000) as client:
        parts = client.stream("held", "")
        assert next(parts).text() == "one"
        served.kill()
        with pytest.raises(StreamBrokenError):
            next(parts)
        release.set()


def test_unread_parts_have_a_limit_and_processes_send_none(broker: Broker) -> None:
    with Worker(broker.endpoint, "many", countdown).ready():
        with Client(broker.endpoint, stream_buffer_bytes=1000) as client:
            with pytest.raises(LimitError):
                client.request("many", "100")
    with pytest.raises(OptionError):
        Worker(broker.endpoint, "many", countdown, run_in="processes")
