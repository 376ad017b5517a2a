"""A client of independent brokers: its core alone, and against two real ones."""

from __future__ import annotations

from typing import Optional, Sequence

import pytest

from majordomo_client import (
    Client,
    MajordomoError,
    OptionError,
    OutcomeUnknownError,
    RefusedError,
    RequestTimeoutError,
    UnreachableError,
    UnsupportedError,
    UsageError,
    Worker,
)
from majordomo_client.call import Call, Patience, Settings
from majordomo_client.freelance import FreelanceCore

from .conftest import StartBroker


class Link:
    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.cancels: list[bytes] = []
        self.whys: list[bytes] = []
        self.probes = 0

    def open(self, endpoint: str) -> Optional[str]:
        return None

    def close(self, linger_ms: int = 0) -> None:
        pass

    def send(self, frames: Sequence[bytes]) -> None:
        self.probes += b"mmi.broker" in frames
        if b"mmi.cancel" in frames:
            self.cancels += frames[4:]
        if b"mmi.why" in frames:
            self.whys.append(frames[0])
        elif b"echo" in frames:
            self.requests.append(frames[0])


class Stage:
    """A core of three brokers that are all connected at 0."""

    def __init__(self, hedge: Optional[float] = None) -> None:
        self.links = [Link() for _ in range(3)]
        self.ends: list[object] = []
        settings = Settings(["a", "b", "c"], 2, 10, 100, 2000, False, 1000, hedge, 1.0, 1.0)
        self.core = FreelanceCore(settings, self.links)
        self.core.tick(0.0)
        for at in range(3):
            self.core.up(at, 0.0)

    def ask(self, now: float = 0.0, time: float = 2.0, headers: Optional[bytes] = None, once: bool = False) -> None:
        self.core.start(Call(b"echo", [b"x"], headers, Patience(now + time), self._done, None, once), now)

    def answer(self, at: int, service: bytes, *body: bytes, now: float) -> None:
        correlation = self.links[at].requests[-1]
        self.core.received(at, [correlation, b"", b"MDPC02", b"\x03", service, *body], now)

    def knows(self, facts: bytes, at: int, now: float) -> None:
        self.core.received(at, [b"?", b"", b"MDPC02", b"\x03", b"mmi.broker", b"200", facts], now)

    def cancels(self) -> "list[list[bytes]]":
        self.core.flush()
        return [link.cancels for link in self.links]

    def sends(self) -> "list[int]":
        return [len(link.requests) for link in self.links]

    def _done(self, body: Optional[Sequence[bytes]], error: Optional[MajordomoError]) -> None:
        self.ends.append(error if body is None else list(body))


def test_the_first_broker_that_is_alive_is_asked_and_the_next_when_it_is_lost() -> None:
    stage = Stage()
    stage.ask()
    assert stage.sends() == [1, 0, 0]
    stage.core.down(0, "lost", 0.1)
    assert stage.sends() == [1, 1, 0]
    stage.answer(1, b"echo", b"y", now=0.2)
    assert stage.ends == [[b"y"]]
    stage.ask(now=0.3)
    assert stage.sends() == [1, 2, 0]


def test_with_a_hedge_the_first_answer_wins_and_the_others_are_late() -> None:
    stage = Stage(hedge=0.1)
    stage.ask()
    stage.core.tick(0.1)
    stage.core.tick(0.2)
    assert stage.sends() == [1, 1, 1] and stage.core.counters["hedges"] == 2
    for at in range(2):
        stage.knows(b'{"extensions":["cancel"]}', at, 0.2)
    stage.answer(2, b"echo", b"y", now=0.3)
    assert stage.cancels() == [stage.links[0].requests, stage.links[1].requests, []]
    stage.answer(0, b"echo", b"z", now=0.3)
    assert stage.ends == [[b"y"]] and stage.core.counters["late"] == 1


def test_a_broker_that_refuses_is_passed_over_and_all_are_asked_again_after_a_pause() -> None:
    stage = Stage()
    stage.ask()
    for at in range(3):
        stage.answer(at, b"mmi.refused", b"503", b"echo", b"not active", now=0.1)
    assert stage.sends() == [1, 1, 1]
    stage.core.tick(stage.core.next_at())
    assert sum(stage.sends()) == 4


