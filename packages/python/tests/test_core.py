"""The protocol without a broker: frames, and what the client's core does when."""

from __future__ import annotations

from typing import Optional, Sequence

import pytest

from majordomo_client import (
    BodyError,
    EndpointError,
    KeyRefusedError,
    MajordomoError,
    OptionError,
    RefusedError,
    RequestTimeoutError,
    UnreachableError,
    UnsupportedError,
    wire,
)
from majordomo_client.call import Call, Patience, Settings
from majordomo_client.client_core import ClientCore, Line
from majordomo_client.exchange import PROBE
from majordomo_client.options import backoff_ms, body_of, endpoints_of, headers_of


class Stage:
    """A core whose links write down what they are told."""

    def __init__(self, *endpoints: str) -> None:
        self.opened: list[str] = []
        self.sent: list[Sequence[bytes]] = []
        self.ends: list[object] = []
        self.lines: list[Line] = []
        settings = Settings(endpoints or ("a", "b"), 2, 10, 100, 2000, False, 1000, resend=1.0)
        self.core = ClientCore(settings, self.dial)

    def dial(self, line: Line) -> "Stage":
        self.lines.append(line)
        return self

    def open(self, endpoint: str) -> None:
        self.opened.append(endpoint)

    def close(self, linger_ms: int = 0) -> None:
        self.opened.append("closed")

    def send(self, frames: Sequence[bytes]) -> None:
        self.sent.append(frames)

    def up(self, now: float, hello: "Optional[Sequence[bytes]]" = (b"mmi.hello", b"200")) -> None:
        """Connects to a broker that answers the hello so: one without sessions."""
        self.core.up(self.lines[-1], now)
        if hello is not None:
            self.core.received(self.lines[-1], [b"", b"MDPC02", b"\x03", *hello], now)

    def down(self, reason: str, now: float) -> None:
        self.core.down(self.lines[-1], reason, now)

    def ask(self, now: float = 0.0, time: float = 4.0, headers: Optional[bytes] = None) -> Call:
        call = Call(b"echo", [b"x"], headers, Patience(now + time), self._done)
        self.core.start(call, now)
        return call

    def requests(self) -> "list[bytes]":
        """The correlation of each request that was sent to the service."""
        return [frames[0] for frames in self.sent if b"echo" in frames]

    def answer(self, correlation: bytes, service: bytes, *body: bytes, now: float, line: int = -1,
               kind: bytes = b"\x03") -> None:
        self.core.received(self.lines[line], [correlation, b"", b"MDPC02", kind, service, *body], now)

    def _done(self, body: Optional[Sequence[bytes]], error: Optional[MajordomoError]) -> None:
        self.ends.append(error if body is None else list(body))


def test_an_answer_that_comes_late_is_counted_and_one_in_time_is_used() -> None:
    stage = Stage()
    stage.ask()
    stage.up(0.0)
    (correlation,) = stage.requests()
    stage.answer(correlation, b"echo", b"y", now=0.1)
    stage.answer(correlation, b"echo", b"again", now=0.2)
    assert stage.ends == [[b"y"]] and stage.core.counters["late"] == 1


def test_a_silent_broker_is_left_for_the_next_and_a_slow_service_is_not() -> None:
    stage = Stage()
    stage.ask()
    stage.up(0.0)
    sent = len(stage.sent)
    stage.core.tick(0.5)
    assert len(stage.sent) == sent + 1  # it is asked whether it lives
    stage.answer(b"?", b"mmi.broker", b"200", b"{}", now=0.6)
    stage.core.tick(1.0)
    assert stage.opened == ["a"] and len(stage.requests()) == 2
    stage.core.tick(1.5)
    stage.core.tick(2.0)
    assert stage.opened == ["a", "closed", "b"]
    stage.up(2.1)
    assert len(stage.requests()) == 3


