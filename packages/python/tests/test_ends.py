"""How handlers, workers and clients end, and what is said of it, against the real broker."""

from __future__ import annotations

import asyncio
import collections
import functools
import gc
import itertools
import pathlib
import signal
import threading
import time
import warnings
from typing import Any, AsyncIterator, Awaitable, Callable

import pytest
import zmq

from majordomo_client import AsyncClient, Client, ClosedError, OptionError, Request, ServiceError, SharedMap, Worker
from majordomo_client.handlers import Handler, failure_of
from majordomo_client.session import Session
from majordomo_client.wire import HEARTBEAT
from majordomo_client.worker_core import STEP, Stillness, Task

from .conftest import PATIENCE, Broker, StartBroker, output_of, start_program

NOBODY = "tcp://127.0.0.1:1"


def decorated(function: "Callable[..., Any]") -> "Callable[..., Any]":
    """As many decorators do: what it returns does not look like a coroutine function."""

    @functools.wraps(function)
    def wrapper(*arguments: Any) -> Any:
        return function(*arguments)

    return wrapper


@decorated
async def later(request: Request) -> str:
    await asyncio.sleep(0)
    return f"later {request.text()}"


@decorated
async def in_parts(request: Request) -> "AsyncIterator[str]":
    yield "in "
    yield "parts "
    yield request.text()


class Called:
    async def __call__(self, request: Request) -> str:
        return await later(request)  # type: ignore[no-any-return]


class CalledInParts:
    async def __call__(self, request: Request) -> "AsyncIterator[str]":
        yield "in parts "
        yield request.text()


def returns_one(request: Request) -> "Awaitable[str]":
    return Called()(request)


HANDLERS: "dict[str, tuple[Handler, str]]" = {
    "a decorated coroutine function": (later, "later x"),
    "a decorated asynchronous generator": (in_parts, "in parts x"),
    "an object with async __call__": (Called(), "later x"),
    "an object with an asynchronous generator as __call__": (CalledInParts(), "in parts x"),
    "a function that returns a coroutine": (returns_one, "later x"),
    "a part of a coroutine function": (functools.partial(Called.__call__, Called()), "later x"),
}


@pytest.mark.parametrize("handler, answer", HANDLERS.values(), ids=HANDLERS.keys())
def test_whatever_is_awaitable_is_awaited(broker: Broker, handler: Handler, answer: str) -> None:
    with Worker(broker.endpoint, "awaits", handler).ready(), Client(broker.endpoint, timeout_ms=20_000) as client:
        assert client.request("awaits", "x").text() == answer


@pytest.mark.parametrize("handler", [later, returns_one])
def test_whatever_is_awaitable_is_awaited_in_a_process(broker: Broker, handler: Handler) -> None:
    with Worker(broker.endpoint, "awaits", handler, run_in="processes").ready():
        with Client(broker.endpoint, timeout_ms=20_000) as client:
            assert client.request("awaits", "x").text() == "later x"


def test_the_request_of_a_coroutine_that_did_not_look_like_one_can_be_cancelled(broker: Broker) -> None:
    begun, ended = threading.Event(), threading.Event()

    @decorated
    async def handler(_: Request) -> None:
        begun.set()
        try:
            await asyncio.sleep(PATIENCE)
        finally:
            ended.set()

    async def ask() -> None:
        async with AsyncClient(broker.endpoint) as client:
            asking = asyncio.create_task(client.request("cancelled", "x"))
            assert await asyncio.get_running_loop().run_in_executor(None, begun.wait, PATIENCE)
            asking.cancel()
            assert await asyncio.get_running_loop().run_in_executor(None, ended.wait, PATIENCE)

    with Worker(broker.endpoint, "cancelled", handler).ready():
        asyncio.run(ask())


class Coded(Exception):
    def __init__(self, code: object) -> None:
        super().__init__("text")
        self.code = code


