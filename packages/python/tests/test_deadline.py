"""``timeout_ms`` is the time of the whole call, however often it is sent."""

from __future__ import annotations

import asyncio
import inspect
import time
from typing import Any

import pytest

from majordomo_client import AsyncClient, Client, OptionError, RequestTimeoutError, UnreachableError, Worker, connect, wire
from majordomo_client import jobs
from majordomo_client.call import Call, Patience
from majordomo_client.engine import Engine
from majordomo_client.exchange import PROBE, frames_of

from .conftest import Broker
from .test_core import Stage

HEADERS = wire.Facts(frozenset({"headers"}))


def stage_with(end: float, streams: bool = False) -> Stage:
    """A core with one request, whose connection is up."""
    stage = Stage()
    parts = (lambda _, __: None) if streams else None
    stage.core.start(Call(b"echo", [b"x"], None, Patience(end), stage._done, parts), 0.0)
    stage.up(0.0)
    stage.answer(PROBE, b"mmi.broker", b"200", b'{"extensions":["cancel"]}', now=0.0)
    return stage


def tick(stage: Stage, *times: float) -> None:
    for now in times:
        stage.core.tick(now)
        stage.core.flush()


def test_a_call_ends_at_its_time_and_is_cancelled() -> None:
    stage = stage_with(1.5)
    tick(stage, 0.5)
    stage.answer(PROBE, b"mmi.broker", b"200", b'{"extensions":["cancel"]}', now=0.6)
    tick(stage, 1.0, 1.25, 1.4)
    assert stage.ends == []
    tick(stage, 1.5)
    (error,) = stage.ends
    assert isinstance(error, RequestTimeoutError) and error.details["sends"] == 2
    assert error.message == "no reply from 'echo' in time (sent 2 times)"
    assert b"mmi.cancel" in stage.sent[-1] and stage.opened == ["a"]


def test_a_stream_ends_by_it_though_parts_come() -> None:
    stage = stage_with(1.5, streams=True)
    for now in (0.4, 0.8, 1.2):
        tick(stage, now)
        stage.answer(stage.requests()[0], b"echo", b"part", now=now, kind=b"\x02")
    tick(stage, 1.49)
    assert stage.ends == []
    tick(stage, 1.5)
    assert isinstance(stage.ends[0], RequestTimeoutError)


@pytest.mark.parametrize("dies_at", [5.0, 2.0, 0.5])
def test_a_stream_that_has_begun_waits_for_its_whole_time_or_breaks_if_its_broker_dies(dies_at: float) -> None:
    lives = dies_at == 5.0
    stage = stage_with(5.0, streams=True)
    stage.answer(stage.requests()[0], b"echo", b"part", now=0.4, kind=b"\x02")
    for now in (0.9, 1.4, 1.9, 2.4, 2.9, 3.4, 3.9, 4.4, 4.9):
        tick(stage, now)
        if now < dies_at:
            stage.answer(PROBE, b"mmi.broker", b"200", b"{}", now=now)
    assert [type(each).__name__ for each in stage.ends] == ([] if lives else ["StreamBrokenError"])
    assert stage.opened[:2] == (["a"] if lives else ["a", "closed"]) and len(stage.requests()) == 1


def test_a_broker_that_is_silent_is_left_though_calls_end_before() -> None:
    stage = stage_with(0.4)
    tick(stage, 0.2, 0.4)
    assert stage.opened == ["a"]
    for start in (0.5, 0.9):
        stage.ask(start, 0.4)
        tick(stage, start + 0.2, start + 0.4)
    assert len(stage.ends) == 3 and stage.opened[:2] == ["a", "closed"]


def test_calls_that_end_early_leave_no_timers_behind() -> None:
    stage = Stage("a")
    for _ in range(10_000):
        call = stage.ask(time=3600.0)
        if not stage.lines[-1].is_up:
            stage.up(0.0)
        stage.core.abandon(call)
    assert len(stage.core._timers._heap) <= 1000


def call_of(service: bytes = b"echo", headers: "Any" = None, named: bool = True, end: float = 2.0, streams: bool = False) -> Call:
    call = Call(service, [b"x"], headers, Patience(end, named), lambda _, __: None, (lambda _, __: None) if streams else None)
    call.id = b"12345678"
    return call


