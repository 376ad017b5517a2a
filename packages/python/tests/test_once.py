"""Requests that at most one worker may run: what the client does and says, its core alone, and against the program."""

from __future__ import annotations

import asyncio
import pathlib
import threading
import time
from typing import Any, Callable, Optional

import pytest

from majordomo_client import (
    AsyncClient, Client, MajordomoError, OptionError, OutcomeUnknownError, RefusedError, Request,
    RequestTimeoutError, StreamBrokenError, UnsupportedError, Worker, wire,
)
from majordomo_client.call import Call, Patience, Settings
from majordomo_client.exchange import KEY_REFUSED, PROBE, frames_of
from majordomo_client.freelance import FreelanceCore

from .conftest import PATIENCE, Broker, start_program
from .test_freelance import Link
from .test_sessions import Sessions

OPTIONS = b'{"extensions":["headers","options"]}'


def at_broker(*endpoints: str) -> Sessions:
    """A client that is connected to a broker with sessions, which has the request."""
    stage = Sessions(*endpoints).want("a", once=True).connect().meets("one", False)
    assert stage.news() == ["a"]
    return stage


def without_session(facts: bytes = OPTIONS, *endpoints: str) -> Sessions:
    stage = Sessions(*endpoints).want("a", once=True).connect()
    stage.hello()
    assert stage.news() == []  # until the broker has said what it takes
    stage.answer(PROBE, b"mmi.broker", b"200", facts, now=0.0)
    return stage


def is_unknown(error: object, why: str, service: str = "echo") -> None:
    assert isinstance(error, OutcomeUnknownError), error
    assert error.message == f"the outcome of the request to '{service}' is unknown: {why}"


def test_it_is_sent_when_the_broker_has_said_that_it_takes_options_and_to_no_other() -> None:
    assert without_session().news() == ["a"]
    stage = without_session(b'{"extensions":["headers"]}')
    error = stage.errors["a"]
    assert stage.news() == [] and isinstance(error, UnsupportedError)
    assert error.message == "the broker does not support once: the request to 'echo' was not sent"
    stage = Sessions().want("a", once=True).connect()
    for _ in range(21):
        stage.go(0.5).hear()
    assert stage.news() == []
    assert "does not say whether it supports once" in str(stage.errors["a"])


@pytest.mark.parametrize("headers", [None, b'{"a":"b"}'])
def test_it_says_how_long_its_broker_may_take_to_say_more(headers: Optional[bytes]) -> None:
    def deadline(end: float) -> bytes:
        call = Call(b"echo", [b"x"], headers, Patience(end), lambda _, __: None, None, True)
        frames = frames_of(Settings(["a"], 2, 10, 100, 2000, False, 1000), call, wire.Facts(), 0.0)[2:]
        assert frames[:5] == [b"MDPC02", b"\x05", b"echo", b'{"once":true}', b""]
        assert frames[6:] == [headers or b"", b"x"]
        return frames[5]

    assert [deadline(end) for end in (10.0, 1.0, 0.0001, float("inf"))] == [b"9500", b"900", b"1", b""]


def test_after_a_lost_connection_it_goes_on_and_is_sent_again_only_if_it_never_arrived() -> None:
    for state, again in (("open", ""), ("unknown", "a")):
        stage = at_broker().again().meets("one", True).resumed(state)
        assert stage.news() == ["resume a/1", *again] and not stage.errors
    is_unknown(stage.refuse("a", b"520", b"outcome unknown: x").errors["a"], "x")


def test_its_outcome_is_unknown_if_its_broker_has_it_no_more_or_has_died_or_has_ended_the_session() -> None:
    stage = at_broker().again().meets("one", True).resumed("gone")
    is_unknown(stage.errors["a"], "the broker has neither the request nor its answer")
    for instance in ("two", "one"):
        stage = at_broker().again().meets(instance, False)
        is_unknown(stage.errors["a"], "its broker was lost")
        assert stage.news() == []
    stage = at_broker("a", "b").cut().go(0.2)
    stage.core.down(stage.lines[-1], "refused", stage.now)
    assert stage.opened[-1] == "b" and not stage.errors
    is_unknown(stage.connect().meets("two", False).errors["a"], "its broker was lost")
    stage = at_broker().go(2.6)
    assert not stage.errors
    is_unknown(stage.connect().meets("two", False).errors["a"], "its broker was lost")
    assert stage.news() == []


