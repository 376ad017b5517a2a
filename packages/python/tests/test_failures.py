"""What handlers raise, and what ends a worker: in threads, in processes and on the event loop, against the real broker."""

from __future__ import annotations

import asyncio
import logging
import os
import pathlib
import pickle
import signal
import subprocess
import sys
import threading
import time
from typing import Any, Callable, Iterator

import pytest

from majordomo_client import Client, OptionError, Request, ServiceError, Worker
from majordomo_client.errors import received_service_error
from majordomo_client.handlers import DETAIL_FRAMES_MAX, failure_of

from .conftest import PACKAGE, PATIENCE, Broker, StartBroker, output_of, start_program


class TwoArguments(Exception):
    """An error that cannot be unpickled: pickle calls it with the one argument that ``Exception`` was given."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")


class Unpicklable(Exception):
    def __reduce__(self) -> Any:
        raise RuntimeError("it cannot be pickled")


class TextRaises(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__


class TextIsNone(Exception):
    def __str__(self) -> str:
        return None  # type: ignore[return-value]


class TextExits(Exception):
    def __str__(self) -> str:
        sys.exit(3)


class TextIsEndless(Exception):
    def __str__(self) -> str:
        return str(self)


class TextIsNotUnicode(Exception):
    def __str__(self) -> str:
        return "half: \ud800"


class WithoutBase(ServiceError):
    """A subclass that has none of what its base sets."""

    def __init__(self) -> None:
        pass


class CodeRaises(ServiceError):
    def __init__(self) -> None:
        super().__init__("never", "The text")

    @property
    def service_code(self) -> str:
        raise KeyError("service_code")

    @service_code.setter
    def service_code(self, code: str) -> None:
        pass


class DetailsRaise(ServiceError):
    def __init__(self) -> None:
        super().__init__("with_details", "The text", details={"x": 1})
        self.details = {"x": object()}


class DetailIsText(ServiceError):
    def __init__(self) -> None:
        super().__init__("with_detail", "The text")
        self.detail = ("text", b"bytes")  # type: ignore[assignment]


class Name(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise KeyError("name")


class NameRaises(Exception, metaclass=Name):
    pass


class ClassRaises(Exception):
    @property
    def __class__(self) -> Any:
        raise KeyError("class")

    @__class__.setter
    def __class__(self, kind: Any) -> None:
        pass


RAISED: "dict[str, tuple[Callable[[], BaseException], str, str]]" = {
    "two arguments": (lambda: TwoArguments(7, "declined"), "TwoArguments", "7: declined"),
    "unpicklable": (lambda: Unpicklable("why"), "Unpicklable", "why"),
    "text raises": (TextRaises, "TextRaises", ""),
    "text is None": (TextIsNone, "TextIsNone", ""),
    "text exits": (TextExits, "TextExits", ""),
    "text is endless": (TextIsEndless, "TextIsEndless", ""),
    "text is not Unicode": (TextIsNotUnicode, "TextIsNotUnicode", "half: ?"),
    "without base": (WithoutBase, "WithoutBase", ""),
    "code raises": (CodeRaises, "CodeRaises", "The text"),
    "details raise": (DetailsRaise, "with_details", "The text"),
    "detail is text": (DetailIsText, "with_detail", "The text"),
    "name raises": (NameRaises, "Error", ""),
    "class raises": (ClassRaises, "ClassRaises", ""),
    "exit": (lambda: SystemExit(3), "SystemExit", "3"),
    "interrupt": (KeyboardInterrupt, "KeyboardInterrupt", ""),
    "generator": (GeneratorExit, "GeneratorExit", ""),
}


def raises(request: Request) -> str:
    if request.text() in RAISED:
        raise RAISED[request.text()][0]()
    return request.text()


async def raises_later(request: Request) -> str:
    await asyncio.sleep(0)
    return raises(request)


@pytest.fixture(scope="module", params=["threads", "processes", "loop"])
def raising(request: Any, broker: Broker) -> "Iterator[tuple[Client, str]]":
    name = f"raises-{request.param}"
    handler = raises_later if request.param == "loop" else raises
    run_in = "processes" if request.param == "processes" else "threads"
    with Worker(broker.endpoint, name, handler, run_in=run_in).ready(), Client(broker.endpoint, timeout_ms=20_000) as client:
        yield client, name


@pytest.mark.parametrize("what", RAISED)
def test_whatever_a_handler_raises_fails_its_request_once_and_no_other(raising: "tuple[Client, str]", what: str) -> None:
    client, name = raising
    _, code, text = RAISED[what]
    with pytest.raises(ServiceError) as failed:
        client.request(name, what)
    assert (failed.value.service_code, failed.value.message) == (code, text or code)
    assert client.request(name, "next").text() == "next"


def test_an_error_is_logged_with_its_place_in_the_program(raising: "tuple[Client, str]", caplog: pytest.LogCaptureFixture) -> None:
    client, name = raising
    for what in ("two arguments", "detail is text"):
        with pytest.raises(ServiceError):
            client.request(name, what)
    of_bug, of_answer = caplog.messages
    assert of_bug.startswith(f"a handler of {name} failed: TwoArguments: 7: declined\nTraceback (most recent call last):\n")
    assert "test_failures.py" in of_bug and "in raises\n" in of_bug and "handlers.py" not in of_bug
    assert of_answer == f"a handler of {name} failed: DetailIsText: The text"


class Declined(ServiceError):
    def __init__(self, card: str) -> None:
        super().__init__("declined", f"card {card}", retry=False, details={"card": card})


def test_a_service_error_survives_pickle_whole() -> None:
    received = received_service_error([b"echo", b"mdp.too-large", b"17 bytes", b'{"bytes": 17}'])
    for error in (received, Declined("7"), ServiceError("busy", "later", retry="elsewhere")):
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), copy.args, copy.__dict__) == (type(error), error.args, error.__dict__)


def test_the_detail_of_an_error_is_bounded_bytes() -> None:
    many = ServiceError("many", "")
    many.detail = [b""] * (DETAIL_FRAMES_MAX + 1)
    assert b"omitted" in failure_of(many, True).detail[0]
    assert failure_of(DetailIsText(), True).detail == [b"bytes"]
    assert b"not JSON" in failure_of(DetailsRaise(), True).detail[0]


def test_what_the_programs_log_handlers_raise_does_not_end_a_worker(broker: Broker) -> None:
    class Raises(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise SystemExit(5)

    log = logging.getLogger("majordomo.worker")
    handler = Raises()
    log.addHandler(handler)
    try:
        with Worker(broker.endpoint, "logs", raises).ready(), Client(broker.endpoint) as client:
            with pytest.raises(ServiceError):
                client.request("logs", "exit")
            assert client.request("logs", "next").text() == "next"
    finally:
        log.removeHandler(handler)


# Handlers in processes.


class Unreadable(bytes):
    """Bytes that pickle cannot read."""

    def __bytes__(self) -> bytes:
        return self

    def __reduce__(self) -> Any:
        return int, ("no number",)


def in_process(request: Request) -> "str | bytes":
    what, _, rest = request.text().partition(" ")
    if what == "unreadable":
        return Unreadable(b"x")
    if what == "hold":
        pathlib.Path(rest).write_text("")
        while pathlib.Path(rest).exists():
            time.sleep(0.01)
    if what == "forks" and os.fork() == 0:
        # It has the process's end of the connection to the worker, too.
        time.sleep(10)
        os._exit(0)
    if what in ("dies", "forks"):
        os.kill(os.getpid(), signal.SIGKILL)
    return str(os.getpid())


def test_a_process_whose_answer_cannot_be_read_goes_on(broker: Broker) -> None:
    with Worker(broker.endpoint, "unread", in_process, run_in="processes").ready(), Client(broker.endpoint, timeout_ms=20_000) as client:
        pid = client.request("unread", "x").text()
        with pytest.raises(ServiceError) as failed:
            client.request("unread", "unreadable")
        assert failed.value.service_code == "ValueError"
        assert client.request("unread", "x").text() == pid


@pytest.mark.parametrize("how", ["dies", "forks"])
def test_when_a_process_dies_the_requests_beside_it_go_on(broker: Broker, tmp_path: pathlib.Path, how: str) -> None:
    hold = tmp_path / "hold"
    answers: list[str] = []
    name = f"process-{how}"
    with Worker(broker.endpoint, name, in_process, run_in="processes", concurrency=2).ready():
        with Client(broker.endpoint, timeout_ms=300_000) as client:
            asks = threading.Thread(target=lambda: answers.append(client.request(name, f"hold {hold}").text()), daemon=True)
            asks.start()
            until = time.monotonic() + PATIENCE
            while not hold.exists():
                assert time.monotonic() < until
                time.sleep(0.01)
            with pytest.raises(ServiceError) as lost:
                client.request(name, how)
            assert lost.value.service_code == "process_lost" and lost.value.message.endswith("lost: signal SIGKILL")
            assert answers == []
            hold.unlink()
            asks.join(PATIENCE)
            # Of two processes one was never lost.
            assert answers[0] in {client.request(name, "x").text() for _ in range(2)}


STARTS = """
import multiprocessing, os, signal, subprocess, sys, time
from majordomo_client import Client, Worker


