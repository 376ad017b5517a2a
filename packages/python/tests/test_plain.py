"""Plain requests against the real broker."""

from __future__ import annotations

import os
import pathlib
import signal
import socketserver
import subprocess
import sys
import threading
import time

import pytest

from majordomo_client import (
    Client,
    NoWorkerError,
    Request,
    RequestTimeoutError,
    ServiceError,
    TooLargeError,
    UnreachableError,
    Worker,
)

from .conftest import PATIENCE, Broker, StartBroker, free_port


def echo(request: Request) -> "list[bytes]":
    return request.frames


def process_id(request: Request) -> str:
    return str(os.getpid())


def dies(request: Request) -> str:
    os._exit(1)


async def shout(request: Request) -> str:
    return request.text().upper()


def declines(request: Request) -> str:
    raise ServiceError("card_declined", "The card was declined", retry=False, details={"left": 7})


@pytest.mark.parametrize("ours", ["0.1", "0.2"])
@pytest.mark.parametrize("theirs", ["0.1", "0.2"])
def test_a_request_of_each_version_reaches_a_worker_of_each(broker: Broker, ours: str, theirs: str) -> None:
    name = f"echo-{ours}-{theirs}"
    with Worker(broker.endpoint, name, echo, protocol=theirs).ready(), Client(broker.endpoint, protocol=ours) as client:
        assert client.request(name, ["a", b"", "c"]).frames == [b"a", b"", b"c"]


def test_handlers_run_in_processes_and_on_an_event_loop(broker: Broker) -> None:
    services = {"pid": process_id}
    with Worker(broker.endpoint, services=services, run_in="processes").ready(), Client(broker.endpoint) as client:
        assert client.request("pid", "", timeout_ms=10_000).text() != str(os.getpid())
    with Worker(broker.endpoint, "shout", shout).ready(), Client(broker.endpoint) as client:
        assert client.request("shout", "hello").text() == "HELLO"


def test_a_process_that_is_lost_fails_its_request_and_no_other(broker: Broker) -> None:
    services = {"dies": dies, "lives": process_id}
    with Worker(broker.endpoint, services=services, run_in="processes").ready(), Client(broker.endpoint) as client:
        with pytest.raises(ServiceError) as lost:
            client.request("dies", "", timeout_ms=20_000)
        assert lost.value.service_code == "process_lost"
        assert client.request("lives", "", timeout_ms=20_000).text() != str(os.getpid())


def test_headers_and_the_deadline_reach_the_handler(broker: Broker) -> None:
    seen: list[Request] = []

    def keep(request: Request) -> str:
        seen.append(request)
        return "ok"

    with Worker(broker.endpoint, "keep", keep).ready(), Client(broker.endpoint) as client:
        client.request("keep", "x", headers={"tenant": "acme"}, timeout_ms=5000)
        client.request("keep", "x")
    assert seen[0].headers == {"tenant": "acme"}
    assert 0 < (seen[0].remaining_ms() or 0) <= 5000
    assert seen[1].headers == {} and seen[1].remaining_ms() is None


def test_a_failure_reaches_the_client_as_the_same_error(broker: Broker) -> None:
    def breaks(request: Request) -> str:
        raise KeyError("secret")

    services = {"pay": declines, "breaks": breaks}
    with Worker(broker.endpoint, services=services, expose_errors=False).ready(), Client(broker.endpoint) as client:
        with pytest.raises(ServiceError) as declined:
            client.request("pay", "x")
        with pytest.raises(ServiceError) as broken:
            client.request("breaks", "x")
    assert (declined.value.service_code, declined.value.message) == ("card_declined", "The card was declined")
    assert declined.value.details == {"left": 7} and declined.value.service == "pay"
    assert broken.value.service_code == "KeyError" and "secret" not in broken.value.message


def test_too_large_both_ways(broker: Broker) -> None:
    def large(request: Request) -> bytes:
        return bytes(2**21)

    with Worker(broker.endpoint, "large", large).ready(), Client(broker.endpoint) as client:
        with pytest.raises(ServiceError) as answer:
            client.request("large", "x")
        with pytest.raises(TooLargeError):
            client.request("large", bytes(2**21))
    assert answer.value.service_code == "too-large"


def test_no_worker(start_broker: StartBroker) -> None:
    served = start_broker("broker.heartbeatIntervalMs=20", "broker.heartbeatLiveness=2")
    with Client(served.endpoint, if_no_worker="fail", timeout_ms=200) as client:
        # For a moment after its start the broker waits for workers.
        error: Exception = RequestTimeoutError("not asked yet")
        until = time.monotonic() + PATIENCE
        while isinstance(error, RequestTimeoutError) and time.monotonic() < until:
            with pytest.raises((NoWorkerError, RequestTimeoutError)) as refused:
                client.request("nobody", "x")
            error = refused.value
    assert isinstance(error, NoWorkerError)