@pytest.mark.parametrize(
    "error, code",
    [
        (Coded("E_STOCK"), "E_STOCK"),
        (Coded(404), "Coded"),
        (Coded("two words"), "Coded"),
        (Coded("mdp.x"), "Coded"),
        (Coded(None), "Coded"),
        (KeyError("x"), "KeyError"),
        (ClosedError("x"), "ERR_MDP_CLOSED"),
        (SystemExit("boom"), "SystemExit"),
    ],
)
def test_the_code_of_a_failure_is_that_of_its_error_where_it_is_a_name(error: BaseException, code: str) -> None:
    assert failure_of(error, True).code == code


@pytest.mark.parametrize("grace_ms", [0, 300])
def test_a_coroutine_has_time_for_its_end_when_its_worker_closes(broker: Broker, grace_ms: int) -> None:
    begun, ended = threading.Event(), threading.Event()

    async def handler(_: Request) -> None:
        begun.set()
        try:
            await asyncio.sleep(PATIENCE)
        finally:
            await asyncio.sleep(0.2)
            ended.set()

    with Client(broker.endpoint) as client, Worker(broker.endpoint, "ends", handler).ready() as worker:
        job = client.enqueue("ends", "x")
        assert begun.wait(PATIENCE)
        worker.close(grace_ms=grace_ms)
        assert ended.is_set()
        job.close()


def test_a_coroutine_that_has_lost_its_place_still_has_the_grace_for_its_end(broker: Broker) -> None:
    begun, told, ended = threading.Event(), threading.Event(), threading.Event()

    async def handler(request: Request) -> str:
        if request.text() == "next":
            return "next"
        begun.set()
        try:
            await asyncio.sleep(PATIENCE)
        finally:
            told.set()
            await asyncio.sleep(2)
            ended.set()
        return ""

    with Client(broker.endpoint) as client:
        with Worker(broker.endpoint, "ends", handler, cancel_grace_ms=10).ready() as worker:
            job = client.enqueue("ends", "x")
            assert begun.wait(PATIENCE)
            job.close()
            assert told.wait(PATIENCE)
            assert client.request("ends", "next").text() == "next"  # it has its place
            worker.close(grace_ms=20_000)
            assert ended.is_set()


