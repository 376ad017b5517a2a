"""``deadline_ms`` is the whole of a call, ``timeout_ms`` one attempt."""

from __future__ import annotations

import asyncio
import time

import pytest

from majordomo import AsyncClient, Client, OptionError, RequestTimeoutError
from majordomo.call import Call
from majordomo.exchange import PROBE, frames_of

from .conftest import Broker
from .test_core import Stage


def stage_with(end: float, timeout: float = 1.0, streams: bool = False) -> Stage:
    """A core with one request, whose connection is up."""
    stage = Stage()
    parts = (lambda _, __: None) if streams else None
    stage.core.start(Call(b"echo", [b"x"], None, timeout, 3, stage._done, parts, end), 0.0)
    stage.up(0.0)
    stage.answer(PROBE, b"mmi.broker", b"200", b'{"extensions":["cancel"]}', now=0.0)
    return stage


def tick(stage: Stage, *times: float) -> None:
    for now in times:
        stage.core.tick(now)
        stage.core.flush()


def test_a_call_ends_at_its_deadline_whatever_retries_remain_and_is_cancelled() -> None:
    stage = stage_with(1.5)
    tick(stage, 0.5)
    stage.answer(PROBE, b"mmi.broker", b"200", b'{"extensions":["cancel"]}', now=0.6)
    tick(stage, 1.0, 1.25, 1.4)
    assert stage.ends == []
    tick(stage, 1.5)
    (error,) = stage.ends
    assert isinstance(error, RequestTimeoutError) and error.details["sends"] == 2
    assert error.message == "no reply from 'echo' before deadline_ms was over (sent 2 times)"
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


def test_a_broker_that_is_silent_for_a_time_out_is_left_though_calls_end_before() -> None:
    stage = stage_with(0.4)
    tick(stage, 0.2, 0.4)
    assert stage.opened == ["a"]
    for start in (0.5, 0.9):
        stage.core.start(Call(b"echo", [b"x"], None, 1.0, 3, stage._done, None, start + 0.4), start)
        tick(stage, start + 0.2, start + 0.4)
    assert len(stage.ends) == 3 and stage.opened[:2] == ["a", "closed"]


def test_a_worker_learns_of_the_deadline_also_of_a_stream() -> None:
    stage = stage_with(9.0)
    for streams, end, left in ((False, 2.0, b"2000"), (True, 2.0, b"2000"), (True, float("inf"), b"")):
        call = Call(b"echo", [b"x"], b"{}", 1.0, 3, stage._done, (lambda _, __: None) if streams else None, end)
        call.id, call.deadline = b"12345678", min(4.0, end)
        assert frames_of(stage.core._settings, call, 0.0)[-3] == left


def test_calls_of_both_clients_have_it(broker: Broker) -> None:
    def took(act: object) -> float:
        began = time.monotonic()
        with pytest.raises(RequestTimeoutError):
            act()  # type: ignore[operator]
        return time.monotonic() - began

    # Before its first attempt is over, which a busy machine does not reach.
    with Client(broker.endpoint, timeout_ms=60_000, deadline_ms=200) as client:
        assert 0.15 < took(lambda: client.request("nobody", "")) < 60
        assert 0.05 < took(lambda: client.request("nobody", "", deadline_ms=100)) < 60
        assert 0.15 < took(lambda: list(client.stream("nobody", ""))) < 60
        client.enqueue("nobody", "", deadline_ms=60_000).close()
        with pytest.raises(OptionError, match="deadline_ms"):
            client.request("nobody", "", deadline_ms=0)
    with pytest.raises(OptionError, match="deadline_ms"):
        Client(broker.endpoint, deadline_ms=0)

    async def ask() -> None:
        async with AsyncClient(broker.endpoint, timeout_ms=60_000, deadline_ms=200) as client:
            await client.request("nobody", "")

    assert 0.15 < took(lambda: asyncio.run(ask())) < 60