def test_its_outcome_is_unknown_if_a_broker_without_sessions_is_lost_or_silent() -> None:
    is_unknown(without_session().cut().errors["a"], "its broker was lost")
    stage = without_session()
    for _ in range(5):
        stage.go(0.9).hear()
    assert not stage.errors
    is_unknown(stage.go(2.0).errors["a"], "the broker is silent")
    assert stage.news() == ["a"] and stage.opened == ["a", "closed"]
    for each in (b"b", b"c"):
        stage.want(each.decode(), once=True)
    stage.go(0.1).connect().answer(PROBE, b"mmi.broker", b"200", OPTIONS, now=stage.now)
    stage.go(3.0)
    assert sorted(str(stage.errors[each]).split(": ")[1] for each in "bc") == ["its broker was lost", "the broker is silent"]


def test_its_outcome_is_unknown_if_its_time_is_over_or_its_worker_was_lost() -> None:
    stage = at_broker()
    for _ in range(10):
        stage.go(1.0).hear()
    is_unknown(stage.errors["a"], "no reply in time")
    is_unknown(at_broker().cut().go(10.0).errors["a"], "no reply in time")
    stage = at_broker().refuse("a", b"520", b"outcome unknown: worker gpu-3 was lost")
    is_unknown(stage.errors["a"], "worker gpu-3 was lost")


def test_its_outcome_is_unknown_if_the_broker_that_has_it_refuses_the_key_then() -> None:
    stage = at_broker().cut()
    for _ in range(2):
        stage.go(0.5)
        stage.core.down(stage.lines[-1], KEY_REFUSED, stage.now)
    is_unknown(stage.errors["a"], "the broker refuses the key of this client")


def test_after_a_refusal_it_is_sent_again_because_nobody_has_run_it() -> None:
    stage = at_broker().refuse("a", b"429").go(0.2)
    assert stage.news() == ["a"]
    stage = at_broker("a", "b").refuse("a", b"503").go(0.2).connect().meets("two", False)
    assert stage.news() == ["a"] and not stage.errors
    stage = at_broker().refuse("a", b"429").cut().go(10.0)
    assert isinstance(stage.errors["a"], RefusedError)


DRAINING = b"draining: this broker is shutting down"


def test_it_goes_to_the_other_node_when_its_own_is_about_to_end_however_useless_that_one_was() -> None:
    facts = b'{"extensions":["headers","options"],"instance":"x","pairHeartbeatMs":1000}'

    def met(stage: Sessions, known: bytes = b"false") -> Sessions:
        stage.connect().hello(b'{"resumeMs":10000,"known":' + known + b"}")
        stage.answer(PROBE, b"mmi.broker", b"200", facts, now=stage.now)
        return stage

    stage = met(Sessions("a", "b").want("a", once=True)).refuse("a", b"503")
    met(stage).refuse("a", b"503").go(0.5)  # the first one has refused just now, so the second one is asked again
    assert stage.opened == ["a", "closed", "b"] and stage.news() == ["a", "a", "a"]
    stage.refuse("a", b"503", DRAINING).go(2.0)
    assert stage.opened[3:] == ["closed", "a"] and met(stage, b"true").news() == ["a"] and not stage.errors


def test_it_certainly_did_not_run_if_its_broker_ends_and_has_not_answered_it() -> None:
    stage = at_broker("a", "b").want("mmi", service=b"mmi.service")
    stage.plain(b"mmi.refused", b"503", b"mmi.hello", DRAINING)
    stage.core.down(stage.lines[0], "lost", stage.now)
    stage.connect().meets("two", False)
    assert stage.news() == ["mmi", "mmi", "a"] and not stage.errors
    stage = at_broker()
    stage.plain(b"mmi.refused", b"503", b"mmi.hello", DRAINING)
    stage.cut().go(10.0)
    error = stage.errors["a"]
    text = "echo: the broker refused (503): draining: this broker is shutting down; it did not run"
    assert isinstance(error, RefusedError) and error.message == text