RUNS = """
import sys, threading
from majordomo_client import Worker

held = threading.Event()


def handler(request):
    print("begun")
    held.wait()
    return ""


Worker(sys.argv[1], "interrupted", handler).run()
print("ended")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_ends_a_worker_whose_handler_does_not_end(
    broker: Broker, tmp_path: pathlib.Path, number: signal.Signals
) -> None:
    process = start_program(tmp_path, RUNS, broker.endpoint)
    assert process.stdout is not None and process.stderr is not None
    with Client(broker.endpoint) as client:
        job = client.enqueue("interrupted", "x")
        assert process.stdout.readline() == "begun\n"
        process.send_signal(number)
        assert "requests that still run: 1, for at most 10 s; a second signal" in process.stderr.readline()
        began = time.monotonic()
        process.send_signal(number)
        assert output_of(process) == ["ended"] and time.monotonic() < began + 9
        job.close()


class Away:
    """A broker that gives out one request, goes away, and is back when the test wants it."""

    def __init__(self) -> None:
        self.context: "zmq.Context[zmq.Socket[bytes]]" = zmq.Context()
        self.router = self.socket()
        self.endpoint = f"tcp://127.0.0.1:{self.router.bind_to_random_port('tcp://127.0.0.1')}"

    def socket(self) -> "zmq.Socket[bytes]":
        router = self.context.socket(zmq.ROUTER)
        router.setsockopt(zmq.LINGER, 0)
        router.setsockopt(zmq.RCVTIMEO, int(PATIENCE * 1000))
        return router

    def hear(self, command: bytes) -> "list[bytes]":
        while True:
            frames = self.router.recv_multipart()
            if frames[1:3] == [b"MDPW02", command]:
                return frames

    def again(self) -> None:
        self.router = self.socket()
        self.router.bind(self.endpoint)


def test_heartbeats_go_out_between_answers_that_each_take_long() -> None:
    away = Away()
    worker = Worker(away.endpoint, "long", str, heartbeat_interval_ms=200, heartbeat_liveness=100).start()
    away.hear(b"\x01")
    answered = threading.Event()
    for _ in range(10):  # as a log that is slow to take a failure
        worker._post(lambda: time.sleep(STEP + 0.05))
    worker._post(answered.set)
    for _ in range(3):  # one may have left before
        away.hear(HEARTBEAT[2])
    assert not answered.is_set()
    worker.close(0)
    away.context.destroy()


def test_a_worker_that_closes_waits_for_the_broker_to_be_back_for_its_answers(broker: Broker) -> None:
    may_answer = threading.Event()

    def handler(_: Request) -> str:
        may_answer.wait(PATIENCE)
        return "done"

    away = Away()
    worker = Worker([away.endpoint, broker.endpoint], "away", handler, retry_max_ms=100).ready()
    here, there = (session.core for session in reversed(worker._sessions))
    away.router.send_multipart([away.hear(b"\x01")[0], b"MDPW02", b"\x02", b"token", b"", b"hi"])
    end = time.monotonic() + PATIENCE
    while not worker._running and time.monotonic() < end:
        time.sleep(0.01)
    away.router.close(0)
    while there.state == "registered" and time.monotonic() < end:
        time.sleep(0.01)
    closes = threading.Thread(target=worker.close, args=(60_000,))
    closes.start()
    may_answer.set()
    closes.join(1.5)  # longer than what was sent last has to leave
    assert closes.is_alive() and here.state == "ended"
    away.again()
    assert away.hear(b"\x04")[3:] == [b"token", b"", b"done"]
    closes.join(PATIENCE)
    assert not closes.is_alive()
    away.context.destroy()


def test_a_worker_that_closes_does_not_register_when_the_broker_is_back() -> None:
    may_end = threading.Event()

    def handler(_: Request) -> str:
        may_end.wait(PATIENCE)
        return "done"

    away = Away()
    worker = Worker(away.endpoint, "away", handler, concurrency=2, retry_max_ms=100).start()
    away.router.send_multipart([away.hear(b"\x01")[0], b"MDPW02", b"\x02", b"token", b"", b"hi"])
    end = time.monotonic() + PATIENCE
    while not worker._running and time.monotonic() < end:
        time.sleep(0.01)
    away.router.close(0)
    closes = threading.Thread(target=worker.close, args=(60_000,))
    while worker._sessions[0].core.state == "registered" and time.monotonic() < end:
        time.sleep(0.01)
    closes.start()
    away.again()
    session = worker._sessions[0]
    while session.core.state != "full" and time.monotonic() < end:
        time.sleep(0.01)
    may_end.set()
    commands: "list[bytes]" = []
    while commands[-1:] != [b"\x04"]:
        frames = away.router.recv_multipart()
        commands += frames[2:3] if frames[1] == b"MDPW02" else []
    assert commands == [b"\x04"]
    closes.join(PATIENCE)
    assert not closes.is_alive()
    away.context.destroy()


def test_a_closed_worker_says_at_once_that_it_will_not_be_ready(broker: Broker) -> None:
    closed = Worker(NOBODY, "x", later)
    closed.close()
    with pytest.raises(ClosedError):
        closed.ready()
    closing = Worker(NOBODY, "x", later).start()
    outcome: "list[BaseException]" = []

    def wait() -> None:
        try:
            closing.ready(timeout_ms=60_000)
        except ClosedError as error:
            outcome.append(error)

    waits = threading.Thread(target=wait)
    waits.start()
    closing.close()
    waits.join(PATIENCE)
    assert len(outcome) == 1
    with Worker(broker.endpoint, "x", later).ready() as worker:
        pass
    with pytest.raises(ClosedError):
        worker.ready()


KINDS = """
import asyncio, logging, sys, threading
from majordomo_client import AsyncClient, Client, OptionError, SharedMap, Worker

logging.disable()  # a worker that finds no broker says so


def thread(request):
    return "done"


def parts(request):
    yield "do"
    return "ne"


async def coroutine(request):
    return "done"


begun = threading.Event()


async def stuck(request):
    begun.set()
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0.1)
        print("finally")


async def leaves(request):
    asyncio.ensure_future(asyncio.sleep(60))
    return "done"