def test_a_node_that_does_not_say_whether_it_takes_headers_is_left_like_a_silent_one() -> None:
    stage = Stage()
    stage.ask(headers=b"")
    stage.up(0.0)
    stage.core.tick(stage.core.next_at())
    assert stage.opened == ["a", "closed", "b"] and stage.requests() == []
    stage.up(1.1)
    stage.answer(PROBE, b"mmi.broker", b"200", b'{"extensions":["headers"]}', now=1.2)
    (correlation,) = stage.requests()
    stage.answer(correlation, b"echo", b"y", now=1.3)
    assert stage.ends == [[b"y"]]


def test_a_broker_that_answers_others_only_is_asked_until_the_time_of_a_request_with_headers_is_over() -> None:
    stage = Stage("a")
    stage.ask(headers=b"", time=2.0)
    stage.ask(time=20.0)
    stage.up(0.0)
    stage.answer(stage.requests()[0], b"echo", b"y", now=0.5)
    while len(stage.ends) < 2:
        stage.core.tick(stage.core.next_at())
        stage.answer(b"", b"echo", b"", now=1.5)
    assert stage.opened == ["a"] and isinstance(stage.ends[1], UnsupportedError)


def test_a_silent_node_of_a_pair_is_left_though_its_requests_have_time() -> None:
    stage = Stage()
    stage.core._settings.resend = 30.0
    stage.ask(time=60.0)
    stage.up(0.0)
    stage.answer(PROBE, b"mmi.broker", b"200", b'{"pairHeartbeatMs":1000}', now=0.0)
    for now in (1.25, 3.0):
        assert stage.core.next_at() == now
        sent = len(stage.sent)
        stage.core.tick(now)
        assert stage.sent[sent:][0][0] == PROBE and stage.opened == ["a"]
        if now < 2:
            stage.answer(PROBE, b"mmi.broker", b"200", b'{"pairHeartbeatMs":1000}', now=1.75)
    stage.core.tick(4.25)
    assert stage.opened == ["a", "closed", "b"]
    stage.up(4.4)
    stage.answer(stage.requests()[1], b"echo", b"1", now=4.5)
    assert stage.ends == [[b"1"]]


def test_sends_are_counted_and_refused_ones_are_not() -> None:
    stage = Stage()
    stage.ask(time=1.0)
    stage.up(0.0)
    stage.answer(stage.requests()[0], b"mmi.refused", b"503", b"echo", b"not active", now=0.1)
    assert stage.opened == ["a", "closed", "b"]
    stage.up(0.2)
    assert len(stage.requests()) == 2
    stage.core.tick(1.0)
    (error,) = stage.ends
    assert isinstance(error, RequestTimeoutError) and error.details["sends"] == 1


def refuse(stage: Stage, correlation: bytes, now: float, line: int = -1) -> None:
    stage.answer(correlation, b"mmi.refused", b"503", b"echo", b"not active", now=now, line=line)


def test_a_node_that_refuses_keeps_its_connection_while_it_holds_requests() -> None:
    stage = Stage()
    stage.ask()
    stage.ask()
    stage.up(0.0)
    first, second = stage.requests()
    refuse(stage, second, 0.1)
    assert stage.opened == ["a", "b"]  # the first may be in a queue there: it is not sent again
    stage.up(0.2)
    assert len(stage.requests()) == 3
    stage.answer(first, b"echo", b"1", now=0.3, line=0)
    assert stage.opened == ["a", "b", "closed"] and stage.ends == [[b"1"]]
    stage.answer(stage.requests()[2], b"echo", b"2", now=0.4)
    assert stage.ends == [[b"1"], [b"2"]]


def test_a_node_that_refused_is_lost_or_silent() -> None:
    for is_lost in (True, False):
        stage = Stage()
        stage.ask()
        stage.ask()
        stage.up(0.0)
        refuse(stage, stage.requests()[1], 0.1)
        stage.up(0.2)
        if is_lost:
            stage.core.down(stage.lines[0], "lost", 0.3)
        else:
            stage.answer(stage.requests()[2], b"echo", b"y", now=0.9)
            stage.core.tick(0.5)
            stage.core.tick(1.0)
        assert stage.opened == ["a", "b", "closed"] and len(stage.requests()) == 4


