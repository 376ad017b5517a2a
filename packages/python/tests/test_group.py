"""The group of a request: how it is sent, to whom, and what the broker does with it."""

from __future__ import annotations

import asyncio
import types
from typing import Any, Callable, Optional

import pytest

from majordomo_client import (
    AsyncClient, Client, JobKeyReusedError, JobUnsupportedError, OptionError, Request, UnsupportedError, Worker, jobs, wire,
)
from majordomo_client.call import Call, Patience, Settings
from majordomo_client.exchange import PROBE, frames_of

from .conftest import Broker
from .test_sessions import Sessions

LONGEST = "ä" * 127 + "b"


def frames(headers: Optional[bytes] = None, once: bool = False, group: bytes = b"") -> "list[bytes]":
    call = Call(b"echo", [b"x"], headers, Patience(float("inf")), lambda _, __: None, None, once, group)
    return frames_of(Settings(["a"], 2, 10, 100, 2000, False, 1000), call, wire.Facts(), 0.0)[3:]


def test_it_stands_after_the_options_which_are_empty_or_name_what_else_is_wanted() -> None:
    group = "Gerät 7".encode()
    assert frames(b'{"a":"b"}', group=group) == [b"\x05", b"echo", b"", group, b"", b'{"a":"b"}', b"x"]
    assert frames(once=True, group=b"a") == [b"\x05", b"echo", b'{"once":true}', b"a", b"", b"", b"x"]


def test_requests_without_one_keep_their_bytes() -> None:
    assert frames() == [b"\x01", b"echo", b"x"]
    assert frames(b"") == [b"\x04", b"echo", b"", b"", b"x"]
    assert frames(once=True) == [b"\x05", b"echo", b'{"once":true}', b"", b"", b"", b"x"]


@pytest.mark.parametrize("extensions", ["", '"headers"', '"headers","options"', '"headers","group"'])
def test_it_is_sent_to_a_broker_that_offers_all_of_it_and_to_no_other(extensions: str) -> None:
    def at(extensions: str) -> Sessions:
        stage = Sessions().want("a", once=True, group=b"a").connect()
        stage.hello()
        assert stage.news() == []  # until the broker has said what it takes
        stage.answer(PROBE, b"mmi.broker", b"200", f'{{"extensions":[{extensions}]}}'.encode(), now=0.0)
        return stage

    stage = at(extensions)
    error = stage.errors["a"]
    assert stage.news() == [] and isinstance(error, UnsupportedError)
    assert error.message == "the broker does not support group: the request to 'echo' was not sent"
    assert at('"headers","options","group"').news() == ["a"]


# ---------------------------------------------------------------- the option


def wrong(make: "Callable[[], Any]", says: str) -> None:
    with pytest.raises(OptionError, match=says) as raised:
        make()
    assert raised.value.details == {"option": "group"}


@pytest.mark.parametrize("group", ["", "ä" * 128, 7, b"a"])
def test_it_is_text_of_1_to_255_bytes(group: Any) -> None:
    with Client("tcp://127.0.0.1:1") as client:
        for ask in (
            lambda: client.request("echo", "", group=group),
            lambda: next(client.stream("echo", "", group=group)),
            lambda: client.enqueue("echo", "", group=group),
            lambda: client.schedule("x", "echo", "", cron="* * * * *", group=group),
        ):
            wrong(ask, "must be text of 1 to 255 bytes in UTF-8")
        wrong(lambda: client.request("echo", "", group="\ud800"), "UTF-8 cannot say")


def test_what_does_not_go_with_it_is_said() -> None:
    with Client("tcp://127.0.0.1:1", protocol="0.1") as old:
        wrong(lambda: old.request("echo", "", group="a"), "needs protocol 0.2")
    with Client("tcp://127.0.0.1:1") as client:
        for service in ("mmi.service", "titanic.request"):
            wrong(lambda: client.request(service, "", group="a"), "broker answers itself")
        with pytest.raises(OptionError, match="use the option"):
            client.enqueue("echo", "", headers={"group": "a"})
    assert jobs.stored_options(group="a") == {"group": "a"} and jobs.stored_options(group=None) == {}


def test_a_durable_one_is_not_sent_to_a_broker_without_groups() -> None:
    facts = wire.parse_facts([b"200", b'{"extensions":["submit"]}'])
    engine: Any = types.SimpleNamespace(is_freelance=False, facts=facts)
    with pytest.raises(JobUnsupportedError, match="does not support group"):
        next(jobs.enqueue(engine, "echo", "", {"group": "a"}, Patience(1.0)))


# ---------------------------------------------------------------- against the program


def keeps(got: "list[str]") -> "Callable[[Request], str]":
    def run(request: Request) -> str:
        got.append(request.text())
        return request.text()

    return run


def in_turn(broker: Broker, service: str) -> "list[str]":
    """What one worker gets, which runs one request at a time: all wait when it comes."""
    got: "list[str]" = []
    run = keeps(got)

    async def program() -> None:
        async with AsyncClient(broker.endpoint) as client:
            # Then it knows what the broker takes.
            with Worker(broker.endpoint, f"{service}-first", run).ready():
                await client.request(f"{service}-first", "first", group="a")
            asks: "list[asyncio.Task[Any]]" = [
                asyncio.create_task(client.request(service, body, group=body[0] if body[0] != "-" else None))
                for body in ("a1", "a2", "a3", "-1", "-2", "b1")
            ]
            asks.append(asyncio.create_task(read(client)))
            await client.request("mmi.service", service)
            with Worker(broker.endpoint, service, run).ready():
                await asyncio.gather(*asks)

    async def read(client: AsyncClient) -> None:
        assert [part.text() async for part in client.stream(service, "c1", group=LONGEST)] == ["c1"]

    asyncio.run(program())
    return got


def test_groups_take_turns_by_request(broker: Broker) -> None:
    assert in_turn(broker, "turns") == ["first", "a1", "-1", "b1", "c1", "a2", "-2", "a3"]


def test_a_durable_request_is_stored_with_its_group(broker: Broker) -> None:
    got: "list[str]" = []
    with Client(broker.endpoint) as client:
        stored = [client.enqueue("stored-turns", body, group=body[0]) for body in ("a1", "a2", "a3", "b1")]
        keyed = [client.enqueue("stored-turns", "k", group="c", idempotency_key="k").uuid for _ in range(2)]
        assert keyed[0] == keyed[1]
        with pytest.raises(JobKeyReusedError):
            client.enqueue("stored-turns", "k", group="d", idempotency_key="k")
        client.job(keyed[0]).close()
        with Worker(broker.endpoint, "stored-turns", keeps(got)).ready():
            for job in stored:
                job.result(timeout_ms=20_000)
    assert got == ["a1", "b1", "a2", "a3"]


def test_a_schedule_has_the_group_of_its_requests(broker: Broker) -> None:
    with Client(broker.endpoint) as client:
        client.schedule("grouped", "grouped", "x", cron="@yearly", group=LONGEST)
        assert client.unschedule("grouped")
