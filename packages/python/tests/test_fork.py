"""Programs that fork: what was made before is used in the child, against the real broker."""

from __future__ import annotations

import gc
import json
import pathlib
import threading
import time
import weakref
from typing import Callable

import pytest

from majordomo_client import Client, RequestTimeoutError, Worker

from .conftest import PATIENCE, Broker, StartBroker, free_port, output_of, start_program
from .test_plain import echo

CLIENTS = """
import asyncio, os, sys
from majordomo_client import AsyncClient, Client, ClosedError, JobUnknownError, StreamBrokenError

plain = Client(sys.argv[1])
several = Client(sys.argv[1], strategy="freelance")
later = AsyncClient(sys.argv[1])
never_used = Client(sys.argv[1])
clients = [plain, several, never_used]


async def awaited():
    return (await later.request("forked", "awaited")).text()


print(plain.request("forked", "before").text(), several.request("forked", "before").text(), asyncio.run(awaited()))
begun = plain.stream("forked-parts", "2")
print(next(begun).text())
child = os.fork()
if child == 0:
    print("child", [each.request("forked", "after").text() for each in clients], asyncio.run(awaited()))
    print("child", [part.text() for part in plain.stream("forked-parts", "2")])
    try:
        plain.job("0" * 32).result(timeout_ms=1000)
    except JobUnknownError:
        print("child, no job")
    try:
        print(next(begun))
    except StreamBrokenError as error:
        print("child:", error)
    for each in clients:
        each.close()
    try:
        plain.request("forked", "after")
    except ClosedError:
        print("child: closed")
else:
    assert os.waitpid(child, 0)[1] == 0
    print("parent", [each.request("forked", "after").text() for each in clients], [part.text() for part in begun])
    for each in clients:
        each.close()
asyncio.run(later.close())
"""


def parts(request: object) -> object:
    yield "1"
    yield "2"
    return "end"


def test_clients_made_before_fork_begin_anew_in_the_child_and_go_on_in_the_parent(
    start_broker: StartBroker, tmp_path: pathlib.Path
) -> None:
    broker = start_broker()
    with Worker(broker.endpoint, services={"forked": echo, "forked-parts": parts}).ready():
        assert output_of(start_program(tmp_path, CLIENTS, broker.endpoint)) == [
            "before before awaited",
            "1",
            "child ['after', 'after', 'after'] awaited",
            "child ['1', '2', 'end']",
            "child, no job",
            "child: forked-parts: the stream was begun before fork, in the parent of this process",
            "child: closed",
            "parent ['after', 'after', 'after'] ['2', 'end']",
        ]


BUSY = """
import os, sys, threading
from majordomo_client import Client

client = Client(sys.argv[1])
goes_on = True


def ask():
    while goes_on:
        client.request("forked", "x")


threads = [threading.Thread(target=ask) for _ in range(4)]
for each in threads:
    each.start()
for _ in range(20):
    child = os.fork()
    if child == 0:
        # Two at once begin anew once.
        pair = [threading.Thread(target=client.request, args=("forked", "x")) for _ in range(2)]
        for each in pair:
            each.start()
        for each in pair:
            each.join()
        os._exit(0 if client.request("forked", "y").text() == "y" else 1)
    assert os.waitpid(child, 0)[1] == 0
goes_on = False
for each in threads:
    each.join()
client.close()
"""


def test_a_client_that_others_use_while_it_is_forked_works_in_each_child(broker: Broker, tmp_path: pathlib.Path) -> None:
    with Worker(broker.endpoint, "forked", echo, concurrency=8).ready():
        assert output_of(start_program(tmp_path, BUSY, broker.endpoint)) == []


WORKERS = """
import multiprocessing, os, sys
from majordomo_client import Client, RequestTimeoutError, Worker


def who(request):
    return str(os.getpid() if sys.argv[3] == "threads" else os.getppid())


if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    worker = Worker(sys.argv[1], sys.argv[2], who, run_in=sys.argv[3])
    if sys.argv[4] == "started":
        worker.ready()
    processes = [context.Process(target=worker.run) for _ in range(3)]
    for each in processes:
        each.start()
    print(*(each.pid for each in processes))
    input()
    for each in processes:
        each.terminate()
        each.join()
    print(*(each.exitcode for each in processes))
    if sys.argv[4] == "started":
        with Client(sys.argv[1]) as client:
            assert client.request(sys.argv[2], "x").text() == str(os.getpid())
        worker.close()
"""