@pytest.mark.parametrize("streams", [True, False])
def test_a_worker_learns_of_a_time_that_was_named_if_the_broker_is_known_to_tell_it(streams: bool) -> None:
    settings = Stage().core._settings
    assert frames_of(settings, call_of(streams=streams), HEADERS, 0.5)[-4:] == [b"echo", b"1500", b"", b"x"]
    plain = [b"12345678\0", b"", b"MDPC02", b"\x01", b"echo", b"x"]
    for call, facts in [
        (call_of(streams=streams), None), (call_of(streams=streams), wire.Facts()), (call_of(named=False), HEADERS),
        (call_of(end=float("inf")), HEADERS),
    ]:
        assert frames_of(settings, call, facts, 0.5) == plain
    for service in (b"mmi.service", b"titanic.wait"):
        assert frames_of(settings, call_of(service), HEADERS, 0.5)[-2:] == [service, b"x"]


def test_a_request_with_headers_tells_its_time_also_if_that_is_the_usual() -> None:
    settings = Stage().core._settings
    for end, left in ((2.0, b"2000"), (float("inf"), b"")):
        assert frames_of(settings, call_of(headers=b"{}", named=False, end=end), HEADERS, 0.0)[-3:] == [left, b"{}", b"x"]


@pytest.mark.parametrize("named", [True, False])
def test_a_broker_that_was_told_the_time_may_say_that_it_is_over(named: bool) -> None:
    stage = Stage("a")
    call = Call(b"echo", [b"x"], b"" if named else None, Patience(9.0), stage._done)
    stage.core.start(call, 0.0)
    stage.up(0.0)
    stage.answer(PROBE, b"mmi.broker", b"200", b'{"extensions":["headers"]}', now=0.0)
    stage.answer(stage.requests()[0], b"mmi.refused", b"408", b"echo", b"it expired", now=8.9)
    assert [str(each) for each in stage.ends] == [
        "no reply from 'echo' in time (sent once): it expired" if named else "echo: the broker refused (408): it expired"
    ]


def asked(script: "Any", *answers: Any) -> Any:
    """What a script asks, after these answers."""
    question = next(script)
    for answer in answers:
        question = script.throw(answer) if isinstance(answer, Exception) else script.send(answer)
    return question


def test_questions_of_one_call_share_its_time() -> None:
    engine: Any = Engine("tcp://127.0.0.1:1", {**defaults(), "resend_ms": 60_000})
    now = time.monotonic()
    learns = asked(jobs.enqueue(engine, "echo", "x", {}, Patience(now + 100)))
    assert learns.service == b"mmi.broker" and 49 < learns.patience.end - now < 51
    # A broker that does not say what it knows is sent that once: it could store a second one.
    stores = asked(jobs.enqueue(engine, "echo", "x", {}, Patience(now + 100)), RequestTimeoutError(""))
    assert stores.service == b"titanic.request" and stores.patience == Patience(now + 100, poll=float("inf"))
    again = asked(jobs.enqueue(engine, "echo", "x", {}, Patience(now + 100)), UnreachableError(""))
    assert again.service == b"mmi.broker"  # there is time left
    options = asked(jobs.enqueue(engine, "echo", "x", {"key": "k"}, Patience(now + 100)))
    assert options.service == b"mmi.broker" and options.patience == Patience(now + 100)  # nothing else would do
    submits = asked(jobs.enqueue(engine, "echo", "x", {}, Patience(now + 100)), [b"200", b'{"extensions":["submit"]}'])
    assert submits.service == b"titanic.submit" and submits.patience == Patience(now + 100)
    calls = asked(jobs.call_durable(engine, "echo", "x", {}, 100_000), [b"200", b'{"extensions":["submit","call"]}'])
    end = calls.patience.end
    assert calls.service == b"titanic.call" and 99 < end - now < 101
    assert calls.patience == Patience(end, after=Patience(end, poll=60.0))
    waits = asked(jobs.result(engine, "0" * 32, "echo", None), [b"200", b'{"extensions":["wait"]}'])
    assert waits.service == b"titanic.wait" and waits.patience == Patience(float("inf"), poll=30.0)