async def ask(endpoint):
    async with AsyncClient(endpoint) as client:
        return (await client.request("mmi.service", "x")).text()


if __name__ == "__main__":
    endpoint = sys.argv[1]
    with Client(endpoint, timeout_ms=20_000) as client:
        with Worker(endpoint, services={each.__name__: each for each in (thread, parts, coroutine, leaves)}).ready():
            print([client.request(each, "x").text() for each in ("thread", "parts", "coroutine", "leaves")])
        with Worker(endpoint, "process", thread, run_in="processes", concurrency=2).ready():
            print(client.request("process", "x").text())
        Worker(endpoint, "unused", thread)
        Worker(endpoint, "closed", thread).close()
        Worker("tcp://nobody.invalid:1", "lost", thread).start().close()
        try:
            Worker(endpoint, "wrong", lambda request: "", run_in="processes")
        except OptionError:
            print("wrong")
        with Worker(endpoint, "stuck", stuck).ready() as worker:
            job = client.enqueue("stuck", "x")
            begun.wait()
            worker.close(grace_ms=0)
            job.close()
    print(asyncio.run(ask(endpoint)))
    SharedMap("tcp://127.0.0.1:1").close()
"""


def test_python_has_nothing_to_say_of_what_workers_and_clients_leave_behind(broker: Broker, tmp_path: pathlib.Path) -> None:
    printed = output_of(start_program(tmp_path, KINDS, broker.endpoint))
    assert printed == ["['done', 'done', 'done', 'done']", "done", "wrong", "finally", "404"]


@pytest.mark.parametrize("kind", [Client, AsyncClient, SharedMap])
def test_a_client_that_was_never_closed_warns_and_ends(kind: Any) -> None:
    # What earlier tests have left behind warns before.
    gc.collect()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        before = threading.active_count()
        open_one = kind(NOBODY)
        if kind is Client:
            with pytest.raises(Exception):
                open_one.request("x", "x", timeout_ms=10)
        elif kind is AsyncClient:
            with pytest.raises(Exception):
                asyncio.run(open_one.request("x", "x", timeout_ms=10))
        del open_one
        gc.collect()
        with pytest.raises(OptionError):
            kind(5)
        Client(NOBODY)  # unused, so that there is nothing to end
        gc.collect()
    assert [each.category for each in warned] == [ResourceWarning] and "was never closed" in str(warned[0].message)
    until = time.monotonic() + PATIENCE
    while threading.active_count() > before:
        assert time.monotonic() < until
        time.sleep(0.01)


SLOW = """
import logging, sys, time
from majordomo_client import Worker

logging.basicConfig(format="%(message)s")
runs = 0


def handler(request):
    global runs
    runs += 1
    print("begun")
    time.sleep(2)
    return f"run {runs}"


