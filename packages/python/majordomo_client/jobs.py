"""Durable requests and schedules as scripts of questions: neither threads nor sockets (9/TSP and its extensions)."""

from __future__ import annotations

import math
import re
import secrets
import time
from typing import Any, Mapping, NamedTuple, Optional, Sequence

from . import wire
from .call import Patience
from .engine import NOT_STORED, Ask, Engine, Pause, Script
from .errors import (
    ClosedError,
    JobDeadError,
    JobKeyReusedError,
    JobPendingError,
    JobRefusedError,
    JobUnknownError,
    JobUnsupportedError,
    MajordomoError,
    RefusedError,
    RequestTimeoutError,
    StreamBrokenError,
    UnreachableError,
    UsageError,
    received_service_error,
)
from .exchange import why_lead
from .message import ProgressPart, Reply
from .options import (
    DAY_MS, GROUP_BYTES_MAX, USUAL, Read, backoff_ms, body_of, boolean, call_time, check_names, headers_of, integer, service_of, text, whole, wrong,
)

# The longest wait at a broker, whose own limit is a minute.
WAIT_MS = 30_000
DURATION_MS_MAX = 2**40 - 1
# How many times over it is asked what a broker knows, before it is taken for one that does not say.
_FACTS_RESENDS = 2
_UUID = re.compile(r"[0-9A-Fa-f]{32}")
_URL = re.compile(r"[\x21-\x7e]{1,2048}")
_STATUS = re.compile(r"([0-9]{3})(?: (.*))?", re.DOTALL)
_DEAD = re.compile(r"dead ([A-Za-z0-9._-]{1,64}): (.*)", re.DOTALL)
_PASSING = (RequestTimeoutError, UnreachableError, RefusedError)


class JobState(NamedTuple):
    """``state`` is ``pending``, ``replied`` (with ``reply``), ``dead`` (with ``reason``) or ``unknown``.

    ``code`` is what the service reported of a dead one; None: no worker reported one.
    """

    state: str
    reply: Optional[Reply] = None
    reason: str = ""
    code: Optional[str] = None


FOUND = ("pending", "replied", "dead", "closed")


class Stored(NamedTuple):
    """What ``enqueue`` was answered: ``existed`` and ``found`` as of a Job."""

    uuid: str
    existed: Optional[bool]
    found: Optional[str]


# What the text of a broker begins with that may have done what it was asked for.
OUTCOME_UNKNOWN = "outcome unknown"


class Answer(NamedTuple):
    status: int
    text: str
    frames: Sequence[bytes]

    def error(self, kind: "type[MajordomoError]", what: str) -> MajordomoError:
        return kind(f"{what}: {self.status} {self.text}".rstrip(), {"status": self.status, "text": self.text})

    def undone(self, kind: "type[MajordomoError]", what: str, done: str) -> MajordomoError:
        """The error for something that was not ``done``, or may have been: only a refusal that says no more excludes it."""
        is_unknown = self.status in (0, 200) or self.text.startswith(OUTCOME_UNKNOWN)
        return self.error(kind, f"it is not known whether {what} was {done}" if is_unknown else f"{what} was not {done}")


def read_answer(frames: Sequence[bytes]) -> Answer:
    match = _STATUS.fullmatch(frames[0].decode("utf-8", "replace")) if frames else None
    return Answer(int(match[1]), match[2] or "", frames[1:]) if match else Answer(0, "not a status", frames)


def checked_uuid(uuid: object) -> str:
    if not isinstance(uuid, str) or not _UUID.fullmatch(uuid):
        raise wrong("uuid", "must be 32 hexadecimal characters")
    return uuid


class StoredOption(NamedTuple):
    """An option of a durable request: of ``enqueue``, and, but for ``idempotency_key``, of ``schedule``."""

    name: str
    json: str
    # The value as it is sent.
    read: Read