def handler(request):
    if request.text() == "signal":
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        return "goes on"
    if request.text() == "twice":
        return "the child's" if os.fork() == 0 else "the parent's"
    if request.text() == "program":
        code = "import signal; print([signal.getsignal(each) == signal.SIG_IGN for each in (signal.SIGTERM, signal.SIGINT)])"
        return subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True).stdout
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    child.start()
    child.terminate()
    child.join()
    return str(child.exitcode)


if __name__ == "__main__":
    Worker(sys.argv[1], "starts-" + sys.argv[2], handler, run_in=sys.argv[2]).run()
"""


@pytest.mark.parametrize("run_in", ["threads", "processes"])
def test_what_a_handler_starts_gets_its_own_signals(broker: Broker, tmp_path: pathlib.Path, run_in: str) -> None:
    process = start_program(tmp_path, STARTS, broker.endpoint, run_in)
    with Client(broker.endpoint, timeout_ms=20_000) as client:
        # A worker in threads would be closed by the signal, and its fork that returns would stay.
        ours = ("signal", "twice") if run_in == "processes" else ()
        told = [client.request(f"starts-{run_in}", each).text().strip() for each in ("program", *["terminate"] * 20, *ours, "program")]
    expected = {"signal": "goes on", "twice": "the parent's"}
    assert told == ["[False, False]", *[str(-signal.SIGTERM)] * 20, *(expected[each] for each in ours), "[False, False]"]
    process.terminate()
    assert output_of(process) == []


def test_a_handler_that_is_not_importable_is_refused_and_one_that_a_process_cannot_import_fails_by_its_reason(
    broker: Broker, tmp_path: pathlib.Path
) -> None:
    with pytest.raises(OptionError) as refused:
        Worker(broker.endpoint, "x", lambda request: "", run_in="processes")
    assert refused.value.details == {"option": "handler"} and "importable" in refused.value.message
    # A program on the command line is no module that another process could import.
    text = (
        "import sys\nfrom majordomo_client import Client, ServiceError, Worker\n"
        "def handler(request): return ''\n"
        "with Worker(sys.argv[1], 'typed', handler, run_in='processes').ready(), Client(sys.argv[1], timeout_ms=20_000) as client:\n"
        "    try: client.request('typed', 'x')\n"
        "    except ServiceError as error: print(error.service_code, error.message)\n"
    )
    command = [sys.executable, "-c", text, broker.endpoint]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PACKAGE), *filter(None, [os.environ.get("PYTHONPATH")])])}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert "AttributeError" in done.stdout and "handler" in done.stdout, done


WITHOUT_GUARD = """
import sys
from majordomo_client import Client, ServiceError, Worker