def test_a_refusal_of_an_earlier_send_says_nothing_of_the_last() -> None:
    stage = Stage("a")
    stage.ask()
    stage.up(0.0)
    stage.core.tick(0.5)
    stage.answer(b"?", b"mmi.broker", b"200", b"{}", now=0.6)
    stage.core.tick(1.0)
    early, late = stage.requests()
    refuse(stage, early, 1.1)
    stage.answer(late, b"echo", b"y", now=1.2)
    assert stage.ends == [[b"y"]]


def test_nodes_that_all_refuse_are_not_hurried_and_the_error_says_why() -> None:
    stage = Stage()
    stage.ask(time=1.0)
    stage.up(0.0)
    stage.answer(b"?", b"mmi.broker", b"200", b'{"pairHeartbeatMs":100}', now=0.0)
    refuse(stage, stage.requests()[-1], 0.01)
    stage.up(0.02)
    now = 0.03
    while not stage.ends:
        refuse(stage, stage.requests()[-1], now)
        now = max(now, stage.core.next_at())
        stage.core.tick(now)
        if not stage.lines[-1].is_up:
            stage.up(now)
    (error,) = stage.ends
    assert isinstance(error, RefusedError) and error.details["status"] == 503
    # Each is left for the other once in two heartbeats at most.
    assert len(stage.opened) < 2 * 1000 / 200 + 3 and len(stage.requests()) < 50


def test_parts_of_two_sends_are_not_mixed() -> None:
    stage = Stage("a")
    stage.ask()
    stage.up(0.0)
    stage.answer(stage.requests()[0], b"echo", b"1", now=0.5, kind=b"\x02")
    stage.down("lost", 0.6)
    stage.core.tick(1.0)
    stage.up(1.0)
    early, late = stage.requests()
    stage.answer(early, b"echo", b"2", now=1.1)
    assert stage.ends == [] and stage.core.counters["late"] == 1
    stage.answer(late, b"echo", b"1", now=1.2, kind=b"\x02")
    stage.answer(late, b"echo", b"2", now=1.2)
    assert stage.ends == [[b"1", b"2"]]


def test_end_points_that_all_refuse_the_key_and_one_that_only_does_not_listen() -> None:
    stage = Stage()
    stage.ask()
    for now in (0.0, 0.5):
        assert stage.ends == []
        stage.down("the key was refused", now)
        stage.core.tick(now + 0.3)
    (error,) = stage.ends
    assert isinstance(error, KeyRefusedError) and error.message.endswith("the request to 'echo' was not sent")
    stage = Stage()
    stage.ask()
    for reason in ("the key was refused", "connection refused") * 2:
        stage.down(reason, 0.0)
        stage.core.tick(0.5)
    assert stage.ends == []
    stage.down("the key was refused", 3.9)
    stage.core.tick(4.0)
    assert [type(each) for each in stage.ends] == [KeyRefusedError]


def test_a_broker_that_drops_each_connection_is_not_hurried() -> None:
    stage = Stage("a")
    stage.ask()
    stage.up(0.0)
    stage.down("the connection was lost", 0.0)
    stage.core.tick(0.04)
    assert stage.opened == ["a", "closed"]
    stage.core.tick(0.1)
    assert stage.opened == ["a", "closed", "a"]


def test_over_a_limit_it_waits_before_it_sends_again() -> None:
    stage = Stage("a")
    stage.ask()
    stage.up(0.0)
    stage.answer(stage.requests()[0], b"mmi.refused", b"429", b"echo", b"over a limit", now=0.1)
    stage.core.tick(0.12)
    assert len(stage.requests()) == 1
    stage.core.tick(0.3)
    assert len(stage.requests()) == 2 and stage.opened == ["a"]


HELLO_REFUSED = [b"", b"MDPC02", b"\x03", b"mmi.refused", b"429", b"mmi.hello", b"the quota `hellos` is used up"]
HELLO_TAKEN = [b"", b"MDPC02", b"\x03", b"mmi.hello", b"200"]