def _pauses(option: str, given: Any) -> "dict[str, int]":
    pair = given if isinstance(given, (tuple, list)) else ()
    base, longest = (integer(option, each, 1, DAY_MS) for each in pair) if len(pair) == 2 else (1, 0)
    if longest < base:
        raise wrong(option, "must be (base_ms, max_ms), max_ms not below base_ms")
    return {"baseMs": base, "maxMs": longest}


def _url(option: str, given: Any) -> str:
    if not isinstance(given, str) or not _URL.fullmatch(given):
        raise wrong(option, "must be a URL of 1 to 2048 printable ASCII characters")
    return given


STORED_OPTIONS = (
    StoredOption("idempotency_key", "key", text(255)),
    StoredOption("priority", "priority", whole(-100, 100)),
    StoredOption("delay_ms", "delayMs", whole(0, DURATION_MS_MAX)),
    StoredOption("ttl_ms", "ttlMs", whole(1, DURATION_MS_MAX)),
    StoredOption("max_attempts", "maxAttempts", whole(1, 1000)),
    StoredOption("backoff", "backoff", _pauses),
    StoredOption("shared", "shared", boolean),
    StoredOption("webhook", "webhook", _url),
    StoredOption("group", "group", text(GROUP_BYTES_MAX)),
)
# A header that looks like one of these would be passed to the worker and do nothing.
_NOT_HEADERS = (*(option.name for option in STORED_OPTIONS), "timeout_ms", "cron", "time_zone")


def _letters(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())


def stored_options(headers: Optional[Mapping[str, str]] = None, **given: Any) -> "dict[str, Any]":
    """The JSON of the options that are given."""
    for name in headers if isinstance(headers, Mapping) else ():
        like = next((each for each in _NOT_HEADERS if _letters(each) == _letters(str(name))), None)
        if like is not None:
            raise wrong("headers", f"have one that looks like the option {like}: use the option")
    rows = {option.name: option for option in STORED_OPTIONS}
    check_names((*rows, "timeout_ms"), given)
    found: dict[str, Any] = {}
    for name, value in given.items():
        if value is not None:
            found[rows[name].json] = rows[name].read(name, value)
    if found.get("shared") is False:
        del found["shared"]  # brokers without owners refuse options that they do not know
    if headers_of(headers):
        found["headers"] = dict(headers or {})
    return found


def _facts(engine: Engine, end: float) -> Script[wire.Facts]:
    if engine.is_freelance:
        raise UsageError(NOT_STORED)
    if engine.facts is not None:
        return engine.facts
    body = yield Ask(b"mmi.broker", [b""], Patience(end))
    return wire.parse_facts(body)


def _part_of(engine: Engine, end: float) -> float:
    """When a question is given up that a broker without MMI never answers: the time that is left then is for another."""
    now = time.monotonic()
    return now + min((end - now) / 2, _FACTS_RESENDS * engine.settings.resend)


def enqueue(engine: Engine, service: object, body: object, stored: "dict[str, Any]",
            patience: Patience) -> Script[Stored]:
    """Stores a request."""
    name, frames = service_of(service), body_of(body)
    may_exist = False
    facts = yield from _facts_for(engine, stored, patience.end)
    if facts.has("submit"):
        # Only a key of the program's own may have been used before.
        may_exist = "key" in stored
        if may_exist and facts.has("existed"):
            stored = {**stored, "existed": True}
        if "key" not in stored:
            stored = _keyed(stored)
        reply = yield Ask(b"titanic.submit", [wire.compact(stored), name, *frames], patience)
    elif stored:
        raise JobUnsupportedError("this broker does not support options of durable requests")
    else:
        # Once: the broker could store a second one.
        reply = yield Ask(b"titanic.request", [name, *frames], Patience(patience.end, poll=float("inf")))
    answer = read_answer(reply)
    uuid = _uuid_in(answer)
    if not uuid:
        raise _not_stored(answer, name)
    return _stored(uuid, answer.frames[1:]) if may_exist else Stored(uuid, False, None)