def handler(request):
    return "done"


with Worker(sys.argv[1], "unguarded", handler, run_in="processes").ready(), Client(sys.argv[1], timeout_ms=20_000) as client:
    try:
        client.request("unguarded", "x")
    except ServiceError as error:
        print(error.service_code)
"""


def test_a_program_without_guard_is_told_what_it_lacks(broker: Broker, tmp_path: pathlib.Path) -> None:
    process = start_program(tmp_path, WITHOUT_GUARD, broker.endpoint)
    printed, errors = process.communicate(timeout=4 * PATIENCE)
    assert printed == "" and process.returncode == 1
    # Of the process, and of the program.
    assert errors.count('needs `if __name__ == "__main__":` around') == 2 and "the first one ended at once, with exit status 1" in errors


# What ends a worker.

async def ends_the_loop(request: Request) -> str:
    loop = asyncio.get_running_loop()

    async def exits() -> None:
        sys.exit(4)

    if request.text() == "its task":
        await asyncio.create_task(exits())
    if request.text() == "a callback":
        loop.call_soon(sys.exit)
    if request.text() == "stop":
        loop.stop()
    if request.text() == "all tasks":
        for task in asyncio.all_tasks():
            task.cancel()
    await asyncio.sleep(0.01)
    return "goes on"


def test_an_event_loop_outlives_what_ends_a_program(broker: Broker) -> None:
    with Worker(broker.endpoint, "ends", ends_the_loop).ready(), Client(broker.endpoint) as client:
        for what, code in (("its task", "SystemExit"), ("all tasks", "CancelledError")):
            with pytest.raises(ServiceError) as failed:
                client.request("ends", what)
            assert failed.value.service_code == code
        for what in ("a callback", "stop", "x"):
            assert client.request("ends", what).text() == "goes on"


FAILS = """
import asyncio, ctypes, sys, threading, time
from majordomo_client import Worker


