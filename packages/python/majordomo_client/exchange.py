"""What every client's core does with one broker and one request. No I/O."""

from __future__ import annotations

import heapq
import math
from typing import Callable, Iterator, Mapping, Optional, Protocol, Sequence

from . import wire
from .call import Call, Settings, is_of_broker
from .errors import (
    KeyRefusedError,
    LimitError,
    MajordomoError,
    OutcomeUnknownError,
    RequestTimeoutError,
    StreamBrokenError,
    TooLargeError,
    UnreachableError,
    UnsupportedError,
    refusal,
)
from .options import cost

PROBE = b"?"
# Why a handshake failed, if the broker does not admit the key.
KEY_REFUSED = "the key was refused"
# After this many of these in a row, requests fail.
KEY_REFUSALS = 2
# Why nobody knows what became of a request that may run once.
LOST = "its broker was lost"
IDS_MAX = 100  # of one mmi.cancel, or mmi.resume
# How long last cancels may take to leave.
LINGER_MS = 1000


class Link(Protocol):
    def open(self, endpoint: str) -> Optional[str]:
        """Why it cannot connect at all; None: it tries."""
    def close(self, linger_ms: int = 0) -> None:
        """``linger_ms``: how long what was sent may still take to leave."""
    def send(self, frames: Sequence[bytes]) -> None: ...


def greet(settings: Settings, link: Link, session: str = "") -> None:
    """What a client says first: that it understands refusals, and its session; and it asks what the broker knows."""
    hello: dict[str, object] = {"failures": True}
    if session:
        hello["session"] = session
    if settings.refuse_no_worker:
        hello["noWorker"] = "refuse"
    link.send(wire.request(settings.version, b"", b"mmi.hello", [wire.compact(hello)]))
    probe(settings, link)


def probe(settings: Settings, link: Link) -> None:
    link.send(wire.request(settings.version, PROBE, b"mmi.broker", [b""]))


class Hearing:
    """Whether a broker took the hello of a connection; if not, it would tell of no failure on it."""

    def __init__(self, settings: Settings, link: Link, session: str = "") -> None:
        self._settings = settings
        self._link = link
        self._session = session
        self.refusal: Optional[Sequence[bytes]] = None
        self._was_taken = False  # then it tells of the failures of what was sent until it refuses one
        self._is_asked = False

    def received(self, answer: wire.Answer, out: Sequence[Call]) -> Sequence[Call]:
        """An answer without a correlation: to the hello, a cancel, or mmi.resume.

        Returns which of the calls that are ``out`` have to fail now, because nobody would tell of their failure.
        """
        if answer.service == b"mmi.hello":
            self.refusal = None
            self._was_taken = True
        elif answer.service == wire.REFUSED and answer.body[1:2] == [b"mmi.hello"]:
            self.refusal = answer.body
            self._is_asked = False
            if not self._was_taken:
                return out
            for call in out:
                call.deafness = answer.body
        return ()

    def refuses(self) -> "Optional[Sequence[bytes]]":
        """Why a request is not sent now; then asks once more, as there may be a place when it is sent again."""
        if self.refusal is not None and not self._is_asked:
            self._is_asked = True
            greet(self._settings, self._link, self._session)
        return self.refusal


class Timers:
    """When calls are due, which ``find`` gives by their ids. What is out of date is dropped when it is the greater part."""

    def __init__(self, find: Callable[[bytes], Optional[Call]]) -> None:
        self._find = find
        self._heap: list[tuple[float, bytes]] = []
        self._most = 1000

    def set(self, call: Call, at: float) -> None:
        call.next_at = at
        if at == float("inf"):
            return
        if len(self._heap) >= self._most:
            self._heap = [each for each in self._heap if self._is_set(*each)]
            heapq.heapify(self._heap)
            self._most = 2 * len(self._heap) + 1000
        heapq.heappush(self._heap, (at, call.id))

    def due(self, now: float) -> Iterator[Call]:
        while self._heap and self._heap[0][0] <= now:
            call = self._is_set(*heapq.heappop(self._heap))
            if call is not None:
                yield call

    @property
    def next_at(self) -> float:
        return self._heap[0][0] if self._heap else float("inf")

    def _is_set(self, at: float, key: bytes) -> Optional[Call]:
        call = self._find(key)
        return call if call is not None and call.next_at == at else None