@pytest.mark.parametrize("once", [False, True])
def test_a_broker_that_cannot_take_headers_or_once_is_passed_over(once: bool) -> None:
    stage = Stage()
    stage.ask(headers=b"{}", once=once)
    stage.knows(b'{"extensions":[]}', 0, 0.1)
    stage.knows(b'{"extensions":["headers","options"]}', 1, 0.1)
    assert stage.sends() == [0, 1, 0]
    stage = Stage()
    stage.ask(headers=b"{}", once=once)
    for at in range(3):
        assert stage.ends == []
        stage.knows(b'{"extensions":[]}', at, 0.1)
    (error,) = stage.ends
    assert isinstance(error, UnsupportedError) and stage.sends() == [0, 0, 0]


def test_after_any_refusal_the_next_is_asked_but_not_after_an_unknown_outcome() -> None:
    stage = Stage()
    stage.ask()
    for at, status in enumerate((b"404", b"403", b"404")):
        stage.answer(at, b"mmi.refused", status, b"echo", b"no", now=0.1)
    assert stage.sends() == [1, 1, 1] and isinstance(stage.ends[0], MajordomoError)
    stage = Stage()
    for at in range(3):
        stage.knows(b'{"extensions":["options"]}', at, 0.1)
    stage.ask(once=True, now=0.1)
    stage.answer(0, b"mmi.refused", b"520", b"echo", b"outcome unknown: x", now=0.2)
    assert stage.sends() == [1, 0, 0] and isinstance(stage.ends[0], OutcomeUnknownError)


def test_a_broker_that_refuses_the_hello_is_passed_over_until_it_accepts_one() -> None:
    stage = Stage()

    def refuse(at: int, now: float) -> None:
        refusal = [b"mmi.refused", b"429", b"mmi.hello", b"the quota `hellos` is used up"]
        stage.core.received(at, [b"", b"MDPC02", b"\x03", *refusal], now)

    refuse(0, 0.0)
    stage.ask()
    assert stage.sends() == [0, 1, 0]
    stage.answer(1, b"echo", b"y", now=0.1)
    refuse(1, 0.1)
    refuse(2, 0.1)
    stage.ask(now=0.2)
    assert stage.sends() == [0, 1, 0]
    stage.core.received(2, [b"", b"MDPC02", b"\x03", b"mmi.hello", b"200"], 0.25)
    stage.core.tick(stage.core.next_at())
    assert stage.sends() == [0, 1, 1]
    stage.answer(2, b"echo", b"z", now=0.3)
    refuse(2, 0.3)
    stage.ask(now=0.4, time=1.0)
    while len(stage.ends) < 3:
        stage.core.tick(stage.core.next_at())
        for at in range(3):
            stage.knows(b"{}", at, 0.4)
    assert isinstance(stage.ends[2], RefusedError) and "`hellos`" in str(stage.ends[2])


def test_what_was_sent_with_a_hello_that_is_refused_goes_to_the_next_broker_or_fails_at_once() -> None:
    stage = Stage()
    stage.core.received(1, [b"", b"MDPC02", b"\x03", b"mmi.hello", b"200"], 0.0)
    stage.ask()
    refusal = [b"", b"MDPC02", b"\x03", b"mmi.refused", b"429", b"mmi.hello", b"the quota `hellos` is used up"]
    stage.core.received(0, refusal, 0.1)
    assert stage.sends() == [1, 1, 0] and stage.ends == []
    stage.core.received(1, refusal, 0.1)
    assert stage.sends() == [1, 1, 0] and stage.ends == []
    stage.core.down(1, "lost", 0.2)
    assert stage.sends() == [1, 1, 1]
    stage.core.received(2, refusal, 0.3)
    assert isinstance(stage.ends[0], RefusedError) and "`hellos`" in str(stage.ends[0])


def test_a_broker_that_refused_a_request_is_asked_again_if_the_hellos_of_the_others_are_refused() -> None:
    stage = Stage()
    stage.ask()
    stage.answer(0, b"mmi.refused", b"429", b"echo", b"too many requests", now=0.1)
    refusal = [b"", b"MDPC02", b"\x03", b"mmi.refused", b"429", b"mmi.hello", b"the quota `hellos` is used up"]
    for at in (1, 2):
        stage.core.received(at, refusal, 0.1)
    assert stage.sends() == [1, 1, 1] and stage.ends == []
    stage.core.tick(stage.core.next_at())
    stage.answer(0, b"echo", b"y", now=0.3)
    assert stage.ends == [[b"y"]]