def thread(request):
    (own,) = [each for each in threading.enumerate() if each.name == "majordomo-worker"]
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(own.ident), ctypes.py_object(SystemExit))
    time.sleep(60)


async def loop(request):
    own = asyncio.get_running_loop()
    own._run_once = None  # as broken as can be
    own.stop()
    await asyncio.sleep(60)


Worker(sys.argv[1], "fails", globals()[sys.argv[2]], heartbeat_interval_ms=200).run()
print("closed")
"""


@pytest.mark.parametrize("what", ["thread", "loop"])
def test_a_worker_whose_thread_or_loop_is_dead_says_goodbye_and_run_raises(
    start_broker: StartBroker, tmp_path: pathlib.Path, what: str
) -> None:
    broker = start_broker("broker.heartbeatIntervalMs=60000")
    process = start_program(tmp_path, FAILS, broker.endpoint, what)
    broker.wait("worker.registered")
    answers: list[str] = []
    with Client(broker.endpoint, timeout_ms=60_000) as client:
        asks = threading.Thread(target=lambda: answers.append(client.request("fails", "x").text()), daemon=True)
        asks.start()
        printed, errors = process.communicate(timeout=PATIENCE)
        assert (printed, process.returncode) == ("", 1) and "RuntimeError: the worker has failed" in errors
        broker.wait("worker.lost")
        with Worker(broker.endpoint, "fails", lambda request: "from the next").ready():
            asks.join(PATIENCE)
    assert answers == ["from the next"]


def test_a_worker_that_cannot_start_a_thread_or_a_process_goes_on(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "majordomo-handler":
            raise RuntimeError("can't start new thread")
        start(thread)

    with Worker(broker.endpoint, "starting", lambda request: "done").ready(), Client(broker.endpoint) as client:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            with pytest.raises(ServiceError) as failed:
                client.request("starting", "x")
        assert (failed.value.service_code, failed.value.message) == ("not_started", "can't start new thread")
        assert client.request("starting", "x").text() == "done"


EVERY_KIND = """
import asyncio, sys
from majordomo_client import Client, Worker


def plain(request):
    return "plain"


def parts(request):
    yield "one "
    return "two"


async def task(request):
    return "task"


async def parts_later(request):
    yield "later"


if __name__ == "__main__":
    services = {"kind-plain": plain, "kind-parts": parts, "kind-task": task, "kind-parts-later": parts_later}
    with Client(sys.argv[1], timeout_ms=20_000) as client:
        with Worker(sys.argv[1], services=services).ready():
            print(*(client.request(each, "x").text() for each in services))
        with Worker(sys.argv[1], "kind-process", plain, run_in="processes", concurrency=2).ready():
            print(client.request("kind-process", "x").text())
    Worker(sys.argv[1], "never-started", plain)
"""


def test_a_program_with_every_kind_of_worker_warns_of_nothing(broker: Broker, tmp_path: pathlib.Path) -> None:
    assert output_of(start_program(tmp_path, EVERY_KIND, broker.endpoint)) == ["plain one two task later", "plain"]