def _facts_for(engine: Engine, stored: "dict[str, Any]", end: float) -> Script[wire.Facts]:
    """What the broker knows that is to store a request with these options."""
    facts: Optional[wire.Facts] = None
    while facts is None:
        try:
            facts = yield from _facts(engine, end if stored else _part_of(engine, end))
        except _PASSING as error:
            if stored or time.monotonic() >= end:
                raise
            if isinstance(error, RequestTimeoutError):
                facts = wire.Facts()  # a broker without MMI may still know 9/TSP
    for option in ("headers", "backoff", "group"):
        if facts.has("submit") and option in stored and not facts.has(option):
            raise JobUnsupportedError(f"this broker does not support {option}")
    return facts


def _keyed(stored: "dict[str, Any]") -> "dict[str, Any]":
    """With a key: after a lost answer it is sent again, and must not be stored twice."""
    return stored if "key" in stored else {**stored, "key": f"once-{secrets.token_hex(16)}"}


def _uuid_in(answer: Answer) -> str:
    """The uuid of a receipt; empty: it is none."""
    uuid = answer.frames[0].decode("latin-1") if answer.status == 200 and answer.frames else ""
    return uuid if _UUID.fullmatch(uuid) else ""


def _not_stored(answer: Answer, name: bytes) -> MajordomoError:
    kind = JobKeyReusedError if answer.status == 409 else JobRefusedError
    return answer.undone(kind, f"the request to {name.decode('utf-8', 'backslashreplace')!r}", "stored")


# How long a broker waits itself, in seconds, for the reply to a request that it was sent by ``titanic.call``.
_CALL_POLL = 60.0


def call_durable(engine: Engine, service: object, body: object, stored: "dict[str, Any]",
                 timeout_ms: Optional[int]) -> Script[Reply]:
    """Stores a request, waits for its reply and closes it; nobody waits for the close (D122).

    Without ``timeout_ms`` it has the client's time until it is stored, and then no end.
    """
    name, frames = service_of(service), body_of(body)
    patience = engine.patience(timeout_ms)
    end = float("inf") if timeout_ms is USUAL else patience.end
    facts = yield from _facts_for(engine, stored, patience.end)
    shown = name.decode("utf-8", "backslashreplace")
    uuid, reply = "", None
    if facts.has("submit") and facts.has("call") and engine.settings.version == 2:
        stored = _keyed(stored)
        receipts: "list[Sequence[bytes]]" = []
        # Until the receipt comes it is sent again soon: a broker that stops serving leaves it unanswered.
        within = Patience(patience.end, after=Patience(end, poll=_CALL_POLL))
        try:
            question = Ask(b"titanic.call", [wire.compact(stored), name, *frames], within, receipts.append)
            answer = read_answer((yield question))
        except (*_PASSING, StreamBrokenError):
            if not receipts:
                raise
            answer = None  # not sent again: the key may be forgotten, and it would be stored once more
        uuid = _uuid_in(read_answer(receipts[-1])) if receipts else ""
        if answer is not None and answer.status == 200 and uuid:
            reply = Reply(shown, answer.frames)
        # An older broker may have taken the place of the one that was asked.
        elif answer is not None and answer.status not in (300, 501):
            if not uuid:
                raise _not_stored(answer, name)
            _Waits(engine, uuid, shown, _ms_until(end)).check(answer)
    if not uuid:
        uuid = (yield from enqueue(engine, service, body, stored, patience)).uuid
    if reply is None:
        whole_ms = None if timeout_ms is USUAL else timeout_ms
        reply = yield from result(engine, uuid, shown, _ms_until(end), whole_ms)
    try:
        engine.ask(Ask(b"titanic.close", [uuid.encode()]), lambda _body, _error: None)
    except ClosedError:
        pass  # the reply stays for its time to live
    return reply


def _ms_until(end: float) -> Optional[int]:
    return None if end == float("inf") else max(1, math.ceil((end - time.monotonic()) * 1000))