def test_it_did_not_run_if_it_expired_while_it_waited_for_a_worker() -> None:
    error = at_broker().refuse("a", b"408", b"all workers are busy").errors["a"]
    assert isinstance(error, RequestTimeoutError)
    assert error.message == "no reply from 'echo' in time (sent once): no worker had it: all workers are busy"


def test_it_is_not_sent_to_the_other_node_of_a_pair_while_the_first_is_quiet() -> None:
    pair = b'{"extensions":["headers","options"],"pairHeartbeatMs":1000}'
    stage = Sessions("a", "b")
    stage.core._settings.resend = 30.0
    stage.want("a", once=True).connect().hello()
    stage.answer(PROBE, b"mmi.broker", b"200", pair, now=0.0)
    stage.want("b").go(2.6).connect()
    stage.answer(PROBE, b"mmi.broker", b"200", pair, now=stage.now)
    assert stage.opened == ["a", "b"] and stage.news() == ["a", "b", "b"]
    stage.replies("a", line=0)
    assert stage.errors == {"a": [b"y"]}


def test_a_stream_of_which_parts_have_come_breaks() -> None:
    stage = Sessions().want("s", streams=True, once=True).connect().meets("one", False)
    stage.replies("s", kind=b"\x02")
    assert isinstance(stage.cut().errors["s"], StreamBrokenError)


class Several:
    """A client of two independent brokers that are connected."""

    def __init__(self) -> None:
        self.links = [Link(), Link()]
        self.ends: "list[object]" = []
        settings = Settings(["a", "b"], 2, 10, 100, 2000, False, 1000, None, 1.0, 1.0)
        self.core = FreelanceCore(settings, self.links)
        self.core.tick(0.0)
        for at in range(2):
            self.core.up(at, 0.0)
        end = lambda body, error: self.ends.append(error or body)
        self.core.start(Call(b"echo", [b"x"], None, Patience(5.0), end, None, True), 0.0)
        assert self.sends() == [0, 0]
        for at in range(2):
            self.says(at, 0.0, PROBE, b"mmi.broker", b"200", OPTIONS)
        assert self.sends() == [1, 0]

    def says(self, at: int, now: float, *frames: bytes) -> None:
        self.core.received(at, [frames[0], b"", b"MDPC02", b"\x03", *frames[1:]], now)

    def sends(self) -> "list[int]":
        return [len(link.requests) for link in self.links]


def test_of_several_brokers_one_is_asked_and_the_next_only_if_that_has_refused() -> None:
    stage = Several()
    stage.says(0, 0.1, stage.links[0].requests[0], b"mmi.refused", b"503", b"echo", b"no")
    assert stage.sends() == [1, 1] and not stage.ends
    stage = Several()
    stage.core.down(0, "lost", 0.1)
    is_unknown(stage.ends[0], "its broker was lost")
    stage = Several()
    now = 0.0
    while not stage.ends:
        now += 0.5
        for at in range(2):
            stage.says(at, now, PROBE, b"mmi.broker", b"200", OPTIONS)
        stage.core.tick(now)
    is_unknown(stage.ends[0], "no reply in time")
    assert now == 5.0 and stage.sends() == [1, 0]


# ---------------------------------------------------------------- the option


def wrong(make: "Callable[[], Any]", says: str) -> None:
    with pytest.raises(OptionError, match=says) as raised:
        make()
    assert raised.value.details == {"option": "once"}


def test_what_does_not_go_with_once_is_said() -> None:
    with Client("tcp://127.0.0.1:1", protocol="0.1") as old:
        wrong(lambda: old.request("echo", "", once=True), "needs protocol 0.2")
    with Client("tcp://127.0.0.1:1,tcp://127.0.0.1:2", strategy="freelance", hedge_ms=0) as hedging:
        wrong(lambda: hedging.request("echo", "", once=True), "hedge_ms")
    with Client("tcp://127.0.0.1:1") as client:
        for service in ("mmi.service", "titanic.request"):
            wrong(lambda: client.request(service, "", once=True), "broker answers itself")
        wrong(lambda: next(client.stream("mmi.service", "", once=True)), "broker answers itself")
        wrong(lambda: client.request("echo", "", once=1), "must be True or False")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="once"):
            client.enqueue("echo", "", once=True)  # type: ignore[call-arg]
        with pytest.raises(TypeError, match="once"):
            client.schedule("x", "echo", "", cron="* * * * *", once=True)  # type: ignore[call-arg]

    async def later() -> None:
        async with AsyncClient("tcp://127.0.0.1:1") as client:
            with pytest.raises(OptionError, match="broker answers itself"):
                await client.request("mmi.service", "", once=True)
            with pytest.raises(OptionError, match="broker answers itself"):
                [part async for part in client.stream("mmi.service", "", once=True)]
            with pytest.raises(TypeError, match="once"):
                await client.enqueue("echo", "", once=True)

    asyncio.run(later())


