"""Streams, both ways, against the real broker."""

from __future__ import annotations

import os
import pathlib
import signal
import threading
import time
from typing import Any, AsyncIterator, Generator

import pytest

from majordomo_client import Client, LimitError, Request, ServiceError, StreamBrokenError, UsageError, Worker

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


@pytest.mark.parametrize("is_async", [False, True])
def test_what_a_thread_sends_after_its_handler_has_returned_is_refused_and_the_worker_stays_registered(
    broker: Broker, caplog: pytest.LogCaptureFixture, is_async: bool
) -> None:
    requests: list[Request] = []

    def handler(request: Request) -> str:
        requests.append(request)
        return "done"

    async def on_loop(request: Request) -> str:
        return handler(request)

    service = f"after-{is_async}"
    with Worker(broker.endpoint, service, on_loop if is_async else handler).ready(), Client(broker.endpoint) as client:
        for _ in range(3):
            assert client.request(service, "").text() == "done"
            requests[-1].progress("90 %")
            with pytest.raises(StreamBrokenError, match="the handler has returned"):
                requests[-1].partial("more")
    assert len(requests) == 3 and caplog.messages == []


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


def test_unread_parts_have_a_limit(broker: Broker) -> None:
    with Worker(broker.endpoint, "many", countdown).ready():
        with Client(broker.endpoint, stream_buffer_bytes=1000) as client:
            with pytest.raises(LimitError):
                client.request("many", "100")


# Handlers in processes.


class Odd(bytes):
    """Bytes that pickle cannot read."""

    def __bytes__(self) -> bytes:
        return self

    def __reduce__(self) -> Any:
        return int, ("no number",)


def tells(request: Request) -> str:
    what, _, rest = request.text().partition(" ")
    if what == "pid":
        return str(os.getpid())
    request.progress("begun")
    while what == "waits" and not pathlib.Path(rest).exists():
        time.sleep(0.01)
    if what == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "odd":
        request.partial(Odd(b"x"))
    if what == "large":
        request.partial(b"x" * 900_000)
    if what == "threads":
        some = [threading.Thread(target=request.partial, args=(str(each),)) for each in range(20)]
        for each in some:
            each.start()
        for each in some:
            each.join()
    if what == "after":
        threading.Thread(target=late, args=(request, rest), daemon=True).start()
    if what == "forks":
        child = os.fork()
        if child == 0:
            try:
                request.partial("from another process")
            except StreamBrokenError:
                os._exit(7)
            os._exit(0)
        return str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    if what == "flood":
        while not request.is_aborted():
            request.progress(b"x" * 1000)
        pathlib.Path(rest).write_text("told")
    return "done"


def late(request: Request, path: str) -> None:
    """Goes on when its handler has returned."""
    until = time.monotonic() + PATIENCE
    try:
        while time.monotonic() < until:
            request.partial("late")
    except StreamBrokenError as error:
        pathlib.Path(path).write_text(error.message)


def interrupted(request: Request) -> str:
    """A signal handler raises while a part is sent."""

    def interrupt(*_: Any) -> None:
        raise TimeoutError("out of time")

    if request.text() == "next":
        return "next"
    signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        while True:
            request.progress("more")
    except TimeoutError:
        return "in time"


def awaited(request: Request) -> Any:
    async def parts() -> AsyncIterator[str]:
        yield "1"
        yield "2"

    return parts()


