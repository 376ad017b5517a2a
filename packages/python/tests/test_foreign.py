"""What other programs send may be anything: the fault ends at most the one call, and in an error of the package."""

from __future__ import annotations

import contextlib
import json
from types import SimpleNamespace
from typing import Any, Optional, Sequence

import pytest
import zmq

from majordomo_client import BodyError, Client, JobRefusedError, MajordomoError, Reply, Request, ServiceError, Worker, wire
from majordomo_client.call import Call, Patience, Settings
from majordomo_client.client_core import ClientCore, Line
from majordomo_client.contract import contract_in
from majordomo_client.engine import Script
from majordomo_client.freelance import FreelanceCore
from majordomo_client.jobs import Answer, _parts, close, enqueue
from majordomo_client.link import ZmqLink
from majordomo_client.schedules import schedule, schedules

from .conftest import Broker
from .test_worker_core import ALL, Stage

DEEP = b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}"
DIGITS = b"9" * 5000
LONG = b'{"a":' + DIGITS + b"}"
STRANGE = {
    "levels": DEEP, "digits": LONG, "bytes": b'{"a":"\xff"}', "text": b"nul", "nothing": b"",
    "UTF-16": '{"a":"b"}'.encode("utf-16"), "half a pair": b'{"a":"\xed\xa0\x80"}',
}
# Of the first request's first send.
CORRELATION = (1).to_bytes(8, "big") + b"\1"


class NoLink:
    def open(self, endpoint: str) -> Optional[str]:
        return None

    def close(self, linger_ms: int = 0) -> None: ...

    def send(self, frames: Sequence[bytes]) -> None: ...


@pytest.mark.parametrize("text", STRANGE.values(), ids=STRANGE.keys())
def test_json_of_other_programs_is_a_value_or_a_value_error(text: bytes) -> None:
    with pytest.raises(ValueError):
        wire.parse_json(text)
    with pytest.raises(BodyError):
        Reply("echo", [text]).json()
    assert wire.parse_facts([b"200", text]) == wire.Facts()
    assert wire.parse_headers(text) == {}
    with pytest.raises(BodyError):
        contract_in([b"200", text])


def test_levels_and_digits_of_json_are_counted() -> None:
    def nested(levels: int) -> bytes:
        return b'["[[", "\\"[", ' + b'{"a":[' * (levels // 2) + b"[]" * (levels % 2) + b"]}" * (levels // 2) + b"]"

    wide = b"[" + b",".join([b'{"[[":["\\\\"]}'] * 1000) + b"]"
    for text in (nested(498), wide, b"[" + b"9" * 4300 + b"]", b'"' + b"[" * 5000, b"[]" * 1000):
        with contextlib.suppress(json.JSONDecodeError):
            assert wire.parse_json(text) == json.loads(text)
    for text, why in ((nested(500), "500 levels"), (b"[" * 501, "500 levels"), (b"[" + b"9" * 4301 + b"]", "4300 digits")):
        with pytest.raises(ValueError, match=why):
            wire.parse_json(text)


def test_headers_with_half_of_a_surrogate_pair_are_none() -> None:
    assert wire.parse_headers(rb'{"a":"\ud83d\ude00"}') == {"a": "\U0001f600"}
    assert wire.parse_headers(rb'{"a":"\ud83d"}') == {}


def test_numbers_of_other_programs_have_at_most_ten_digits() -> None:
    assert wire.parse_number(b"250") == 250
    assert wire.parse_number(DIGITS) is wire.parse_number(b"-1") is wire.parse_number(b"") is None
    limits = b'{"limits":{"messageBytes":true},"pairHeartbeatMs":1e999}'
    assert wire.parse_facts([b"200", limits]) == wire.Facts()


@pytest.mark.parametrize("detail", STRANGE.values(), ids=STRANGE.keys())
def test_a_failure_with_strange_details_fails_its_call_alone(detail: bytes) -> None:
    ends: list[object] = []
    settings = Settings(["a"], 2, 10, 100, 2000, False, 1000)
    lines: list[Line] = []

    def dial(line: Line) -> NoLink:
        lines.append(line)
        return NoLink()

    cores: list[Any] = [ClientCore(settings, dial), FreelanceCore(settings, [NoLink()])]
    for core in cores:
        core.start(Call(b"echo", [b"x"], None, Patience(1.0), lambda _, error: ends.append(error)), 0.0)
        core.tick(0.0)
        at = lines[0] if isinstance(core, ClientCore) else 0
        core.up(at, 0.0)
        failed = [b"mmi.failed", b"echo", b"bad", b"It is bad", detail]
        core.received(at, [CORRELATION, b"", b"MDPC02", b"\3", *failed], 0.1)
        error = ends.pop()
        assert isinstance(error, ServiceError) and error.service_code == "bad"
        assert error.details == {} and error.detail == (detail,)


def test_a_refusal_with_a_strange_status_is_a_refusal() -> None:
    ends: list[object] = []
    lines: list[Line] = []

    def dial(line: Line) -> NoLink:
        lines.append(line)
        return NoLink()

    core = ClientCore(Settings(["a"], 2, 10, 100, 2000, False, 1000), dial)
    core.start(Call(b"echo", [b"x"], None, Patience(1.0), lambda _, error: ends.append(error)), 0.0)
    core.up(lines[0], 0.0)
    core.received(lines[0], [CORRELATION, b"", b"MDPC02", b"\3", b"mmi.refused", DIGITS, b"echo", b"no"], 0.1)
    assert [type(each).__name__ for each in ends] == ["RefusedError"]


@pytest.mark.parametrize("headers", [DEEP[:8000], LONG, b'{"a":1}'], ids=["levels", "digits", "number"])
def test_a_request_with_strange_headers_and_deadline_reaches_its_handler_without(headers: bytes) -> None:
    stage = Stage().registered([*ALL])
    stage.hear(b"\x09", b"token", b"", DIGITS, headers, b"x", now=0.1)
    (task,) = stage.tasks
    assert task.command.headers == {} and task.command.deadline_ms is None and task.command.body == [b"x"]


def answered(script: "Script[Any]", *answers: Sequence[bytes]) -> Any:
    """The result of a script whose questions get these answers."""
    next(script)
    try:
        for answer in answers:
            script.send(answer)
    except StopIteration as end:
        return end.value
    raise AssertionError("it asks on")


SCHEDULE = '{"name":"n","service":"s","cron":"* * * * *","timeZone":"UTC","next":"%s","since":"%s","firings":%s}'
TIME = "2026-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    "listed",
    [
        DEEP.decode(),
        "null",
        '{"schedules":3}',
        '{"schedules":[null]}',
        '{"schedules":[[]],"next":null}',
        f'{{"schedules":[{SCHEDULE % (TIME, TIME, "1e999")}]}}',
        f'{{"schedules":[{SCHEDULE % ("never", TIME, 1)}]}}',
        f'{{"schedules":[{SCHEDULE % (TIME, TIME, DIGITS.decode())}]}}',
        '{"schedules":[],"next":"\\ud800"}',
    ],
    ids=str.__len__,
)
def test_a_strange_list_of_schedules_is_refused(listed: str) -> None:
    with pytest.raises(JobRefusedError):
        answered(schedules(Patience(1000.0)), [b"200", listed.encode()])