def _stored(uuid: str, told: Sequence[bytes]) -> Stored:
    try:
        facts = wire.parse_json(told[0])
        existed, state = facts["existed"], facts["state"]
    except (IndexError, KeyError, TypeError, ValueError):
        return Stored(uuid, None, None)
    if existed is False:
        return Stored(uuid, False, None)
    return Stored(uuid, True, state) if existed is True and state in FOUND else Stored(uuid, None, None)


def result(engine: Engine, uuid: str, service: str, timeout_ms: Optional[int],
           whole_ms: Optional[int] = None) -> Script[Reply]:
    """Waits for the reply, across lost connections and restarts. ``whole_ms``: as of _Waits."""
    waits = _Waits(engine, uuid, service, timeout_ms, whole_ms)
    only_reply = False
    while True:
        wait_ms = 0

        def question() -> Script[Answer]:
            nonlocal wait_ms
            facts = yield from _facts(engine, _part_of(engine, waits.end))
            if only_reply or not facts.has("wait"):
                return read_answer((yield Ask(b"titanic.reply", [uuid.encode()], Patience(waits.end))))
            wait_ms = waits.wait_ms
            return read_answer((yield waits.ask(b"titanic.wait", [uuid.encode(), str(wait_ms).encode()], wait_ms)))

        waits.begin()
        try:
            answer = yield from question()
            if answer.status == 200:
                return Reply(service, answer.frames)
            waits.check(answer)
        except _PASSING as error:
            waits.failed(error)
            only_reply = engine.facts is None and isinstance(error, RequestTimeoutError)
        yield from waits.pause(wait_ms)


def progress(engine: Engine, uuid: str, service: str, timeout_ms: Optional[int],
             place: bytes) -> "Script[tuple[bytes, list[ProgressPart]]]":
    """The parts after a place, and the place after them; an empty place: the reply is there."""
    waits = _Waits(engine, uuid, service, timeout_ms)
    while True:
        wait_ms = waits.wait_ms
        waits.begin()
        try:
            facts = yield from _facts(engine, waits.end)
            if not facts.has("progress"):
                raise JobUnsupportedError("this broker does not support titanic.progress")
            body = [uuid.encode(), place, str(wait_ms).encode()]
            answer = read_answer((yield waits.ask(b"titanic.progress", body, wait_ms)))
            if answer.status == 200:
                return b"", []
            if answer.status == 300 and answer.frames:
                return answer.frames[0], _parts(service, answer)
            waits.check(answer)
        except _PASSING as error:
            waits.failed(error)
        yield from waits.pause(wait_ms)


def _parts(service: str, answer: Answer) -> "list[ProgressPart]":
    try:
        facts = wire.parse_json(answer.frames[1])
        attempt, first, counts = facts["attempt"], facts["first"], facts["frames"]
        frames = list(answer.frames[2:])
        if not all(isinstance(each, int) and each >= 0 for each in (attempt, first, *counts)):
            raise ValueError("not numbers")
        if sum(counts) != len(frames):
            raise ValueError("frames are missing")
        parts = []
        for number, count in enumerate(counts):
            parts.append(ProgressPart(service, frames[:count], attempt, first + number))
            del frames[:count]
        return parts
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise JobRefusedError(f"the answer is not understood: {error}") from error