def test_a_client_whose_hello_is_refused_sends_no_request_until_the_next_is_accepted() -> None:
    stage = Stage("a")
    stage.ask()
    stage.up(0.0)
    stage.answer(stage.requests()[0], b"echo", b"1", now=0.1)
    stage.core.received(stage.lines[-1], HELLO_REFUSED, 0.1)
    hellos = sum(b"mmi.hello" in frames for frames in stage.sent)
    stage.ask(now=0.2)
    stage.ask(now=0.2)
    assert len(stage.requests()) == 1
    assert sum(b"mmi.hello" in frames for frames in stage.sent) == hellos + 1  # it asks once, not for each
    stage.core.received(stage.lines[-1], HELLO_TAKEN, 0.2)
    stage.core.tick(0.4)
    assert len(stage.requests()) == 3


def test_requests_of_a_client_whose_hello_is_refused_fail_for_the_same_reason() -> None:
    stage = Stage("a")
    stage.ask(time=1.0)
    stage.up(0.0)
    stage.core.received(stage.lines[-1], HELLO_REFUSED, 0.1)
    stage.ask(time=1.0, now=0.2)
    while len(stage.ends) < 2:
        stage.core.tick(stage.core.next_at())
    before, after = stage.ends
    assert isinstance(before, RequestTimeoutError) and "the broker refused mmi.hello" in str(before)
    assert str(before).endswith("429 the quota `hellos` is used up")
    assert isinstance(after, RefusedError) and "the quota `hellos` is used up" in str(after)
    assert len(stage.requests()) == 1


def test_what_was_sent_with_a_hello_that_is_refused_fails_at_once() -> None:
    stage = Stage("a")
    stage.ask()
    stage.ask()
    stage.up(0.0, HELLO_REFUSED[3:])
    assert len(stage.ends) == 2 and len(stage.requests()) == 2
    assert all(isinstance(end, RefusedError) and "the quota `hellos` is used up" in str(end) for end in stage.ends)


def test_a_time_out_names_the_refusal_of_no_other_connection() -> None:
    stage = Stage("a")
    stage.ask(time=2.0)
    stage.up(0.0)
    stage.down("lost", 0.1)
    stage.core.tick(stage.core.next_at())
    stage.up(0.3)
    assert len(stage.requests()) == 2
    stage.core.received(stage.lines[0], HELLO_REFUSED, 0.4)  # of the connection before
    while not stage.ends:
        stage.core.tick(stage.core.next_at())
    assert isinstance(stage.ends[0], RequestTimeoutError) and "mmi.hello" not in str(stage.ends[0])


def test_end_points_that_do_not_listen_are_tried_in_turn_with_pauses() -> None:
    stage = Stage()
    stage.ask(time=1.0)
    for now in (0.0, 0.01):
        stage.down("connection refused", now)
    assert stage.opened == ["a", "closed", "b", "closed"]
    stage.core.tick(0.2)
    assert stage.opened[-1] == "a"
    stage.core.tick(1.0)
    (error,) = stage.ends
    assert isinstance(error, UnreachableError) and "connection refused" in error.message


@pytest.mark.parametrize(
    "frames",
    [[], [b""], [b"", b"MDPC02"], [b"1", b"", b"MDPC02", b"\x07", b"s", b"x"], [b"1", b"", b"MDPC01", b"s"], [b"x"] * 9],
)
def test_frames_that_are_no_answer(frames: "list[bytes]") -> None:
    assert wire.parse_answer(frames) is None
    assert wire.parse_command(1, frames) is None and wire.parse_command(2, frames) is None


def test_requests_to_a_worker() -> None:
    command = wire.parse_command(1, [b"", b"MDPW01", b"\x02", b"token", b"", b"a", b""])
    assert command == wire.Command(b"\x02", b"token", [b"a", b""])
    framed = [b"MDPW02", b"\x09", b"token", b"", b"250", b'{"a":"b"}', b"x"]
    assert wire.parse_command(2, framed) == wire.Command(b"\x02", b"token", [b"x"], 250, {"a": "b"})
    assert wire.parse_headers(b"[1]") == wire.parse_headers(b"{") == wire.parse_headers(b'{"a":1}') == {}