class Cancels:
    """Tells a broker that nobody waits for the answers to some sends any more, once it has said that it listens.

    Of one connection. What ends in one turn is told in few messages, at ``flush``: a message each would be many at
    the end of a client, which does not wait for the broker to read them.
    """

    def __init__(self, settings: Settings, link: Link) -> None:
        self._settings = settings
        self._link = link
        self._is_taken: Optional[bool] = None
        self._waiting: list[bytes] = []

    def learnt(self, facts: wire.Facts) -> None:
        self._is_taken = facts.has("cancel")

    def add(self, sends: Sequence[bytes]) -> None:
        self._waiting += sends
        if self._is_taken is None:
            del self._waiting[IDS_MAX:]

    def flush(self) -> None:
        if self._is_taken is None or not self._waiting:
            return
        sends, self._waiting = self._waiting, []
        for at in range(0, len(sends) if self._is_taken else 0, IDS_MAX):
            some = sends[at : at + IDS_MAX]
            self._link.send(wire.request(self._settings.version, b"", b"mmi.cancel", some))

    def end(self) -> None:
        """The connection is lost."""
        self._is_taken = False


# How long before the end of a wait its broker is asked why it was in vain, in seconds: a tenth of the wait, at most so long.
_WHY_LEAD_MAX = 0.5
# How long an answer is shared by requests that would ask the same, and how long it is used at all.
_WHY_SHARED = 1.0
_WHY_KEPT = 2.0
_WHYS_MAX = 16


def why_lead(wait: float) -> float:
    """How long before the end of such a wait its broker is asked why; 0: the wait is too short."""
    lead = min(_WHY_LEAD_MAX, wait / 10)
    return lead if lead >= 0.001 else 0


class _Question:
    def __init__(self, number: int, link: Link, service: bytes, at: float) -> None:
        self.number = number
        self.link = link
        self.service = service
        self.at = at
        self.answer = ""