def defaults() -> "dict[str, Any]":
    return {name: each.default for name, each in inspect.signature(Client).parameters.items()}


def test_the_usual_time_is_ten_seconds_and_none_has_no_end() -> None:
    def time_of(given: "dict[str, Any]", *own: Any) -> "tuple[float, bool]":
        patience = Engine("tcp://127.0.0.1:1", {**defaults(), **given}).patience(*own)
        return round(patience.end - time.monotonic(), 1), patience.is_named

    forever = float("inf")
    assert time_of({}) == (10.0, False) and time_of({"timeout_ms": 10_000}) == (10.0, True)
    assert time_of({}, 500) == (0.5, True) and time_of({}, None) == (forever, True) == time_of({"timeout_ms": None})


@pytest.mark.parametrize("given", [0, -1, float("nan"), float("inf"), True, 365 * 86_400_000 + 1, "1"])
def test_a_time_that_is_none_is_refused_with_the_range(given: Any) -> None:
    text = "timeout_ms must be a whole number from 1 to 31536000000, or None, not "
    with pytest.raises(OptionError, match=text):
        Client("tcp://127.0.0.1:1", timeout_ms=given)
    with Client("tcp://127.0.0.1:1") as client, pytest.raises(OptionError, match=text):
        client.request("echo", "", timeout_ms=given)


GONE = {
    "deadline_ms": "deadline_ms is gone: write timeout_ms, the time of the whole call",
    "retries": "retries is gone: timeout_ms is the whole call; resend_ms says when other brokers are sent it again",
}


@pytest.mark.parametrize(("option", "text"), GONE.items())
def test_options_that_are_gone_say_what_to_write(option: str, text: str) -> None:
    given: "dict[str, Any]" = {option: 3}
    client = Client("tcp://127.0.0.1:1")
    other = AsyncClient("tcp://127.0.0.1:1")
    uses: "list[Any]" = [
        lambda: Client("tcp://127.0.0.1:1", **given), lambda: connect("tcp://127.0.0.1:1", **given),
        lambda: AsyncClient("tcp://127.0.0.1:1", **given), lambda: next(client.stream("echo", "", **given)),
        lambda: asyncio.run(other.request("echo", "", **given)), lambda: asyncio.run(other.enqueue("echo", "", **given)),
        *(lambda call=call: call("echo", "", **given) for call in (client.request, client.enqueue)),
        lambda: client.schedule("a", "echo", "", cron="@daily", **given), lambda: client.contract_of("echo", **given),
    ]
    for use in uses:
        with pytest.raises(TypeError) as refused:
            use()
        assert str(refused.value) == text
    client.close()
    asyncio.run(other.close())


def test_calls_of_both_clients_have_it(broker: Broker) -> None:
    def times_out(act: Any) -> None:
        with pytest.raises(RequestTimeoutError):
            act()

    with Client(broker.endpoint, timeout_ms=200) as client:
        times_out(lambda: client.request("nobody", ""))
        times_out(lambda: client.request("nobody", "", timeout_ms=100))
        times_out(lambda: list(client.stream("nobody", "")))
        client.enqueue("nobody", "", timeout_ms=60_000).close()

    async def ask() -> None:
        async with AsyncClient(broker.endpoint, timeout_ms=200) as client:
            await client.request("nobody", "")

    times_out(lambda: asyncio.run(ask()))


def test_a_handler_learns_of_a_time_that_was_named_and_of_no_other(broker: Broker) -> None:
    def left(request: Any) -> str:
        remaining = request.remaining_ms()
        return "none" if remaining is None else str(0 < remaining <= 60_000)

    with Worker(broker.endpoint, "left", left).ready(), Client(broker.endpoint) as client:
        client.request("mmi.broker", "")  # now it is known to tell it
        assert client.request("left", "").text() == "none"
        assert client.request("left", "", timeout_ms=None).text() == "none"
        assert client.request("left", "", timeout_ms=60_000).text() == "True"