def test_what_a_broker_says_of_itself_may_be_anything() -> None:
    wrong = b'{"extensions":3,"limits":[],"pairHeartbeatMs":""}'
    answers: "list[list[bytes]]" = [[], [b"501"], [b"200", b"["], [b"200", b"[]"], [b"200", wrong]]
    for body in answers:
        assert wire.parse_facts(body) == wire.Facts()
    facts = wire.parse_facts([b"200", b'{"extensions":["fail",1],"limits":{"messageBytes":9},"pairHeartbeatMs":5}'])
    assert facts.has("fail") and facts.message_bytes_max == 9 and facts.pair_heartbeat_ms == 5


def test_options_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert endpoints_of("tcp://a:1, tcp://b:2") == ["tcp://a:1", "tcp://b:2"]
    monkeypatch.setenv("MAJORDOMO_URL", "tcp://c:3")
    assert endpoints_of(None) == ["tcp://c:3"]
    monkeypatch.delenv("MAJORDOMO_URL")
    with pytest.raises(OptionError):
        endpoints_of(None)
    for endpoint in ("http://a:1", "tcp://a", "tcp://a:b", "tcp://:1"):
        with pytest.raises(EndpointError):
            endpoints_of(endpoint)
    assert endpoints_of("tcp://[::1]:5,ipc:///run/x") == ["tcp://[::1]:5", "ipc:///run/x"]
    assert headers_of({}) == b"" and headers_of(None) is None
    for headers in ({"Big": "x"}, {"a": "x" * 9000}, {str(n): "" for n in range(65)}):
        with pytest.raises(OptionError):
            headers_of(headers)
    assert body_of(["a", b"b"]) == [b"a", b"b"]
    bodies: "list[object]" = [[], None, 3, [None]]
    for body in bodies:
        with pytest.raises(BodyError):
            body_of(body)
    assert all(50 <= backoff_ms(100, 2000, 1) <= 100 and 1000 <= backoff_ms(100, 2000, 99) <= 2000 for _ in range(100))


def test_a_request_that_pauses_after_a_refusal_takes_back_what_it_had_sent_before() -> None:
    stage = Stage()
    call = stage.ask()
    stage.up(0.0)
    stage.answer(PROBE, b"mmi.broker", b"200", b'{"extensions":["cancel"]}', now=0.5)
    stage.core.tick(1.0)
    first, second = stage.requests()
    stage.answer(second, b"mmi.refused", b"429", b"echo", b"over a limit", now=1.1)
    stage.core.abandon(call)
    stage.core.flush()
    assert b"mmi.cancel" in stage.sent[-1] and first in stage.sent[-1]


@pytest.mark.parametrize("extensions, taken", [(b'["cancel"]', True), (b"[]", False)])
def test_what_is_cancelled_before_the_broker_says_what_it_knows_is_taken_back_then(extensions: bytes, taken: bool) -> None:
    stage = Stage()
    call = stage.ask()
    stage.up(0.0)
    stage.core.abandon(call)
    stage.core.flush()
    assert not any(b"mmi.cancel" in frames for frames in stage.sent)
    stage.answer(PROBE, b"mmi.broker", b"200", b'{"extensions":' + extensions + b"}", now=0.5)
    stage.core.flush()
    cancels = [list(frames)[-1:] for frames in stage.sent if b"mmi.cancel" in frames]
    assert cancels == ([stage.requests()] if taken else [])


def sent_thrice() -> "tuple[Stage, list[bytes]]":
    """A core whose broker knows cancel, and one request that it has sent three times."""
    stage = Stage()
    stage.ask()
    stage.up(0.0)
    for now in (0.5, 1.5, 2.5):
        stage.core.tick(now)
        stage.answer(PROBE, b"mmi.broker", b"200", b'{"extensions":["cancel"]}', now=now + 0.1)
        if now < 2:
            stage.core.tick(now + 0.5)
    return stage, stage.requests()