def test_nobody_listens() -> None:
    with Client(f"tcp://127.0.0.1:{free_port()}", timeout_ms=300) as client:
        with pytest.raises(UnreachableError):
            client.request("echo", "x")


def test_many_threads_share_a_client_and_a_worker_computes_at_once(broker: Broker) -> None:
    together = threading.Barrier(4)

    def meet(request: Request) -> bytes:
        together.wait(PATIENCE)
        return request.value

    answers: list[bytes] = []
    with Worker(broker.endpoint, "meet", meet, concurrency=4).ready(), Client(broker.endpoint) as client:
        threads = [
            threading.Thread(target=lambda n=n: answers.append(client.request("meet", str(n), timeout_ms=10_000).value), daemon=True)
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(answers) == [b"0", b"1", b"2", b"3"]


def test_a_busy_worker_heartbeats_as_often_as_its_broker(start_broker: StartBroker) -> None:
    served = start_broker("broker.heartbeatIntervalMs=400", "broker.heartbeatLiveness=4")
    release = threading.Event()

    def slow(request: Request) -> str:
        release.wait(3)  # twice what a silent worker is given
        return "done"

    with Worker(served.endpoint, "slow", slow).ready() as worker:
        with Client(served.endpoint) as client:
            assert client.request("slow", "x", timeout_ms=10_000).text() == "done"
        assert all(each.is_confirmed for each in (session.core for session in worker._sessions))


def test_a_killed_broker_comes_back(start_broker: StartBroker) -> None:
    served = start_broker()
    running, release = threading.Event(), threading.Event()

    def held(request: Request) -> bytes:
        running.set()
        release.wait(PATIENCE)
        return request.value

    answers: list[bytes] = []
    with Worker(served.endpoint, "held", held, retry_max_ms=200).ready(), Client(served.endpoint) as client:
        asks = threading.Thread(target=lambda: answers.append(client.request("held", "x", timeout_ms=10_000).value), daemon=True)
        asks.start()
        assert running.wait(PATIENCE)
        served.kill()
        again = served.again()
        try:
            release.set()
            asks.join()
        finally:
            again.kill()
    assert answers == [b"x"]


def test_no_answer_is_a_timeout(broker: Broker) -> None:
    release = threading.Event()

    def late(request: Request) -> str:
        release.wait(PATIENCE)
        return "late"

    with Worker(broker.endpoint, "late", late).ready(), Client(broker.endpoint) as client:
        with pytest.raises(RequestTimeoutError) as missed:
            client.request("late", "x", timeout_ms=100)
        assert missed.value.details["sends"] == 1
        assert missed.value.message.startswith("no reply from 'late' in time (timeout_ms 100; sent once)")
        release.set()
        assert client.request("late", "y").text() == "late"


WORKER = """
import sys
from majordomo_client import Worker
def handler(request):
    print('begun', flush=True)
    sys.stdin.readline()
    return 'from the worker'
Worker(sys.argv[1], 'victim', handler, heartbeat_interval_ms=100).run()
"""


def worker_process(endpoint: str) -> "subprocess.Popen[str]":
    package = pathlib.Path(__file__).resolve().parents[1]
    command = [sys.executable, "-c", WORKER, endpoint]
    return subprocess.Popen(command, cwd=package, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_the_request_of_a_killed_worker_goes_to_the_next(broker: Broker) -> None:
    killed = worker_process(broker.endpoint)
    assert killed.stdout is not None
    with Client(broker.endpoint) as client:
        answers: list[str] = []
        asks = threading.Thread(target=lambda: answers.append(client.request("victim", "x", timeout_ms=10_000).text()), daemon=True)
        asks.start()
        assert killed.stdout.readline() == "begun\n"
        with Worker(broker.endpoint, "victim", lambda request: "from the next").ready():
            killed.kill()
            asks.join()
        killed.communicate()
    assert answers == ["from the next"]


def test_sigterm_lets_the_handler_finish(broker: Broker) -> None:
    process = worker_process(broker.endpoint)
    assert process.stdout is not None
    with Client(broker.endpoint) as client:
        answers: list[str] = []
        asks = threading.Thread(target=lambda: answers.append(client.request("victim", "x", timeout_ms=10_000).text()), daemon=True)
        asks.start()
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGTERM)
        process.communicate("go on\n", timeout=PATIENCE)
        asks.join()
    assert answers == ["from the worker"] and process.returncode == 0


def test_the_port_of_an_http_server_is_named_as_a_reason() -> None:
    with socketserver.TCPServer(("127.0.0.1", 0), HttpAnswer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            with Client(f"tcp://127.0.0.1:{server.server_address[1]}") as client, pytest.raises(UnreachableError) as missed:
                client.request("upper", "x", timeout_ms=500)
        finally:
            server.shutdown()
    assert "not its HTTP server" in missed.value.message


class HttpAnswer(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.recv(64)
        self.request.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
