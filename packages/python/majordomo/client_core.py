"""The protocol of a client, without I/O: what to send, when to send it again, and where.

Requests go out over one connection. One to a node that has refused stays open until the requests that
it holds have their answers, so that they are not run twice. The owner tells what happens (``up``,
``down``, ``received``, ``tick``) and calls ``tick`` no later than ``next_at()``. Times are seconds of a
monotonic clock.
"""

from __future__ import annotations

import heapq
from typing import Callable, Optional, Sequence

from . import wire
from .call import Call, Settings
from .endpoint_order import EndpointOrder
from .errors import ClosedError, LimitError, MajordomoError, received_service_error
from .exchange import (
    KEY_REFUSALS,
    KEY_REFUSED,
    LINGER_MS,
    PROBE,
    Cancels,
    Hearing,
    Link,
    Whys,
    finish,
    frames_of,
    greet,
    key_error,
    late_error,
    obstacle,
    probe,
    refused,
    status_of,
    take_part,
    why_lead,
)
from .options import backoff_ms

# With several endpoints, how long one may take to accept a connection.
DIAL_PATIENCE = 1.0
# How long a node of a pair may say nothing before it is asked whether it lives, and then again, in heartbeats of the pair.
QUIET_HEARTBEATS = 1.25


class Line:
    """A connection to one end point."""

    def __init__(self, endpoint: int, dial: "Callable[[Line], Link]", until: float, settings: Settings) -> None:
        self.endpoint = endpoint
        self.until = until  # the patience with it, until it is up
        self.is_up = False
        self.heard_at = -1.0
        self.quiet_at = -1.0  # when it was sent something first, since then
        self.asked_at = -1.0  # when it was last asked whether it lives
        self.out: dict[bytes, Call] = {}
        self.link = dial(self)
        self.cancels = Cancels(settings, self.link)
        self.hearing = Hearing(settings, self.link)


