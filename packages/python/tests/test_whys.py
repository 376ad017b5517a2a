"""What the error of a request without an answer says: what the broker knows (mmi.why)."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from majordomo_client import AsyncClient, Client, JobPendingError, Request, RequestTimeoutError, Worker, wire
from majordomo_client.exchange import PROBE, Whys, why_lead

from .conftest import PATIENCE, Broker
from .test_core import Stage as OneBroker
from .test_freelance import Stage as Brokers

WHY = wire.Facts(frozenset(["why"]))
TELLS = (b"mmi.broker", b"200", b'{"extensions":["why"]}')
SAID = b'no worker serves it; did you mean "echo"?'


def questions(sent: "list[Any]") -> "list[bytes]":
    return [frames[0] for frames in sent if b"mmi.why" in frames]


class Link:
    def __init__(self) -> None:
        self.sent: list[Any] = []

    def open(self, endpoint: str) -> None:
        pass

    def close(self, linger_ms: int = 0) -> None:
        pass

    def send(self, frames: Any) -> None:
        self.sent.append(frames)


def whys() -> "tuple[Whys, Link]":
    return Whys(OneBroker().core._settings), Link()


def test_it_is_asked_a_tenth_of_the_wait_before_its_end_and_half_a_second_at_most() -> None:
    assert [why_lead(each) for each in (0.009, 1.0, 2.5, 60.0)] == [0, 0.1, 0.25, 0.5]


def test_a_question_is_shared_by_requests_for_a_service_for_a_second() -> None:
    asked, link = whys()
    for _ in range(100_000):
        asked.ask(link, b"ech", WHY, 0.0)
    (question,) = questions(link.sent)
    asked.received(wire.Answer(question, b"mmi.why", [b"404", SAID], True))
    assert asked.of(b"ech", 0.9) == f": {SAID.decode()}" and asked.of(b"else", 0.9) == ""
    asked.ask(link, b"ech", WHY, 0.9)
    assert len(questions(link.sent)) == 1
    asked.ask(link, b"ech", WHY, 1.0)
    assert len(questions(link.sent)) == 2
    assert asked.of(b"ech", 1.9) != "" and asked.of(b"ech", 2.0) == ""


def test_questions_are_few_and_go_to_brokers_that_can_be_asked() -> None:
    asked, link = whys()
    for facts in (None, wire.Facts(), wire.Facts(frozenset(["cancel"]))):
        asked.ask(link, b"echo", facts, 0.0)
    for name in (b"mmi.service", b"titanic.wait"):
        asked.ask(link, name, WHY, 0.0)
    assert link.sent == []
    for now, count in ((0.0, 16), (1.9, 16), (2.0, 32)):
        for number in range(1000):
            asked.ask(link, b"s%d" % number, WHY, now)
        assert len(questions(link.sent)) == count


@pytest.mark.parametrize("answer", [
    (b"mmi.refused", b"429", b"mmi.why", b"no"), (b"mmi.why", b"404"), (b"mmi.why", b"200", b""), (b"mmi.why", b"501"),
])
def test_the_message_is_as_before_if_the_question_is_not_answered(answer: "tuple[bytes, ...]") -> None:
    stage = told(time=1.0)
    run(stage, 0.95)
    (question,) = questions(stage.sent)
    stage.answer(question, *answer, now=0.96)
    run(stage, 1.1)
    (error,) = stage.ends
    assert isinstance(error, RequestTimeoutError) and error.message == "no reply from 'echo' in time (sent once)"


def told(time: float) -> OneBroker:
    """A broker that can be asked has a request."""
    stage = OneBroker("a")
    stage.ask(time=time)
    stage.up(0.0)
    stage.answer(PROBE, *TELLS, now=0.0)
    return stage


def run(stage: Any, until: float) -> None:
    """Ticks as the core wants it."""
    while stage.core.next_at() <= until:
        stage.core.tick(stage.core.next_at())


def test_the_broker_is_asked_before_the_end_of_the_call() -> None:
    stage = told(time=2.0)
    for now in (0.9, 1.5):
        run(stage, now)
        stage.answer(b"", b"mmi.hello", b"200", now=now)
    run(stage, 1.89)
    assert questions(stage.sent) == []
    run(stage, 1.91)
    (question,) = questions(stage.sent)
    stage.answer(question, b"mmi.why", b"404", SAID, now=1.95)
    run(stage, 1.99)
    assert stage.ends == []
    run(stage, 2.0)
    (error,) = stage.ends
    assert isinstance(error, RequestTimeoutError)
    assert error.message == f"no reply from 'echo' in time (sent 2 times): {SAID.decode()}"


def test_nobody_is_asked_about_a_request_that_is_answered() -> None:
    stage = told(time=1.0)
    run(stage, 0.8)
    stage.answer(stage.requests()[0], b"echo", b"y", now=0.8)
    run(stage, 5.0)
    assert stage.ends == [[b"y"]] and questions(stage.sent) == []


def test_of_independent_brokers_the_one_is_asked_that_got_it_last() -> None:
    stage = Brokers()
    for at in range(3):
        stage.knows(b'{"extensions":["why"]}', at, 0.0)
    stage.ask()
    now = 0.0
    while not any(link.whys for link in stage.links) and now < 3:
        now = stage.core.next_at()
        stage.core.tick(now)
        for at in range(3):  # alive
            stage.core.received(at, [b"", b"MDPC02", b"\x03", b"mmi.hello", b"200"], now)
    assert [len(link.whys) for link in stage.links] == [0, 1, 0] and 1.89 < now < 1.91
    answer = [stage.links[1].whys[0], b"", b"MDPC02", b"\x03", b"mmi.why", b"404", SAID]
    stage.core.received(1, answer, now)
    run(stage, 2.01)
    (error,) = stage.ends
    assert isinstance(error, RequestTimeoutError) and error.message.endswith(SAID.decode())


def test_a_time_out_says_what_the_broker_knows(broker: Broker) -> None:
    """Threads, asyncio and a stored reply wait together: each waits in vain for five seconds."""
    import asyncio

    let_go = threading.Event()

    def hangs(request: Request) -> str:
        let_go.wait(PATIENCE)
        return ""

    said: dict[str, str] = {}

    def wait(name: str, run: Any) -> threading.Thread:
        def target() -> None:
            with pytest.raises((RequestTimeoutError, JobPendingError)) as caught:
                run()
            said[name] = str(caught.value)

        thread = threading.Thread(target=target)
        thread.start()
        return thread

    async def asynchronously() -> None:
        async with AsyncClient(broker.endpoint, timeout_ms=5000) as client:
            await client.request("whys.rat", "")

    with Worker(broker.endpoint, "whys.rate", hangs) as worker, \
            Client(broker.endpoint, timeout_ms=5000) as client:
        worker.ready()
        job = client.enqueue("whys.stored", "")
        threads = [
            wait("threads", lambda: client.request("whys.rat", "")),
            wait("asyncio", lambda: asyncio.run(asynchronously())),
            wait("stored", lambda: job.result(timeout_ms=5000)),
            wait("uuid", lambda: client.job(job.uuid).result(timeout_ms=5000)),
            wait("at work", lambda: client.request("whys.rate", "")),
        ]
        for thread in threads:
            thread.join()
        let_go.set()
        job.close()
    unserved = 'no reply from \'whys.rat\' in time (timeout_ms 5000; sent once): no worker serves it; did you mean "whys.rate"?'
    assert (said["threads"], said["asyncio"]) == (unserved, unserved)
    assert said["stored"].endswith("within 5000 ms: no worker serves it")
    assert said["uuid"].endswith(f"known here: `majordomo durable show {job.uuid}` tells its service and its state")
    assert said["at work"].endswith(": its only worker has 1 request, and none waits")