# ---------------------------------------------------------------- against the program

WORKER = """
import sys, threading
from majordomo_client import Worker

def run(request):
    print("run", flush=True)
    threading.Event().wait()

with Worker(sys.argv[1], sys.argv[2], run, name="gpu-3").ready():
    print("ready", flush=True)
    threading.Event().wait()
"""


@pytest.mark.parametrize("once", [True, False])
def test_a_request_whose_worker_is_killed_runs_once_or_again(broker: Broker, tmp_path: pathlib.Path, once: bool) -> None:
    service = f"motor-{once}"
    ends: "list[object]" = []
    runs: "list[str]" = []

    def run(request: Request) -> str:
        runs.append(request.text())
        return "done"

    def ask(client: Client) -> None:
        try:
            ends.append(client.request(service, "left", once=once, timeout_ms=60_000).text())
        except MajordomoError as error:
            ends.append(error)

    process = start_program(tmp_path, WORKER, broker.endpoint, service)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        with Client(broker.endpoint) as client:
            asks = threading.Thread(target=ask, args=(client,))
            asks.start()
            assert process.stdout.readline() == "run\n"
            with Worker(broker.endpoint, service, run).ready():
                process.kill()
                asks.join(PATIENCE)
                # What the broker would give out late comes before this.
                assert client.request(service, "next").text() == "done"
    finally:
        process.kill()
        process.communicate()
    if once:
        is_unknown(ends[0], "delivered to worker gpu-3, which was lost", service)
        assert runs == ["next"]
    else:
        assert ends == ["done"] and runs == ["left", "next"]


def test_it_is_answered_also_in_parts_and_in_asyncio(broker: Broker) -> None:
    def parts(_: object) -> Any:
        yield "a"
        return "b"

    async def later() -> "list[str]":
        async with AsyncClient(broker.endpoint) as client:
            reply = await client.request("once-parts", "", once=True)
            return [reply.text(), *[part.text() async for part in client.stream("once-parts", "", once=True)]]

    with Worker(broker.endpoint, "once-parts", parts).ready(), Client(broker.endpoint) as client:
        assert [part.text() for part in client.stream("once-parts", "", once=True)] == ["a", "b"]
        assert asyncio.run(later()) == ["ab", "a", "b"]


def test_a_worker_that_closes_leaves_no_unknown_outcome_of_what_it_has_not_begun(broker: Broker) -> None:
    begun, free = threading.Event(), threading.Event()
    answers: "list[str]" = []

    def held(_: object) -> str:
        begun.set()
        assert free.wait(PATIENCE)
        return "first"

    def ask(client: Client, service: str) -> threading.Thread:
        def request() -> None:
            answers.append(client.request(service, "", once=True, timeout_ms=60_000).text())

        thread = threading.Thread(target=request)
        thread.start()
        return thread

    services = {"once-held": held, "once-waits": lambda _: "first"}
    first = Worker(broker.endpoint, services=services).ready()
    with Client(broker.endpoint) as client:
        asks = [ask(client, "once-held")]
        assert begun.wait(PATIENCE)
        asks.append(ask(client, "once-waits"))
        while not first._held:
            time.sleep(0.01)
        with Worker(broker.endpoint, "once-waits", lambda _: "second").ready():
            closes = threading.Thread(target=first.close)
            closes.start()
            asks[1].join(PATIENCE)
            assert answers == ["second"]
            free.set()
            closes.join(PATIENCE)
            asks[0].join(PATIENCE)
    assert answers == ["second", "first"]