Worker(sys.argv[1], "slow", handler, heartbeat_interval_ms=200, retry_max_ms=200).run()
"""


def test_a_reply_is_used_although_its_process_stood_still_and_the_request_runs_once(
    start_broker: StartBroker, tmp_path: pathlib.Path
) -> None:
    broker = start_broker("broker.heartbeatIntervalMs=200")
    process = start_program(tmp_path, SLOW, broker.endpoint)
    assert process.stdout is not None
    with Client(broker.endpoint, timeout_ms=60_000) as client:
        answers: "list[str]" = []
        asks = threading.Thread(target=lambda: answers.append(client.request("slow", "x").text()))
        asks.start()
        assert process.stdout.readline() == "begun\n"
        time.sleep(1)  # the broker learns that it heartbeats while it works
        process.send_signal(signal.SIGSTOP)
        broker.wait("worker.lost")
        time.sleep(1)  # the handler is over as soon as it goes on
        process.send_signal(signal.SIGCONT)
        asks.join(PATIENCE)
    process.send_signal(signal.SIGTERM)
    printed, errors = process.communicate(timeout=PATIENCE)
    assert answers == ["run 1"] and printed == ""
    assert "the connection was lost; this process had stood still for" in errors


def test_a_turn_that_comes_late_says_how_long_the_process_stood_still() -> None:
    stillness = Stillness()
    assert stillness.cause(9.9) == ""
    stillness.looked(10.0 + STEP, 10.0)
    assert stillness.cause(10.3) == "" and stillness.settled_at < 10.3
    stillness.looked(10.5)
    stillness.looked(18.0, 11.0)
    assert stillness.cause(18.1) == "; this process had stood still for 7000 ms, and sent no heartbeats"
    assert 18.0 < stillness.settled_at < 18.2
    stillness.looked(24.9, 24.9)
    assert stillness.cause(24.9) != "" and stillness.cause(25.1) == ""


def test_a_process_that_stood_still_within_a_turn_is_noticed_before_what_comes_next() -> None:
    stillness = Stillness()
    assert stillness.is_settled(10.0)
    assert not stillness.is_settled(12.0) and stillness.is_settled(12.2)
    assert stillness.cause(12.2) == "; this process had stood still for 2000 ms, and sent no heartbeats"
    assert stillness.cause(20.0) == "; this process had stood still for 7800 ms, and sent no heartbeats"


def test_a_worker_that_stood_still_while_it_left_reads_first_what_its_broker_has_said() -> None:
    worker = Worker(NOBODY, "x", later)
    core = worker._sessions[0].core
    core.state, core.is_leaving = "registered", True
    worker._close_at = worker._leave_until = time.monotonic()
    worker._stillness.looked(time.monotonic() - 5)
    assert not worker._is_over()
    worker._stillness = Stillness()
    assert worker._is_over()


def test_a_request_that_comes_while_its_worker_is_closed_is_given_back_after_the_worker_has_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    away = Away()
    worker = Worker(away.endpoint, "late", later, concurrency=2).start()
    asks = away.router.recv_multipart()
    facts = b'{"extensions":["credit","leave"]}'
    away.router.send_multipart([*asks[:2], b"", b"MDPC02", b"\x03", b"mmi.broker", b"200", facts])
    ready = away.hear(b"\x01")
    begin = worker._begin

    def closed_meanwhile(session: Session, task: Task) -> None:
        worker._close_soon(10_000)  # by another thread, after the worker's has looked
        begin(session, task)

    monkeypatch.setattr(worker, "_begin", closed_meanwhile)
    away.router.send_multipart([ready[0], b"MDPW02", b"\x02", b"token", b"", b"x"])
    assert [away.hear(b"\x07")[3] for _ in range(2)] == [b"", b"token"]
    away.router.send_multipart([ready[0], b"MDPW02", b"\x06"])
    worker.close()
    away.context.destroy()


def test_workers_that_restart_in_turn_leave_no_outcome_of_a_request_that_may_run_once_unknown(broker: Broker) -> None:
    runs: "collections.Counter[bytes]" = collections.Counter()

    def count(request: Request) -> bytes:
        runs[request.value] += 1
        return b"done"

    def worker() -> Worker:
        return Worker(broker.endpoint, "once", count, concurrency=4).ready()

    def restart() -> None:
        for at in range(20):
            workers[at % 2].close()
            workers[at % 2] = worker()
        is_over.set()

    workers, is_over = [worker(), worker()], threading.Event()
    thread = threading.Thread(target=restart)
    thread.start()
    sent, told = itertools.count(), []
    with zmq.Context() as context, context.socket(zmq.DEALER) as client:
        client.linger = 0
        client.connect(broker.endpoint)
        client.send_multipart([b"", b"MDPC02", b"\x01", b"mmi.hello", b""])
        assert client.recv_multipart()[-1] == b"200"

        def ask() -> None:
            number = b"%d" % next(sent)
            client.send_multipart([number, b"", b"MDPC02", b"\x05", b"once", b'{"once":true}', b"", b"", b"", number])

        for _ in range(40):
            ask()
        waiting = 40
        while waiting > 0:
            assert client.poll(PATIENCE * 1000)
            told.append(client.recv_multipart()[5:])
            waiting -= 1
            if not is_over.is_set():
                ask()
                waiting += 1
    thread.join()
    for each in workers:
        each.close()
    assert [answer for answer in told if answer != [b"done"]] == []
    assert len(runs) == len(told) and set(runs.values()) == {1}