@pytest.mark.parametrize("was", ["made", "started"])
@pytest.mark.parametrize("run_in", ["threads", "processes"])
def test_one_worker_runs_in_several_forked_processes(
    broker: Broker, tmp_path: pathlib.Path, run_in: str, was: str
) -> None:
    service = f"forked-{run_in}-{was}"
    process = start_program(tmp_path, WORKERS, broker.endpoint, service, run_in, was)
    assert process.stdin is not None and process.stdout is not None
    pids = set(process.stdout.readline().split())
    pids |= {str(process.pid)} if was == "started" else set()
    answered: set[str] = set()
    with Client(broker.endpoint, timeout_ms=20_000) as client:
        until = time.monotonic() + PATIENCE
        while answered != pids and time.monotonic() < until:
            answered.add(client.request(service, "x").text())
        names = [each["name"].split(":")[-1] for each in json.loads(client.request("mmi.workers", service).frames[1])]
    assert answered == pids and set(names) == pids and len(names) == len(pids)
    process.stdin.write("\n")
    process.stdin.flush()
    assert output_of(process) == ["0 0 0"]


MAP = """
import os, sys
from majordomo_client import SharedMap

with SharedMap(sys.argv[1]) as shared:
    shared.synced()
    shared.set("/before", "1")
    changes = shared.changes()
    child = os.fork()
    if child == 0:
        print("child", shared.get("/before"), shared.synced().keys())
        shared.set("/child", "2")
        print("child", *next(changes))
        shared.close()
        print("child", shared.keys())
    else:
        assert os.waitpid(child, 0)[1] == 0
        print("parent", *next(changes))
        shared.set("/after", "3")
        print("parent", shared.keys(), *next(changes))
"""


def test_a_map_made_before_fork_is_followed_by_parent_and_child(start_broker: StartBroker, tmp_path: pathlib.Path) -> None:
    listens = f"tcp://127.0.0.1:{free_port(above=2)}"
    start_broker(f"map.listen={listens}")
    assert output_of(start_program(tmp_path, MAP, listens)) == [
        "child b'1' ['/before']",
        "child /child b'2'",
        "child ['/before', '/child']",
        "parent /child b'2'",
        "parent ['/before', '/child', '/after'] /after b'3'",
    ]


POOL = """
import multiprocessing, sys
from majordomo_client import Client

CLIENT = Client(sys.argv[1])


def ask(number):
    return CLIENT.request("forked", str(number)).text()


if __name__ == "__main__":
    assert ask(0) == "0"
    with multiprocessing.get_context(sys.argv[2]).Pool(2) as pool:
        print(*pool.map(ask, range(10)))
    CLIENT.close()
"""


@pytest.mark.parametrize("start_method", ["fork", "forkserver", "spawn"])
def test_a_client_of_a_module_works_in_a_pool_of_processes(broker: Broker, tmp_path: pathlib.Path, start_method: str) -> None:
    with Worker(broker.endpoint, "forked", echo).ready():
        assert output_of(start_program(tmp_path, POOL, broker.endpoint, start_method)) == ["0 1 2 3 4 5 6 7 8 9"]



def test_a_client_that_is_closed_leaves_nothing_behind(broker: Broker) -> None:
    with Client(broker.endpoint) as client:
        client.request("mmi.broker", "")
        engine = weakref.ref(client._engine)
    del client
    gc.collect()
    assert engine() is None


def test_a_call_ends_by_itself_if_the_thread_of_its_client_does_not_run(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("majordomo_client.engine.THREAD_PATIENCE", 0.05)
    release = threading.Event()

    def hold() -> None:
        release.wait(PATIENCE)

    with Client(broker.endpoint, timeout_ms=50) as client:
        client._engine.post(hold)
        calls: "list[Callable[[], object]]" = [
            lambda: client.request("x", "y"),
            lambda: next(client.stream("x", "y")),
            lambda: client.job("0" * 32).state(),
        ]
        for call in calls:
            with pytest.raises(RequestTimeoutError, match="the thread of this client has not run for"):
                call()
        release.set()