def test_generators_and_progress_work_in_processes(broker: Broker, tmp_path: pathlib.Path) -> None:
    release = tmp_path / "release"
    services = {"p-countdown": countdown, "p-told": tells, "p-fails": fails, "p-awaited": awaited}
    with Worker(broker.endpoint, services=services, run_in="processes").ready(), Client(broker.endpoint, timeout_ms=20_000) as client:
        parts = [(part.text(), part.final) for part in client.stream("p-countdown", "2")]
        assert parts == [("2", False), ("1", False), ("lift-off", True)]
        assert client.request("p-countdown", "2").frames == [b"2", b"1", b"lift-off"]
        assert [part.text() for part in client.stream("p-awaited", "")] == ["1", "2", ""]
        told = [(part.text(), part.progress, part.final) for part in client.stream("p-told", "")]
        assert told == [("begun", True, False), ("done", False, True)]
        job = client.enqueue("p-told", f"waits {release}")
        first = next(job.progress())
        release.touch()
        assert (first.text(), first.progress, job.result().text()) == ("begun", True, "done")
        stream = client.stream("p-fails", "")
        assert next(stream).text() == "one"
        with pytest.raises(ServiceError) as failed:
            next(stream)
        assert failed.value.service_code == "no_more"


def test_parts_of_a_process_may_be_large_or_of_any_class_and_come_from_its_threads(broker: Broker) -> None:
    with Worker(broker.endpoint, "p-kinds", tells, run_in="processes").ready(), Client(broker.endpoint, timeout_ms=20_000) as client:
        assert client.request("p-kinds", "odd").frames == [b"x", b"done"]
        assert [len(frame) for frame in client.request("p-kinds", "large").frames] == [900_000, 4]
        frames = client.request("p-kinds", "threads").frames
        assert sorted(frames[:-1], key=int) == [str(each).encode() for each in range(20)]
        assert client.request("p-kinds", "forks").text() == "7"


def test_a_thread_that_outlives_its_handler_in_a_process_sends_no_part_to_the_next_request(
    broker: Broker, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "late"
    with Worker(broker.endpoint, "p-late", tells, run_in="processes").ready(), Client(broker.endpoint, timeout_ms=20_000) as client:
        assert client.request("p-late", f"after {path}").frames[-1] == b"done"
        until = time.monotonic() + PATIENCE
        while not path.exists() or not path.read_text():
            assert time.monotonic() < until
            time.sleep(0.01)
        assert path.read_text() == "the handler has returned, so there are no more parts"
        assert client.request("p-late", "").frames == [b"done"]


def test_a_process_that_dies_after_progress_is_lost_with_its_request_only(broker: Broker) -> None:
    with Worker(broker.endpoint, "p-dies", tells, run_in="processes").ready():
        with Client(broker.endpoint, timeout_ms=20_000) as client:
            stream = client.stream("p-dies", "dies")
            assert next(stream).progress
            with pytest.raises(ServiceError) as lost:
                for _ in stream:
                    pass
            assert lost.value.service_code == "process_lost" and lost.value.message.endswith("signal SIGKILL")
            assert client.request("p-dies", "").text() == "done"


@pytest.mark.parametrize("run_in", ["processes", "threads"])
def test_a_handler_that_floods_hears_that_nobody_waits_and_goes_on_with_the_next_request(
    broker: Broker, tmp_path: pathlib.Path, run_in: str
) -> None:
    path = tmp_path / "told"
    with Worker(broker.endpoint, "p-flood", tells, run_in=run_in).ready(), Client(broker.endpoint, timeout_ms=20_000) as client:
        pid = client.request("p-flood", "pid").text()
        stream: Any = client.stream("p-flood", f"flood {path}")
        assert all(next(stream).progress for _ in range(1000))
        stream.close()
        assert client.request("p-flood", "pid").text() == pid
        assert path.read_text() == "told"


def test_a_part_that_a_signal_handler_interrupts_harms_no_later_request(broker: Broker) -> None:
    with Worker(broker.endpoint, "p-alarm", interrupted, run_in="processes").ready(), Client(broker.endpoint, timeout_ms=20_000) as client:
        for _ in range(5):
            try:
                assert client.request("p-alarm", "").text() == "in time"
            except ServiceError as lost:
                assert lost.service_code == "process_lost"
            assert client.request("p-alarm", "next").frames == [b"next"]


def test_a_request_that_no_worker_got_has_no_parts_and_no_progress() -> None:
    request = Request("x", [b""], {}, None)
    for send in (request.partial, request.progress):
        with pytest.raises(UsageError):
            send("x")