class Whys:
    """What brokers say of why requests have no answer (``mmi.why``).

    Requests for one service share a question, and a client has few: however many time out together.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._asked: list[_Question] = []  # the oldest first
        self._count = 0

    def ask(self, link: Link, service: bytes, facts: Optional[wire.Facts], now: float) -> None:
        """Asks, if the broker of these facts can be asked and was not just now."""
        if facts is None or not facts.has("why") or is_of_broker(service):
            return
        self._asked = [each for each in self._asked if now - each.at < _WHY_KEPT]
        for each in self._asked:
            if each.service == service and each.link is link and now - each.at < _WHY_SHARED:
                return
        if len(self._asked) == _WHYS_MAX:
            return
        number = self._count % 255 + 1
        self._count += 1
        self._asked.append(_Question(number, link, service, now))
        link.send(wire.request(self._settings.version, PROBE + bytes((number,)), b"mmi.why", [service]))

    def received(self, answer: wire.Answer) -> None:
        """An answer to a question of this client about itself or its requests."""
        if answer.service != b"mmi.why" or len(answer.body) < 2:
            return
        for each in self._asked:
            if answer.correlation == PROBE + bytes((each.number,)):
                each.answer = answer.body[1].decode("utf-8", "replace")[:2000]

    def of(self, service: bytes, now: float) -> str:
        """The last answer about a service, after a colon; empty: there is none."""
        for each in reversed(self._asked):
            if each.service == service and each.answer and now - each.at < _WHY_KEPT:
                return f": {each.answer}"
        return ""


_UNKNOWN = "outcome unknown: "  # begins the reason of a refusal 520


def status_of(body: Sequence[bytes]) -> int:
    return (wire.parse_number(body[0]) if body else None) or 0


def is_draining(body: Sequence[bytes]) -> bool:
    """Whether a refusal is of a broker that is about to end, and takes no request any more."""
    return status_of(body) == 503 and len(body) > 2 and body[2].startswith(b"draining")


def refused(call: Call, body: Sequence[bytes]) -> MajordomoError:
    reason = body[2].decode("utf-8", "replace") if len(body) > 2 else ""
    if status_of(body) == 408 and call.said_time:
        return _in_vain(call, f": {'no worker had it: ' if call.once else ''}{reason}")
    if status_of(body) == 520:
        return outcome_error(call, reason[len(_UNKNOWN) :] if reason.startswith(_UNKNOWN) else reason)
    return refusal(status_of(body), call.name, reason + ("; it did not run" if call.once else ""))


def key_error(call: Call) -> MajordomoError:
    if call.once and call.sends > 0:
        return outcome_error(call, "the broker refuses the key of this client")
    what = "was not sent" if call.attempt == 0 else "was sent before and has no answer"
    text = f"the broker refuses the key of this client: the request to '{call.name}' {what}"
    return KeyRefusedError(text, {"service": call.name})


def late_error(call: Call, why: Mapping[str, str], is_connected: bool, now: float, said: str) -> MajordomoError:
    """Why it has no answer in time; ``why`` its end points gave none, by end point, and what the broker ``said`` of it."""
    if call.refusal is not None:
        return refused(call, call.refusal)
    if call.is_streamed and now < call.end:
        return StreamBrokenError(f"{call.name}: the stream ended before its last part")
    if call.once and call.sends > 0:
        return outcome_error(call, "no reply in time" if now >= call.end else "the broker is silent")
    if call.attempt > 0:
        if call.deafness is not None:
            deaf = b" ".join((call.deafness[0], *call.deafness[2:3])).decode("utf-8", "replace")
            said = f"; the broker refused mmi.hello, and so reports no failures: {deaf}{said}"
        return _in_vain(call, said, now >= call.end)
    if KEY_REFUSED in why.values():
        return key_error(call)
    if is_connected and call.is_special:
        return _unsupported(call, "does not say whether it supports")
    reasons = "; ".join(f"{endpoint}: {reason}" for endpoint, reason in why.items())
    return UnreachableError(f"no broker could be reached: {reasons or 'no answer'}")


def _unsupported(call: Call, what: str) -> MajordomoError:
    text = f"the broker {what} {call.needed}: the request to '{call.name}' was not sent"
    return UnsupportedError(text, {"service": call.name})


def _in_vain(call: Call, why: str, is_over: bool = True) -> MajordomoError:
    sent = "once" if call.sends == 1 else f"{call.sends} times"
    limit = f"timeout_ms {call.timeout * 1000:.0f}; " if is_over and call.timeout is not None else ""
    text = f"no reply from '{call.name}' in time ({limit}sent {sent}){why}"
    return RequestTimeoutError(text, {"sends": call.sends, "service": call.name})


def outcome_error(call: Call, why: str) -> MajordomoError:
    text = f"the outcome of the request to '{call.name}' is unknown: {why}"
    return OutcomeUnknownError(text, {"service": call.name, "sends": call.sends})


_EXTENSIONS = {"group": ("options", "group"), "once": ("options",), "headers": ("headers",)}


def obstacle(call: Call, facts: Optional[wire.Facts]) -> Optional[MajordomoError]:
    """Why a broker with these facts cannot be sent the request."""
    if facts is None:
        return None
    if call.is_special and not all(map(facts.has, _EXTENSIONS[call.needed])):
        return _unsupported(call, "does not support")
    size = sum(len(frame) for frame in call.body) + len(call.headers or b"")
    if size <= facts.message_bytes_max:
        return None
    details = {"service": call.name, "bytes": size, "bytes_max": facts.message_bytes_max}
    return TooLargeError(f"{size} bytes; the broker takes at most {facts.message_bytes_max:.0f}", details)


def frames_of(settings: Settings, call: Call, facts: Optional[wire.Facts], now: float) -> "list[bytes]":
    """What is sent; the worker learns of a time that the program has named, if the broker is known to tell it."""
    ends = call.end < float("inf") and not call.is_of_broker
    headers = b"" if call.has_options and call.headers is None else call.headers
    if headers is None and ends and call.is_named and settings.version == 2 and facts is not None and facts.has("headers"):
        headers = b""
    left = 0
    if headers is not None and ends:
        # The broker knows whether a worker has had what may run once: it says so first.
        lead = why_lead(call.end - now) if call.once else 0
        left = max(1, math.ceil((call.end - now - lead) * 1000))
    call.said_time = left > 0
    return wire.request(settings.version, call.correlation, call.service, call.body, headers, left, call.once, call.group)


def take_part(call: Call, answer: wire.Answer, buffer_bytes: int) -> Optional[MajordomoError]:
    """Keeps a part, or hands it on. Returns why the call has to end."""
    call.part_bytes += cost(answer.body)
    if call.part_bytes - call.read_bytes > buffer_bytes:
        return LimitError("the answer has more unread bytes than stream_buffer_bytes")
    if call.on_part is not None:
        call.is_streamed = True
        call.on_part(answer.body, False)
    elif call.on_receipt is not None:
        call.is_streamed = True
        call.end = call.after.end
        call.on_receipt(answer.body)
    elif not wire.is_progress(answer.body):
        call.parts += answer.body
    return None


def finish(call: Call, answer: wire.Answer) -> None:
    if call.on_part is not None:
        call.on_part(answer.body, True)
    call.done([*call.parts, *answer.body], None)
