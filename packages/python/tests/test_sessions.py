"""A client goes on over another connection where the last one ended: the core alone, and against the program."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from typing import Iterator, Optional, Sequence

import pytest

from majordomo_client import Client, LimitError, OutcomeUnknownError, RefusedError, RequestTimeoutError, Request, StreamBrokenError, Worker, wire
from majordomo_client.call import Call, Patience
from majordomo_client.exchange import PROBE

from .conftest import PATIENCE, Broker
from .test_core import HELLO_REFUSED, Stage


class Sessions(Stage):
    """A client of brokers with sessions, which name their requests after their bodies."""

    def __init__(self, *endpoints: str) -> None:
        super().__init__(*(endpoints or ("a",)))
        self.now = 0.0
        self.calls: dict[str, Call] = {}
        self.errors: dict[str, object] = {}
        self.seen = 0

    def want(self, name: str, time: float = 10.0, streams: bool = False, service: bytes = b"echo",
             once: bool = False, group: bytes = b"") -> "Sessions":
        def done(body: Optional[Sequence[bytes]], error: object) -> None:
            self.errors[name] = error if body is None else list(body)

        parts = (lambda _, __: None) if streams else None
        patience = Patience(self.now + time)
        call = self.calls[name] = Call(service, [name.encode()], None, patience, done, parts, once, group)
        self.core.start(call, self.now)
        return self

    def connect(self) -> "Sessions":
        self.core.up(self.lines[-1], self.now)
        return self

    def meets(self, instance: str, known: bool, resume: int = 10_000) -> "Sessions":
        """The broker answers the hello, and what it knows."""
        self.hello(json.dumps({"resumeMs": resume, "known": known}).encode())
        facts = json.dumps({"extensions": ["resume", "cancel", "headers", "options"], "instance": instance}).encode()
        self.answer(PROBE, b"mmi.broker", b"200", facts, now=self.now)
        self.core.flush()
        return self

    def hello(self, *said: bytes) -> None:
        self.plain(b"mmi.hello", b"200", *said)

    def plain(self, *answer: bytes) -> None:
        self.core.received(self.lines[-1], [b"", b"MDPC02", b"\x03", *answer], self.now)

    def resumed(self, *states: str) -> "Sessions":
        self.plain(b"mmi.resume", b"200", *(each.encode() for each in states))
        return self

    def replies(self, name: str, correlation: "Optional[bytes]" = None, kind: bytes = b"\x03", line: int = -1) -> None:
        self.answer(correlation or self.calls[name].awaited, b"echo", b"y", now=self.now, kind=kind, line=line)

    def refuse(self, name: str, status: bytes, why: bytes = b"no") -> "Sessions":
        self.answer(self.calls[name].awaited, b"mmi.refused", status, b"echo", why, now=self.now)
        return self

    def hear(self) -> "Sessions":
        self.plain(b"mmi.cancel", b"200")
        return self

    def go(self, seconds: float) -> "Sessions":
        """Time passes, as the core wants its ticks."""
        until = self.now + seconds
        while self.core.next_at() <= until:
            self.now = max(self.now, self.core.next_at())
            self.core.tick(self.now)
            self.core.flush()
        self.now = until
        return self

    def cut(self, line: int = -1) -> "Sessions":
        self.core.down(self.lines[line], "lost", self.now)
        self.core.flush()
        return self

    def again(self) -> "Sessions":
        """The connection is cut, and there is another one."""
        count = len(self.lines)
        self.cut()
        while len(self.lines) == count and self.core._waiting:
            self.go(0.1)
        return self.connect() if len(self.lines) > count else self

    def news(self) -> "list[str]":
        """What was sent since the last call, but for hellos and probes: requests, and questions about sends."""
        new, self.seen = self.sent[self.seen :], len(self.sent)
        said = []
        for frames in new:
            if b"mmi.resume" in frames or b"mmi.cancel" in frames:
                words = [frames[3].decode()[4:], *map(self._name, frames[4:])]
                said.append(" ".join(words))
            elif b"mmi.hello" not in frames and frames[0] != PROBE:
                said.append(frames[-1].decode())
        return said

    def _name(self, correlation: bytes) -> str:
        for name, call in self.calls.items():
            if correlation[:-1] in (call.id, *call.earlier_ids):
                return f"{name}/{correlation[-1]}"
        return "?"


def at_broker(*names: str, endpoints: Sequence[str] = ("a",), time: float = 10.0) -> Sessions:
    """A client that is connected to a broker with sessions, with these requests out there."""
    stage = Sessions(*endpoints)
    stage.want("first", service=b"mmi.first")
    stage.connect().meets("one", False)
    stage.answer(stage.calls["first"].awaited, b"mmi.first", b"200", now=0.0)
    stage.news()
    for name in names:
        stage.want(name, time)
    assert stage.news() == [*names]
    return stage


def test_a_broker_with_sessions_is_sent_a_request_once_and_hears_when_its_time_is_over() -> None:
    stage = at_broker("a")
    for _ in range(9):
        stage.go(1.0).hear()
    assert stage.news() == [] and stage.opened == ["a"]
    stage.go(1.0)
    error = stage.errors["a"]
    assert isinstance(error, RequestTimeoutError) and error.details == {"service": "echo", "sends": 1}
    assert stage.news() == ["cancel a/1"]


def test_a_broker_is_taken_for_dead_if_it_is_silent_when_it_is_asked() -> None:
    stage = at_broker("a").go(1.24)
    sent = len(stage.sent)
    stage.go(0.02)
    assert [frames[0] for frames in stage.sent[sent:]] == [PROBE] and stage.opened == ["a"]
    stage.go(1.25)
    assert stage.opened == ["a", "closed", "a"]


def test_in_a_pair_both_pauses_are_half_of_its_heartbeats_if_that_is_more() -> None:
    stage = at_broker("a")
    stage.answer(PROBE, b"mmi.broker", b"200", b'{"pairHeartbeatMs":2000,"instance":"one"}', now=0.0)
    assert stage.go(4.9).opened == ["a"]
    assert stage.go(0.2).opened == ["a", "closed", "a"]


def test_a_broker_without_sessions_is_asked_before_it_is_taken_for_dead_although_the_program_was_busy() -> None:
    stage = Sessions().want("a").connect().meets("one", False, resume=0)
    stage.now = 2.5
    stage.core.tick(stage.now)
    assert stage.sent[-1][0] == PROBE and stage.opened == ["a"]
    stage.go(2.5)
    assert stage.opened == ["a", "closed", "a"]


def test_in_a_pair_other_brokers_are_sent_it_again_after_as_much_at_least() -> None:
    stage = Sessions().want("a", time=20.0).connect()
    stage.hello()
    stage.answer(PROBE, b"mmi.broker", b"200", b'{"pairHeartbeatMs":2000,"instance":"one"}', now=0.0)
    for _ in range(9):
        stage.go(0.5).hear()
    assert stage.news() == ["a"]
    assert stage.go(0.6).news() == ["a"]


def test_a_limit_counts_calls_and_not_their_sends() -> None:
    stage = at_broker("a").refuse("a", b"429").go(0.2)
    for number in range(9):
        stage.want(str(number))
    assert len(stage.errors) == 1 and isinstance(stage.want("more").errors["more"], LimitError)


def test_it_is_known_as_one_when_requests_are_out_already() -> None:
    stage = Sessions().want("a").connect().go(0.4).meets("one", False)
    for _ in range(8):
        stage.hear().go(1.0)
    assert stage.news() == ["a"]


def test_services_of_the_broker_itself_are_asked_again() -> None:
    stage = at_broker().want("q", service=b"mmi.service")
    for _ in range(3):
        stage.go(0.5).hear()
    assert stage.news() == ["q", "q"]
    stage.again()
    assert stage.news() == ["q"]


@pytest.mark.parametrize("poll", [3.0, float("inf")])
def test_a_question_that_its_broker_holds_is_asked_again_later_and_one_that_must_not_is_not(poll: float) -> None:
    stage = at_broker()
    ends: "list[object]" = []
    patience = Patience(20.0, poll=poll)
    stage.core.start(Call(b"titanic.wait", [b"q"], None, patience, lambda body, error: ends.append(error or body)), 0.0)
    for _ in range(7):
        stage.hear().go(0.5)
    assert stage.news() == ["q"]
    stage.hear().go(1.0)
    assert stage.news() == (["q"] if poll == 3.0 else [])
    assert stage.again().news() == (["q"] if poll == 3.0 else [])
    assert [type(each) for each in ends] == ([] if poll == 3.0 else [RequestTimeoutError])


class Storing(Sessions):
    """A client that has asked to have a request stored, and its receipt if the broker has it."""

    def __init__(self) -> None:
        super().__init__()
        self.want("first", service=b"mmi.first").connect().meets("one", False)
        self.answer(self.calls["first"].awaited, b"mmi.first", b"200", now=0.0)
        self.news()
        self.receipts: "list[Sequence[bytes]]" = []
        self.ended: "list[object]" = []
        patience = Patience(20.0, after=Patience(float("inf"), poll=60.0))
        self.call = self.calls["q"] = Call(b"titanic.call", [b"q"], None, patience, self._ended, on_receipt=self.receipts.append)
        self.core.start(self.call, 0.0)

    def _ended(self, body: Optional[Sequence[bytes]], error: object) -> None:
        self.ended.append(error or body)

    def lives(self, seconds: float) -> "list[str]":
        """The broker is heard of, and says nothing of the request."""
        for _ in range(round(2 * seconds)):
            self.hear().go(0.5)
        return self.news()

    def stores(self) -> "Storing":
        self.answer(self.call.awaited, b"titanic.call", b"200", b"uuid", now=self.now, kind=b"\x02")
        assert self.receipts == [[b"200", b"uuid"]]
        return self


def test_a_request_that_is_to_be_stored_is_sent_again_soon_until_its_receipt() -> None:
    stage = Storing()
    assert stage.lives(1.5) == ["q", "q"]
    assert stage.stores().lives(55.0) == ["cancel q/1"]
    stage.answer(stage.call.awaited, b"titanic.call", b"200", b"y", now=stage.now)
    assert stage.ended == [[b"200", b"y"]]


def test_a_request_that_is_stored_is_not_sent_again_but_ends_with_its_connection_or_if_its_reply_does_not_come() -> None:
    late = Storing().stores()
    assert late.lives(60.0) == ["q"] and late.ended == []
    assert late.lives(2.0) == ["cancel q/1"] and isinstance(late.ended[0], StreamBrokenError)
    lost = Storing().stores()
    lost.again()
    assert lost.news() == ["q"] and isinstance(lost.ended[0], StreamBrokenError)
    left = Storing().stores()
    left.answer(left.call.awaited, b"mmi.refused", b"503", b"titanic.call", b"not active", now=0.0)
    assert left.news() == ["q"] and isinstance(left.ended[0], RefusedError)


def test_after_a_cut_the_client_asks_first_goes_on_with_what_is_open_and_sends_what_never_arrived() -> None:
    stage = at_broker("a", "b", "c").again().want("new")
    assert stage.news() == [] and stage.opened == ["a", "closed", "a"]
    stage.meets("one", True)
    assert stage.news() == ["resume a/1 b/1 c/1"]
    before = [stage.calls[name].id for name in "abc"]
    stage.resumed("open", "unknown", "unknown")
    assert stage.news() == ["b", "c", "new"]
    ids = [stage.calls[name].id for name in ("a", "b", "c", "new")]
    assert ids[0] == before[0] and sorted(ids) == ids and ids[1] > before[-1]  # they only grow
    stage.replies("a")
    assert stage.errors["a"] == [b"y"] and stage.calls["b"].sends == 1
    assert stage.core.counters["resumed"] == 1 and stage.core.counters["resends"] == 0
    assert stage.again().meets("one", True).news() == ["resume b/2 c/2 new/1"]


def test_answers_may_come_before_what_the_broker_says_of_them() -> None:
    stage = at_broker("a", "b").again().meets("one", True)
    stage.replies("a")
    stage.resumed("answered", "open")
    assert stage.news() == ["resume a/1 b/1"]
    assert stage.errors == {"first": [b"200"], "a": [b"y"]} and stage.core.counters["resumed"] == 2


def test_a_line_is_left_if_another_broker_answers_on_it_behind_a_proxy() -> None:
    stage = at_broker("a").want("b", once=True)
    stage.news()
    stage.meets("two", False).go(0.1).connect().meets("two", False)
    assert stage.news() == ["a"] and isinstance(stage.errors["b"], OutcomeUnknownError)


def test_a_line_that_was_left_is_closed_if_another_broker_answers_on_it() -> None:
    stage = at_broker("a", "b", endpoints=("a", "b")).refuse("b", b"503").connect()
    stage.meets("two", False)
    assert stage.news() == ["b"]
    facts = json.dumps({"extensions": ["resume"], "instance": "three"}).encode()
    stage.answer(PROBE, b"mmi.broker", b"200", facts, now=stage.now, line=0)
    assert stage.news() == ["a"]


def test_a_refusal_that_was_kept_says_why_and_not_that_the_outcome_is_unknown() -> None:
    stage = at_broker("a", "b").again().meets("one", True)
    stage.refuse("a", b"403").refuse("b", b"429").resumed("answered", "answered")
    assert stage.news() == ["resume a/1 b/1"] and list(stage.errors) == ["first", "a"]
    stage.go(0.2)
    assert stage.news() == ["b"]


def test_what_has_ended_and_is_not_kept_has_an_outcome_that_nobody_knows() -> None:
    stage = at_broker("a").again().meets("one", True).resumed("gone")
    error = stage.errors["a"]
    assert isinstance(error, OutcomeUnknownError) and error.code == "ERR_MDP_OUTCOME_UNKNOWN"
    text = "the outcome of the request to 'echo' is unknown: the broker has neither the request nor its answer"
    assert error.message == text and error.details == {"service": "echo", "sends": 1}


def test_an_answer_that_is_kept_is_asked_for_again_after_one_has_come_or_a_pause() -> None:
    stage = at_broker("a", "b").again().meets("one", True).resumed("kept", "open")
    assert stage.news() == ["resume a/1 b/1"]
    stage.replies("b")
    stage.go(0.0)
    assert stage.news() == ["resume a/1"]
    stage.resumed("kept").go(0.04)
    assert stage.news() == []
    other = at_broker("a", "b").again().meets("one", True).resumed("kept", "kept")
    other.core.abandon(other.calls["a"])
    assert other.go(0.06).news() == ["resume a/1 b/1", "resume b/1"]  # nobody wants the other any more
    stage.go(0.02)
    assert stage.news() == ["resume a/1"]
    stage.resumed("open").replies("a")
    assert stage.errors["a"] == [b"y"]


def test_it_asks_for_a_hundred_at_once() -> None:
    stage = Sessions()
    stage.core._settings.max_outstanding = 200
    names = [f"r{number}" for number in range(101)]
    for name in names:
        stage.want(name)
    stage.connect().meets("one", False).again().meets("one", True)
    assert len(stage.news()[-1].split(" ")) == 101
    stage.resumed(*["open"] * 100)
    assert stage.news() == ["resume r100/1"]
    # What the last broker was not asked for yet is not asked of another one.
    stage.again().meets("two", False)
    assert stage.news() == names


def test_a_broker_that_has_died_has_none_of_them() -> None:
    stage = at_broker("a").again().meets("two", False)
    assert stage.news() == ["a"] and stage.core.counters["resends"] == 1


def test_a_broker_that_has_dropped_the_session_may_have_run_them() -> None:
    stage = at_broker("a", time=60.0).cut().go(10.0).connect().meets("one", False)
    assert isinstance(stage.errors["a"], OutcomeUnknownError) and stage.news() == []


def test_it_may_have_seen_the_connection_end_before_its_client_did() -> None:
    # The link is dead from the beginning: the client finds that out after 2.5 s, the broker at once.
    stage = at_broker("a", time=60.0).go(2.5).go(7.5).connect().meets("one", False)
    assert isinstance(stage.errors["a"], OutcomeUnknownError)
    # The client was held up, and sees the end of the connection when the session has ended, too.
    stage = at_broker("a", time=60.0)
    stage.now += 9.99
    assert isinstance(stage.again().meets("one", False).errors["a"], OutcomeUnknownError)
    stage = at_broker("a", time=60.0).again().meets("one", False)
    assert stage.news() == ["a"]  # so soon it has not dropped it: it is another one under that name


def test_one_that_had_not_said_yet_which_it_is_may_have_dropped_the_session() -> None:
    stage = Sessions().want("a", time=60.0).connect().again().meets("one", False)
    assert stage.news() == ["a", "a"]
    stage = Sessions().want("a", time=60.0).connect().cut().go(10.0).connect().meets("one", False)
    assert stage.news() == ["a"] and isinstance(stage.errors["a"], OutcomeUnknownError)


def test_a_broker_without_sessions_is_sent_them_again_unless_it_had_them() -> None:
    stage = at_broker("a").again()
    stage.hello()
    stage.answer(PROBE, b"mmi.broker", b"200", b"{}", now=stage.now)
    assert stage.news() == ["a"]
    stage = at_broker("a").again()
    stage.hello(b'{"resumeMs":0,"reason":"the quota `sessions` is used up"}')
    stage.answer(PROBE, b"mmi.broker", b"200", b'{"instance":"one"}', now=stage.now)
    assert stage.news() == [] and isinstance(stage.errors["a"], OutcomeUnknownError)


def test_a_broker_that_answers_no_questions_is_waited_for_a_little_and_has_no_sessions() -> None:
    stage = Sessions().want("a").connect().again().go(1.24)
    assert stage.news() == ["a"]
    assert stage.go(0.02).news() == ["a"]
    stage.go(0.01).replies("a", b"late" * 2 + b"\0")
    assert stage.go(1.0).news() == ["a"]  # as every resend_ms
    for _ in range(2):
        assert stage.again().news() == ["a"]  # it is known by now
    stage.meets("one", False).replies("a")  # another one has taken its place
    assert stage.cut().want("b").again().news() == ["b"]
    assert stage.again().news() == []


def test_a_broker_that_falls_silent_while_it_is_asked_is_left() -> None:
    for stage in (at_broker("a").again(), at_broker("a").again().meets("one", True)):
        stage.go(2.6)
        assert stage.opened == ["a", "closed", "a", "closed", "a"] and "a" not in stage.news()


def test_what_was_lost_before_the_hello_was_answered_is_asked_for_where_the_session_is_known() -> None:
    def lost() -> Sessions:
        stage = Sessions().want("a").connect()
        assert stage.news() == ["a"]
        return stage.again()

    assert lost().meets("one", True).news() == ["resume a/1"]
    assert lost().meets("one", False).news() == ["a"]
    assert lost().go(1.3).news() == ["a"]
    stage = lost()
    stage.hello()
    stage.answer(PROBE, b"mmi.broker", b"501", now=stage.now)
    assert stage.news() == ["a"]


def test_what_was_given_up_meanwhile_is_taken_back() -> None:
    stage = at_broker("a", "b").cut()
    stage.core.abandon(stage.calls["a"])
    stage.go(0.2).connect().meets("one", True)
    assert sorted(stage.news()) == ["cancel a/1", "resume b/1"]


def test_what_was_resumed_is_taken_back_over_the_connection_that_it_has_now() -> None:
    stage = at_broker("a").again().meets("one", True).resumed("open")
    stage.core.abandon(stage.calls["a"])
    stage.core.flush()
    assert stage.news() == ["resume a/1", "cancel a/1"]


def test_parts_that_have_come_make_half_a_stream_which_ends() -> None:
    stage = at_broker().want("s", streams=True)
    stage.replies("s", kind=b"\x02")
    stage.cut()
    assert isinstance(stage.errors["s"], StreamBrokenError)


def test_a_request_whose_parts_are_joined_is_sent_once_too_however_long_the_next_takes() -> None:
    stage = at_broker("a")
    stage.replies("a", kind=b"\x02")
    for _ in range(5):
        stage.go(1.0).hear()
    stage.replies("a")
    assert stage.news() == [] and stage.errors["a"] == [b"y", b"y"]


def test_a_request_that_the_second_broker_refuses_is_asked_for_at_the_first() -> None:
    stage = at_broker("a", endpoints=("a", "b")).go(2.5).connect().meets("two", False)
    assert stage.news() == ["a"]
    first = stage.calls["a"].earlier_ids[0] + b"\1"
    stage.refuse("a", b"503").go(0.2).connect().meets("one", True)
    assert stage.news() == ["resume a/1"]
    stage.resumed("open").replies("a", first)
    assert stage.errors["a"] == [b"y"]


def test_what_is_lost_while_it_asks_is_asked_for_too() -> None:
    stage = at_broker("a", "b", endpoints=("a", "b"))
    # The other end point leads to the same broker.
    stage.refuse("b", b"503").go(0.2).connect().meets("one", True)
    assert stage.news() == ["b"]
    stage.cut().go(0.2).connect().meets("one", True)
    assert stage.news() == ["resume b/2"]
    stage.cut(0).resumed("open")
    assert stage.news() == ["resume a/1"]
    stage.resumed("open")
    assert stage.core.counters["resumed"] == 2


def test_a_broker_that_was_left_because_it_refused_has_to_be_heard_of_while_it_holds_requests() -> None:
    stage = at_broker("a", "b", endpoints=("a", "b")).refuse("b", b"503").connect().meets("two", False)
    assert stage.news() == ["b"]
    stage.replies("b")
    stage.go(2.6)
    assert stage.opened == ["a", "b", "closed"] and stage.news() == ["a"]


def test_the_ids_of_a_session_only_grow() -> None:
    stage = at_broker("a", "b").refuse("a", b"429").go(0.2)
    assert stage.news() == ["a"] and stage.calls["a"].id > stage.calls["b"].id
    earlier = stage.calls["a"].earlier_ids
    for _ in range(300):
        stage.refuse("a", b"429").now += 0.01
        stage.core._dispatch(stage.calls["a"], stage.now)
    assert len(earlier) == 256 and len(stage.core._calls) == 258  # bounded


def test_it_asks_again_over_another_connection_if_its_question_is_refused() -> None:
    for answer in ((b"mmi.refused", b"429", b"mmi.resume", b"no"), (b"mmi.resume", b"404")):
        stage = at_broker("a").again().meets("one", True)
        stage.plain(*answer)
        stage.go(0.3).connect().meets("one", True)
        assert stage.news() == ["resume a/1", "resume a/1"]


def test_it_takes_no_answer_for_one_to_a_question_that_it_has_not_asked() -> None:
    stage = at_broker("a").again().resumed("open")
    assert stage.news() == []
    assert stage.meets("one", True).news() == ["resume a/1"]


def test_a_broker_that_refuses_the_hello_may_have_the_session_and_is_asked_later() -> None:
    stage = at_broker("a").again()
    stage.plain(*HELLO_REFUSED[3:])
    assert stage.news() == [] and stage.opened[-1] == "closed"
    stage.go(0.3).connect().meets("one", True)
    assert stage.news() == ["resume a/1"]


def test_the_same_session_is_said_on_each_connection_of_a_client_and_of_no_other() -> None:
    def sessions(stage: Stage) -> "list[str]":
        return [json.loads(frames[-1]).get("session", "") for frames in stage.sent if b"mmi.hello" in frames]

    (first, again), (other, *_) = sessions(at_broker("a").again()), sessions(at_broker())
    assert first == again != other and re.fullmatch("[A-Za-z0-9_-]{22}", first)
    plain = Stage("a")
    plain.core = type(plain.core)(type(plain.core._settings)(["a"], 1, 10, 100, 2000, False, 1000), plain.dial)
    plain.ask()
    plain.core.up(plain.lines[-1], 0.0)
    assert sessions(plain) == [""]


@pytest.mark.parametrize("body", [
    [], [b"200"], [b"200", b"["], [b"200", b"[]"], [b"200", b"{}"], [b"200", b'{"resumeMs":"1"}'],
    [b"200", b'{"resumeMs":-1,"known":true}'], [b"200", b'{"resumeMs":' + b"9" * 400 + b"}"],
])
def test_what_a_broker_says_of_a_session_may_be_anything(body: "list[bytes]") -> None:
    assert wire.parse_session(body) == wire.NO_SESSION


# ---------------------------------------------------------------- against the program


class Relay:
    """Passes bytes between its clients and a broker; ``cut`` ends all connections, and new ones are passed again."""

    def __init__(self, endpoint: str) -> None:
        host, port = endpoint[len("tcp://") :].split(":")
        self._target = (host, int(port))
        self._server = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{self._server.getsockname()[1]}"
        self._open: "list[socket.socket]" = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            far = socket.create_connection(self._target)
            self._open += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while True:
                given = source.recv(65_536)
                if not given:
                    break
                sink.sendall(given)
        except OSError:
            pass
        for each in (source, sink):
            each.close()

    def cut(self) -> None:
        cut, self._open = self._open, []
        for each in cut:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has ended already

    def close(self) -> None:
        self._server.close()
        self.cut()


@pytest.fixture
def relay(broker: Broker) -> Iterator[Relay]:
    made = Relay(broker.endpoint)
    yield made
    made.close()


def test_a_handler_that_takes_six_seconds_runs_once(broker: Broker) -> None:
    runs: "list[str]" = []

    def slow(request: Request) -> str:
        runs.append(request.text())
        time.sleep(6)
        return "done"

    workers = [Worker(broker.endpoint, "six", slow).ready() for _ in range(3)]
    try:
        with Client(broker.endpoint) as client:
            assert client.request("six", "job").text() == "done"
            assert (client.counters["resends"], runs) == (0, ["job"])
    finally:
        for worker in workers:
            worker.close()


@pytest.mark.parametrize("answered_while_away", [False, True])
def test_a_link_that_is_cut_is_resumed_and_the_request_runs_once(relay: Relay, broker: Broker, answered_while_away: bool) -> None:
    runs: "list[str]" = []
    begun, free = threading.Event(), threading.Event()

    def held(request: Request) -> str:
        runs.append(request.text())
        begun.set()
        assert free.wait(PATIENCE)
        return "done"

    def ask(client: Client, answers: "list[str]") -> threading.Thread:
        thread = threading.Thread(target=lambda: answers.append(client.request("cut", "job", timeout_ms=60_000).text()))
        thread.start()
        return thread

    with Worker(broker.endpoint, "cut", held).ready(), Worker(broker.endpoint, "cut", held).ready():
        with Client(relay.endpoint) as client:
            answers: "list[str]" = []
            asks = ask(client, answers)
            assert begun.wait(PATIENCE)
            if answered_while_away:
                free.set()
            relay.cut()
            if not answered_while_away:
                while client.counters["resumed"] == 0:
                    time.sleep(0.01)
                free.set()
            asks.join(PATIENCE)
            assert (answers, runs, client.counters["resends"]) == (["done"], ["job"], 0)