def cancelled(stage: Stage) -> "list[bytes]":
    """The correlations that were taken back since the last call."""
    stage.core.flush()
    found = [each for frames in stage.sent if b"mmi.cancel" in frames for each in list(frames)[4:]]
    stage.sent.clear()
    return found


@pytest.mark.parametrize("answered", [0, 1, 2])
@pytest.mark.parametrize("kind", [b"\x02", b"\x03"])
def test_the_other_sends_are_taken_back_when_one_is_answered(answered: int, kind: bytes) -> None:
    stage, sends = sent_thrice()
    stage.sent.clear()
    stage.answer(sends[answered], b"echo", b"y", now=2.7, kind=kind)
    assert cancelled(stage) == [each for each in sends if each != sends[answered]]
    stage.answer(sends[answered], b"echo", b"y", now=2.8, kind=b"\x03")
    assert cancelled(stage) == [] and len(stage.ends) == 1


def test_what_has_parts_is_sent_again_only_after_its_broker_is_lost() -> None:
    stage, sends = sent_thrice()
    stage.answer(sends[0], b"echo", b"y", now=2.7, kind=b"\x02")
    cancelled(stage)
    stage.core.tick(3.2)
    stage.answer(PROBE, b"mmi.broker", b"200", b'{"extensions":["cancel"]}', now=3.3)
    stage.core.tick(3.7)
    assert stage.requests() == []
    stage.down("lost", 3.8)
    stage.core.tick(3.9)
    stage.up(3.9)
    (fourth,) = stage.requests()
    stage.answer(fourth, b"echo", b"z", now=3.95)
    assert stage.ends == [[b"z"]]


def test_a_request_that_has_used_up_its_attempts_or_is_refused_is_taken_back() -> None:
    stage, sends = sent_thrice()
    stage.answer(sends[2], b"mmi.refused", b"403", b"echo", b"forbidden", now=2.7)
    assert cancelled(stage) == sends[:2] and len(stage.ends) == 1
    stage, sends = sent_thrice()
    for now in (3.0, 3.5, 4.0):
        stage.core.tick(now)
        stage.answer(PROBE, b"mmi.broker", b"200", b'{"extensions":["cancel"]}', now=now + 0.1)
    assert isinstance(stage.ends[0], RequestTimeoutError) and stage.ends[0].details["sends"] == 4
    assert cancelled(stage)[:3] == sends


def test_what_ends_in_one_turn_is_taken_back_in_few_messages() -> None:
    stage = Stage()
    for _ in range(10):
        stage.ask(time=1.0)
    stage.up(0.0)
    stage.answer(PROBE, b"mmi.broker", b"200", b'{"extensions":["cancel"]}', now=0.5)
    stage.core.tick(1.0)
    stage.core.flush()
    (message,) = [frames for frames in stage.sent if b"mmi.cancel" in frames]
    assert len(stage.ends) == 10 and message[4:] == stage.requests()


def test_what_was_sent_over_a_connection_that_is_lost_is_not_taken_back() -> None:
    stage, sends = sent_thrice()
    stage.down("lost", 2.6)
    stage.core.tick(2.8)
    stage.up(2.9)
    stage.answer(PROBE, b"mmi.broker", b"200", b'{"extensions":["cancel"]}', now=3.0)
    fourth = stage.requests()[3]
    stage.answer(fourth, b"echo", b"y", now=3.1)
    assert stage.ends == [[b"y"]] and cancelled(stage) == []


def test_a_body_that_is_a_dictionary_is_refused_with_what_sends_it() -> None:
    with pytest.raises(BodyError, match=r"not dict; send JSON as text: json\.dumps\(…\)$"):
        body_of({"a": 1})
    with pytest.raises(BodyError, match="not int$"):
        body_of(7)