class ClientCore:
    """``dial`` makes the link of a line."""

    def __init__(self, settings: Settings, dial: Callable[[Line], Link]) -> None:
        self._settings = settings
        self._dial = dial
        self._calls: dict[bytes, Call] = {}
        self._waiting: dict[bytes, Call] = {}
        self._timers: list[tuple[float, bytes]] = []  # of calls that may have ended
        self._count = 0
        self._line: Optional[Line] = None
        self._retired: dict[Line, None] = {}
        self._line_of: dict[bytes, Line] = {}  # of calls that are out
        self._endpoint = 0
        self._open_at = float("-inf")  # until the first is opened
        self._key_refusals = 0  # since a handshake succeeded
        self._failures = 0  # connections lost in a row without an answer
        self._order = EndpointOrder(len(settings.endpoints), self._pause)
        self._why: dict[str, str] = {}
        self.facts: Optional[wire.Facts] = None
        self.whys = Whys(settings)
        self.counters = {"late": 0, "malformed": 0, "resends": 0, "reopened": 0}

    def start(self, call: Call, now: float) -> None:
        if len(self._calls) >= self._settings.max_outstanding:
            call.done(None, LimitError(f"{len(self._calls)} requests wait already (max_outstanding)"))
            return
        self._count += 1
        call.id = self._count.to_bytes(8, "big")
        call.deadline = min(now + call.tries * call.timeout, call.end)
        self._calls[call.id] = call
        self._dispatch(call, now)
        self._pump(now)

    def abandon(self, call: Call, kept: int = 0) -> None:
        """Forgets a call for which nobody waits any more, after the answer to the attempt ``kept``, if any."""
        call.take_back(kept)
        self._calls.pop(call.id, None)
        self._waiting.pop(call.id, None)
        self._take_off(call)

    def close(self) -> None:
        self._open_at = float("inf")
        self.flush()
        for line in self._lines:
            line.link.close(LINGER_MS)
        self._line = None
        for call in list(self._calls.values()):
            self._fail(call, ClosedError("the client was closed"))

    def up(self, line: Line, now: float) -> None:
        line.is_up = True
        line.heard_at = now
        self._why.clear()
        self._key_refusals = 0
        greet(self._settings, line.link)
        self._send_waiting(now)

    def down(self, line: Line, reason: str, now: float) -> None:
        if line in self._retired:
            self._close(line, now)
        if line is not self._line:
            return
        self._why[self._settings.endpoints[line.endpoint]] = reason
        if not line.is_up:
            self._key_refusals += reason == KEY_REFUSED
            if self._key_refusals >= KEY_REFUSALS and self._is_shut_out:
                for call in list(self._waiting.values()):
                    self._fail(call, key_error(call))
            self._move_on(line, "unreachable", now)
            return
        # Its broker may be alive: the same end point first.
        self._failures += 1
        self._line = None
        self._open_at = now + self._pause(self._failures)
        self._close(line, now)

    def received(self, line: Line, frames: Sequence[bytes], now: float) -> None:
        line.heard_at = now
        answer = wire.parse_answer(frames)
        if answer is None:
            self.counters["malformed"] += 1
            return
        if answer.correlation == PROBE:
            if answer.service == b"mmi.broker":
                self._learnt(line, answer.body, now)
            return
        if answer.correlation[:-1] == PROBE:
            self.whys.received(answer)
            return
        call = self._calls.get(answer.correlation[:-1])
        if call is None:
            self.counters["late"] += bool(answer.correlation)
            if not answer.correlation:
                for deaf in line.hearing.received(answer, list(line.out.values())):
                    self._fail(deaf, refused(deaf, answer.body))
            return
        attempt = answer.correlation[-1]
        if answer.service == wire.REFUSED:
            is_last = attempt == call.attempt & 255 and call.id in self._line_of
            # Parts of an earlier one come: this one was taken back.
            if is_last and call.parts_of in (None, call.attempt):
                self._refused(call, answer.body, now)
        elif not call.accepts(attempt, answer.final):
            self.counters["late"] += answer.final
        elif answer.service == wire.FAILED and len(answer.body) >= 3:
            self._fail(call, received_service_error(answer.body), call.answer_of)
        else:
            self._failures = 0
            self._order.answered()
            self._answered(call, answer, now)

    def tick(self, now: float) -> None:
        line = self._line
        if line is not None and not line.is_up and now >= line.until:
            self.down(line, "no answer", now)
        elif line is not None and now >= self._watch_at(line):
            self._watch(line, now)
        while self._timers and self._timers[0][0] <= now:
            at, key = heapq.heappop(self._timers)
            call = self._calls.get(key)
            if call is not None and call.next_at == at:
                self._due(call, now)
        self._pump(now)

    def ask_why(self, service: bytes, now: float) -> None:
        """Asks the broker that is connected why a request for this service has no answer."""
        if self._line is not None and self._line.is_up:
            self.whys.ask(self._line.link, service, self.facts, now)

    def flush(self) -> None:
        """The end of a turn: tells brokers which answers nobody waits for any more."""
        for line in self._lines:
            line.cancels.flush()

    def next_at(self) -> float:
        """When ``tick`` is due next; infinity: never."""
        at = self._timers[0][0] if self._timers else float("inf")
        if self._line is not None:
            return min(at, self._watch_at(self._line) if self._line.is_up else self._line.until)
        return min(at, self._open_at) if self._waiting else at

    def _watch_at(self, line: Line) -> float:
        """When a node of a pair that holds requests has said nothing for too long; infinity: never."""
        if not line.out or len(self._settings.endpoints) == 1 or not self._order.heartbeat:
            return float("inf")
        return max(line.heard_at, line.quiet_at, line.asked_at) + QUIET_HEARTBEATS * self._order.heartbeat

    def _watch(self, line: Line, now: float) -> None:
        """Asks whether it lives, however long its requests may take; leaves it if it was asked in vain."""
        if line.asked_at <= max(line.heard_at, line.quiet_at):
            line.asked_at = now
            probe(self._settings, line.link)
        else:
            self._move_on(line, "quiet", now)

    def _learnt(self, line: Line, body: Sequence[bytes], now: float) -> None:
        facts = wire.parse_facts(body)
        line.cancels.learnt(facts)
        self._order.heartbeat = facts.pair_heartbeat_ms / 1000
        if line is self._line:
            self.facts = facts
            self._send_waiting(now)

    def _answered(self, call: Call, answer: wire.Answer, now: float) -> None:
        if answer.final:
            self.abandon(call, call.answer_of)
            finish(call, answer)
            return
        call.take_back(call.answer_of)
        error = take_part(call, answer, self._settings.buffer_bytes)
        if error is not None:
            self.abandon(call)
            call.done(None, error)
            return
        # A service that still sends is not late.
        call.until = now + call.timeout
        if call.is_streamed:
            call.deadline = min(max(call.deadline, call.until), call.end)
        call.until = min(call.until, call.deadline)
        self._timer(call, call.until)

    def _refused(self, call: Call, body: Sequence[bytes], now: float) -> None:
        status = status_of(body)
        line = self._take_off(call)
        call.refused(call.attempt & 255)
        if status not in (429, 503) or call.is_streamed:
            self._fail(call, refused(call, body))
            return
        # No worker ran it: the send does not count.
        call.sends -= 1
        call.refusal = body
        if status == 503 and line is self._line and line is not None and self._order.refused(line.endpoint, now):
            self._why[self._settings.endpoints[line.endpoint]] = "not active"
            self._move_on(line, "refused", now)
        elif status == 429 or line is self._line:
            call.refusals += 1
            self._timer(call, min(call.deadline, now + self._pause(call.refusals)))
            return
        self._dispatch(call, now)
        self._pump(now)

    def _due(self, call: Call, now: float) -> None:
        line = self._line_of.get(call.id)
        if self._waiting.pop(call.id, None) is not None and self._line is not None and self._line.is_up:
            line = self._line  # which has not said whether it supports headers
        is_silent = line is not None and line is self._line and line.heard_at <= call.sent_at
        if line is not None and now < call.until:
            if now >= call.why_at:
                call.why_at = float("inf")
                self.whys.ask(line.link, call.service, self.facts if line is self._line else None, now)
            elif is_silent:  # is the broker dead, or the service slow?
                probe(self._settings, line.link)
            self._timer(call, min(call.until, call.why_at))
            return
        is_over = now >= call.deadline or call.is_streamed or (line is not None and call.sends >= call.tries)
        if is_over and line in self._retired:
            call.take_back()  # that line may be closed now
        self._take_off(call)
        # A deadline may leave a broker less time to answer than a time-out does.
        is_early = line is not None and call.end <= now < line.quiet_at + call.timeout
        if is_silent and line is not None and not is_early:
            self._move_on(line, "silent", now)
        if is_over:
            self._time_out(call, now)
        else:
            self._dispatch(call, now)

    def _time_out(self, call: Call, now: float) -> None:
        is_up = self._line is not None and self._line.is_up
        self._fail(call, late_error(call, self._why, is_up, now, self.whys.of(call.service, now)))

    @property
    def _lines(self) -> "list[Line]":
        return [*self._retired, *([self._line] if self._line else [])]

    @property
    def _is_shut_out(self) -> bool:
        """Whether no end point admits this client's key."""
        return all(self._why.get(each) == KEY_REFUSED for each in self._settings.endpoints)

    def _fail(self, call: Call, error: MajordomoError, kept: int = 0) -> None:
        self.abandon(call, kept)
        call.done(None, error)

    def _timer(self, call: Call, at: float) -> None:
        call.next_at = at
        heapq.heappush(self._timers, (at, call.id))

    def _pause(self, failures: int) -> float:
        settings = self._settings
        pause = backoff_ms(settings.retry_base_ms, settings.retry_max_ms, failures) / 1000
        # Nodes of a pair may change roles within heartbeats.
        return min(pause, self._order.heartbeat / 2) if self._order.heartbeat else pause

    def _take_off(self, call: Call) -> Optional[Line]:
        """Takes a request off the line on which it waits for an answer; None: it is on none."""
        line = self._line_of.pop(call.id, None)
        if line is not None:
            del line.out[call.id]
            if line in self._retired and not line.out:
                del self._retired[line]
                line.cancels.flush()
                line.link.close(LINGER_MS)
        return line

    def _move_on(self, line: Line, why: str, now: float) -> None:
        """Goes to the next end point, and sends there what has no answer yet, unless this one may still answer."""
        if why in ("silent", "quiet"):
            self._why[self._settings.endpoints[line.endpoint]] = "silent"
        self._line = None
        self._endpoint = self._order.after(line.endpoint)
        self._open_at = self._order.leave(line.endpoint, why, now)
        if why in ("refused", "quiet") and line.out:
            self._retired[line] = None
        else:
            self._close(line, now)
        for call in list(line.out.values()) if why == "quiet" else ():
            if call.sends < call.tries and not call.is_streamed:
                self._take_off(call)
                self._dispatch(call, now)
        self._pump(now)

    def _close(self, line: Line, now: float) -> None:
        self._retired.pop(line, None)
        line.cancels.end()
        line.link.close()
        for call in list(line.out.values()):
            self._take_off(call)
            if call.sends >= call.tries or call.is_streamed:
                self._time_out(call, now)
            else:
                self._dispatch(call, now)

    def _pump(self, now: float) -> None:
        if self._line is None and self._waiting and now >= self._open_at:
            several = len(self._settings.endpoints) > 1
            self.facts = None
            self.counters["reopened"] += self._open_at > float("-inf")
            self._open_at = now
            self._line = line = Line(self._endpoint, self._dial, now + DIAL_PATIENCE if several else float("inf"),
                                     self._settings)
            reason = line.link.open(self._settings.endpoints[line.endpoint])
            if reason is not None:
                self.down(line, reason, now)

    def _send_waiting(self, now: float) -> None:
        waiting, self._waiting = self._waiting, {}
        for call in waiting.values():
            self._dispatch(call, now)

    def _dispatch(self, call: Call, now: float) -> None:
        """Sends a call, or keeps it until it can be sent."""
        line = self._line
        if line is None or not line.is_up:
            self._waiting[call.id] = call
            self._timer(call, call.deadline)
            return
        if line.heard_at > line.quiet_at:
            line.quiet_at = now
        if call.headers is not None and self.facts is None:
            self._waiting[call.id] = call
            call.sent_at = now
            call.until = min(call.deadline, now + call.timeout)
            self._timer(call, call.until)
            return
        error = obstacle(call, self.facts)
        if error is not None:
            self._fail(call, error)
            return
        deaf = line.hearing.refuses()
        if deaf is not None:
            call.refusal = deaf
            call.refusals += 1
            self._timer(call, min(call.deadline, now + self._pause(call.refusals)))
            return
        self.counters["resends"] += call.sends > 0
        call.sent(now, line.cancels)
        call.until = min(call.deadline, now + call.timeout)
        lead = why_lead(call.until - now) if call.sends >= call.tries or call.until >= call.deadline else 0
        if lead:
            call.why_at = call.until - lead
        self._timer(call, now + (call.until - now) / 2)
        self._line_of[call.id] = line
        line.out[call.id] = call
        line.link.send(frames_of(self._settings, call, now))