def test_the_next_round_begins_behind_the_last_that_was_asked() -> None:
    stage = Stage()
    stage.ask()
    for at in range(3):
        stage.core.received(at, [b"?", b"", b"MDPC02", b"\x03", b"mmi.broker", b"200", b"{}"], 0.9)
    stage.core.tick(1.0)
    assert stage.sends() == [1, 1, 0]
    for at in range(3):
        stage.core.received(at, [b"?", b"", b"MDPC02", b"\x03", b"mmi.broker", b"200", b"{}"], 1.9)
    stage.core.tick(2.0)
    (error,) = stage.ends
    assert isinstance(error, RequestTimeoutError) and error.details["sends"] == 2


def test_who_is_alive_and_has_a_request_is_not_sent_it_again() -> None:
    stage = Stage()
    stage.ask(time=20.0)
    for now in range(8):
        for at in range(3):
            stage.knows(b"{}", at, now)
        stage.core.tick(float(now))
    assert stage.sends() == [1, 1, 1] and stage.ends == []
    stage.core.down(1, "lost", 7.0)
    stage.core.tick(7.2)
    stage.core.up(1, 7.5)
    assert stage.sends() == [1, 1, 1]
    stage.core.tick(8.0)
    assert stage.sends() == [1, 2, 1]  # that one has lost it


def test_what_has_used_up_its_time_or_is_not_used_any_more_is_taken_back() -> None:
    stage = Stage()
    stage.ask()
    for now in (0.9, 1.9):
        for at in range(3):
            stage.knows(b'{"extensions":["cancel"]}', at, now)
        stage.core.tick(now + 0.1)
    assert len(stage.ends) == 1
    assert stage.cancels() == [link.requests for link in stage.links]
    stage = Stage(hedge=0.1)
    stage.ask()
    stage.core.tick(0.1)
    for at in range(3):
        stage.knows(b'{"extensions":["cancel"]}', at, 0.2)
    (first,), (second,), _ = [link.requests for link in stage.links]
    stage.core.received(0, [first, b"", b"MDPC02", b"\x02", b"echo", b"part"], 0.3)
    assert stage.cancels() == [[], [second], []]
    stage.core.down(0, "lost", 0.4)
    assert stage.sends() == [1, 1, 1] and stage.cancels() == [[], [second], []]


def test_a_broker_that_has_begun_to_answer_is_waited_for_until_it_is_lost() -> None:
    stage = Stage()
    stage.ask(time=9.0)
    (first,) = stage.links[0].requests
    stage.core.received(0, [first, b"", b"MDPC02", b"\x02", b"echo", b"part"], 0.5)
    for at in range(3):
        stage.knows(b"{}", at, 1.4)
    stage.core.tick(1.5)
    assert stage.sends() == [1, 0, 0]
    stage.core.down(0, "lost", 1.6)
    assert stage.sends() == [1, 1, 0]


def test_a_silent_broker_is_asked_whether_it_lives_and_then_left() -> None:
    stage = Stage()
    stage.core.tick(1.0)
    assert [link.probes for link in stage.links] == [2, 2, 2]
    stage.core.received(1, [b"?", b"", b"MDPC02", b"\x03", b"mmi.broker", b"200", b"{}"], 1.5)
    stage.core.tick(2.0)
    stage.ask(now=2.1)
    assert stage.sends() == [0, 1, 0]


def test_nobody_is_there() -> None:
    stage = Stage()
    for at in range(3):
        stage.core.down(at, "connection refused", 0.0)
    stage.ask(time=1.0)
    stage.core.tick(1.0)
    (error,) = stage.ends
    assert isinstance(error, UnreachableError) and "connection refused" in error.message


def test_two_brokers_of_which_one_is_killed(start_broker: StartBroker) -> None:
    brokers = [start_broker() for _ in range(2)]
    endpoints = [broker.endpoint for broker in brokers]
    with Worker(brokers[0].endpoint, "echo", lambda request: "0").ready():
        with Worker(brokers[1].endpoint, "echo", lambda request: "1").ready():
            with Client(endpoints, strategy="freelance") as client:
                assert client.request("echo", "x").text() in ("0", "1")
                brokers[0].kill()
                assert client.request("echo", "x", timeout_ms=5000).text() == "1"
                with pytest.raises(UsageError):
                    client.enqueue("echo", "x")
                with pytest.raises(UsageError):
                    client.job("0" * 32).state()
    with pytest.raises(OptionError):
        Client(endpoints, hedge_ms=5)