def test_a_list_of_schedules_is_read() -> None:
    listed = f'{{"schedules":[{SCHEDULE % (TIME, TIME, 3)}],"next":null}}'
    (schedule,) = answered(schedules(Patience(1000.0)), [b"200", listed.encode()])
    assert schedule.name == "n" and schedule.firings == 3 and schedule.next.year == 2026


@pytest.mark.parametrize(
    "answer, unknown",
    [([b"500 outcome unknown: the peer was lost"], True), ([b"200"], True), ([b"200", b"no uuid"], True), ([b"junk"], True),
     ([b"500 the store is full"], False), ([b"400 ttlMs"], False), ([b"409"], False)],
)
@pytest.mark.parametrize("makes", ["request", "schedule", "close"])
def test_an_error_says_when_it_is_not_known_whether_something_was_done(makes: str, answer: "list[bytes]", unknown: bool) -> None:
    engine: Any = SimpleNamespace(is_freelance=False, facts=wire.Facts(frozenset({"submit"})))
    scripts: "dict[str, tuple[str, Script[Any]]]" = {
        "request": ("the request to 'echo' was stored", enqueue(engine, "echo", "x", {"key": "k"}, Patience(float("inf")))),
        "schedule": ("the schedule 'n' was stored", schedule("n", "echo", "x", "* * * * *", None, {}, Patience(float("inf")))),
        "close": ("00 was closed", close("00")),
    }
    what, script = scripts[makes]
    if makes != "request" and answer[0] == b"200":
        return  # done
    with pytest.raises(MajordomoError) as raised:
        answered(script, answer)
    said = f"it is not known whether {what}" if unknown else what.replace(" was ", " was not ")
    assert raised.value.message.startswith(said + ": ")


@pytest.mark.parametrize(
    "facts",
    [DEEP, LONG, b"[]", b'{"attempt":1,"first":0,"frames":[-1,2]}', b'{"attempt":1,"first":0,"frames":[0.5,0.5]}',
     b'{"attempt":[],"first":0,"frames":[1]}', b'{"attempt":1,"first":0,"frames":[2]}'],
    ids=bytes.__len__,
)
def test_strange_parts_of_a_durable_request_are_refused(facts: bytes) -> None:
    with pytest.raises(JobRefusedError):
        _parts("echo", Answer(300, "", [b"place", facts, b"part"]))


@pytest.mark.parametrize("detail", [DEEP, DIGITS], ids=["levels", "digits"])
def test_a_client_lives_through_strange_details_of_a_service(broker: Broker, detail: bytes) -> None:
    def handler(request: Request) -> bytes:
        if request.text() == "fail":
            error = ServiceError("bad", "It is bad")
            error.detail = [detail]
            raise error
        return request.value

    with Worker(broker.endpoint, "strange", handler).ready(), Client(broker.endpoint) as client:
        with pytest.raises(ServiceError) as failed:
            client.request("strange", "fail")
        assert failed.value.details == {} and failed.value.detail == (detail,)
        assert client.request("strange", "again").text() == "again"


def test_a_router_may_begin_with_an_empty_message() -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.setsockopt(zmq.PROBE_ROUTER, 1)
        router.setsockopt(zmq.LINGER, 0)
        port = router.bind_to_random_port("tcp://127.0.0.1")
        poller = zmq.Poller()
        link = ZmqLink(context, poller)
        received: "list[list[bytes]]" = []
        link.on_up = lambda: link.send([b"hello"])
        link.on_down = lambda _: None
        link.on_message = received.append
        assert link.open(f"tcp://127.0.0.1:{port}") is None
        while not router.poll(0):
            link.read(dict(poller.poll(100)))
        router.send_multipart([router.recv_multipart()[0], b"", b""])
        while not received:
            link.read(dict(poller.poll(100)))
        link.close()
    assert received == [[b"", b""]]