class _Waits:
    """The time of one wait: its deadline, its pauses, and what its answers mean."""

    def __init__(self, engine: Engine, uuid: str, service: str, timeout_ms: Optional[int],
                 whole_ms: Optional[int] = None) -> None:
        """``whole_ms``: the time of which ``timeout_ms`` is what is left."""
        timeout = call_time("timeout_ms", timeout_ms)
        self._engine = engine
        self._uuid = uuid
        self._service = service
        self._whole_ms = timeout_ms if whole_ms is None else whole_ms
        self.end = time.monotonic() + timeout
        self._why_at = float("inf")  # when the broker is asked why there is no reply
        lead = 0 if timeout_ms is None else why_lead(timeout)
        if lead:
            self._why_at = self.end - lead
        self._asked = 0.0
        self._pauses = 0
        self._problem: Optional[MajordomoError] = None
        self._is_answered = False
        self._trouble = ""

    @property
    def wait_ms(self) -> int:
        end = min(self.end, self._why_at)
        return math.ceil(min(WAIT_MS, max(1, (end - time.monotonic()) * 1000)))

    def ask(self, service: bytes, body: "list[bytes]", wait_ms: int) -> Ask:
        return Ask(service, body, Patience(self.end, poll=wait_ms / 1000))

    def begin(self) -> None:
        self._asked = time.monotonic()
        self._problem = None
        if self._asked >= self._why_at:
            self._why_at = float("inf")
            self._engine.ask_why(self._service)

    def failed(self, error: MajordomoError) -> None:
        self._problem = error

    def check(self, answer: Answer) -> None:
        """Raises what ends the wait."""
        self._is_answered = True
        self._trouble = ""
        death = _DEAD.fullmatch(answer.text) if answer.status == 500 else None
        if death is not None and death[1] != "mdp.no-reply":
            head = [self._service.encode(), death[1].encode(), death[2].encode()]
            raise received_service_error([*head, *answer.frames])
        facts = self._engine.facts
        if death is None and answer.status == 500 and facts is not None and facts.has("fail"):
            self._trouble = f"; the broker last answered 500 {answer.text}"  # it may pass
        elif answer.status != 300:
            raise _reply_error(answer, self._uuid)

    def pause(self, waited_ms: int) -> Script[None]:
        now = time.monotonic()
        if now >= self.end:
            if self._problem is not None and not self._is_answered and not isinstance(self._problem, RequestTimeoutError):
                raise self._problem
            why = self._engine.why_of(self._service)
            if not self._service:
                why = f"; only its uuid is known here: `majordomo durable show {self._uuid}` tells its service and its state"
            text = f"no reply to {self._uuid} within {self._whole_ms} ms{self._trouble}{why}"
            raise JobPendingError(text, {"uuid": self._uuid})
        if self._problem is None and waited_ms and (now - self._asked) * 2000 >= waited_ms:
            self._pauses = 0
            return
        self._pauses += 1
        settings = self._engine.settings
        seconds = backoff_ms(settings.retry_base_ms, settings.retry_max_ms, self._pauses) / 1000
        yield Pause(min(seconds, self.end - now))


def _reply_error(answer: Answer, uuid: str) -> MajordomoError:
    if answer.status == 400:
        words = f"there is no durable request {uuid} for this client: closed, expired, never stored, or of another key"
        return JobUnknownError(words, {"status": answer.status, "text": answer.text})
    if answer.status == 500:
        return answer.error(JobDeadError, f"the durable request {uuid} failed")
    return answer.error(JobRefusedError, f"no answer about {uuid}")


def state(engine: Engine, uuid: str, service: str) -> Script[JobState]:
    answer = read_answer((yield Ask(b"titanic.reply", [uuid.encode()])))
    if answer.status == 200:
        return JobState("replied", Reply(service, answer.frames))
    if answer.status == 300:
        return JobState("pending")
    if answer.status == 400:
        return JobState("unknown")
    death = _DEAD.fullmatch(answer.text) if answer.status == 500 else None
    if death is not None:
        return JobState("dead", None, death[2], None if death[1] == "mdp.no-reply" else death[1])
    if answer.status == 500 and not (engine.facts is not None and engine.facts.has("fail")):
        return JobState("dead", None, answer.text)
    raise answer.error(JobRefusedError, f"no answer about {uuid}")


def close(uuid: str) -> Script[None]:
    answer = read_answer((yield Ask(b"titanic.close", [uuid.encode()])))
    if answer.status != 200:
        kind = JobUnknownError if answer.status == 400 else JobRefusedError
        raise answer.undone(kind, uuid, "closed")
