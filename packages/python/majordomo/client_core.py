"""The protocol of a client, without I/O: what to send, when to send it again, and where.

One connection at a time. ``Link`` is how the core acts; the owner tells it what happens (``up``,
``down``, ``received``, ``tick``) and calls ``tick`` no later than ``next_at()``. Times are seconds of a
monotonic clock.
"""

from __future__ import annotations

import heapq
from typing import Optional, Sequence

from . import wire
from .call import Call, Settings
from .errors import (
    ClosedError,
    LimitError,
    MajordomoError,
    RequestTimeoutError,
    StreamBrokenError,
    UnreachableError,
    received_service_error,
)
from .exchange import PROBE, Link, finish, frames_of, greet, obstacle, probe, refused, status_of, take_part
from .options import backoff_ms

# With several endpoints, how long one may take to accept a connection.
DIAL_PATIENCE = 1.0


class ClientCore:
    def __init__(self, settings: Settings, link: Link) -> None:
        self._settings = settings
        self._link = link
        self._calls: dict[bytes, Call] = {}
        self._waiting: dict[bytes, Call] = {}
        self._timers: list[tuple[float, bytes]] = []  # of calls that may have ended
        self._count = 0
        self._state = "none"
        self._endpoint = 0
        self._dial_until = float("inf")
        self._pause_until = 0.0
        self._failures = 0  # connections that did not come about, in a row
        self._refusals = 0  # answers "not active", in a row
        self._heard_at = -1.0
        self._why: dict[str, str] = {}
        self.facts: Optional[wire.Facts] = None
        self.counters = {"late": 0, "malformed": 0, "resends": 0, "reopened": 0}

    def start(self, call: Call, now: float) -> None:
        if len(self._calls) >= self._settings.max_outstanding:
            call.done(None, LimitError(f"{len(self._calls)} requests wait already (max_outstanding)"))
            return
        self._count += 1
        call.correlation = self._count.to_bytes(8, "big")
        call.deadline = now + min(call.tries * call.timeout, call.limit)
        self._calls[call.correlation] = call
        self._wait(call, call.deadline)
        self._pump(now)

    def abandon(self, call: Call) -> None:
        self._calls.pop(call.correlation, None)
        self._waiting.pop(call.correlation, None)

    def close(self) -> None:
        self._link.close()
        self._state = "closed"
        for call in list(self._calls.values()):
            self._fail(call, ClosedError("the client was closed"))

    def up(self, now: float) -> None:
        self._state = "up"
        self._failures = 0
        self._heard_at = now
        self._why.clear()
        greet(self._settings, self._link)
        self._pump(now)

    def down(self, reason: str, now: float) -> None:
        if self._state not in ("up", "dialling"):
            return
        was_up = self._state == "up"
        self._why[self._settings.endpoints[self._endpoint]] = reason
        if was_up:
            # Its broker may be alive: the same end point first.
            self._leave(now, advance=False)
            return
        self._failures += 1
        self._leave(now, advance=True)

    def received(self, frames: Sequence[bytes], now: float) -> None:
        self._heard_at = now
        answer = wire.parse_answer(frames)
        if answer is None:
            self.counters["malformed"] += 1
            return
        if answer.correlation == PROBE:
            self.facts = wire.parse_facts(answer.body)
            self._pump(now)
            return
        call = self._calls.get(answer.correlation)
        if call is None:
            if answer.correlation:  # else the answer to hello
                self.counters["late"] += 1
            return
        if answer.service == wire.REFUSED:
            self._refused(call, answer.body, now)
        elif answer.service == wire.FAILED and len(answer.body) >= 3:
            self._fail(call, received_service_error(answer.body))
        else:
            self._refusals = 0
            self._answered(call, answer, now)

    def tick(self, now: float) -> None:
        if self._state == "dialling" and now >= self._dial_until:
            self.down("no answer", now)
        while self._timers and self._timers[0][0] <= now:
            at, correlation = heapq.heappop(self._timers)
            call = self._calls.get(correlation)
            if call is not None and call.next_at == at:
                self._due(call, now)
        self._pump(now)

    def next_at(self) -> float:
        """When ``tick`` is due next; infinity: never."""
        at = self._timers[0][0] if self._timers else float("inf")
        if self._state == "dialling":
            return min(at, self._dial_until)
        return min(at, self._pause_until) if self._state == "none" and self._calls else at

    def _answered(self, call: Call, answer: wire.Answer, now: float) -> None:
        if answer.final:
            self.abandon(call)
            finish(call, answer)
            return
        error = take_part(call, answer, self._settings.buffer_bytes)
        if error is not None:
            self._fail(call, error)
        else:
            # A service that still sends is not late.
            call.until = now + call.timeout
            if call.is_streamed:
                call.deadline = max(call.deadline, call.until)
            call.until = min(call.until, call.deadline)
            self._timer(call, call.until)

    def _refused(self, call: Call, body: Sequence[bytes], now: float) -> None:
        status = status_of(body)
        if status not in (429, 503):
            self._fail(call, refused(call, body))
            return
        # No worker ran it: the send does not count.
        call.sends -= 1
        call.refusals += 1
        if status == 429:
            self._wait(call, min(call.deadline, now + self._pause(call.refusals)), now)
            return
        self._wait(call, call.deadline)
        self._refusals += 1
        self._why[self._settings.endpoints[self._endpoint]] = "not active"
        self._leave(now, advance=True, pause=self._refusals % len(self._settings.endpoints) == 0)

    def _due(self, call: Call, now: float) -> None:
        is_missed = call.sent_at is not None and now >= call.until
        if now >= call.deadline or (is_missed and (call.is_streamed or call.sends >= call.tries)):
            self._time_out(call)
        elif call.sent_at is None:
            self._wait(call, call.deadline)
        elif now >= call.until:
            if self._heard_at > call.sent_at:
                self._wait(call, call.deadline)
            else:
                self._why[self._settings.endpoints[self._endpoint]] = "silent"
                self._leave(now, advance=True)
        else:
            # Is the broker dead, or the service slow?
            if self._state == "up" and self._heard_at <= call.sent_at:
                probe(self._settings, self._link)
            self._timer(call, call.until)

    def _time_out(self, call: Call) -> None:
        if call.is_streamed:
            self._fail(call, StreamBrokenError(f"{call.name}: the stream ended before its last part"))
            return
        why = "; ".join(f"{endpoint}: {reason}" for endpoint, reason in self._why.items())
        if call.sends == 0 and call.refusals == 0 and self._state != "up":
            self._fail(call, UnreachableError(f"no broker could be reached: {why or 'no answer'}"))
        else:
            text = f"{call.name}: no answer; sent {call.sends} times"
            self._fail(call, RequestTimeoutError(text, {"sends": call.sends, "service": call.name}))

    def _fail(self, call: Call, error: MajordomoError) -> None:
        self.abandon(call)
        call.done(None, error)

    def _wait(self, call: Call, at: float, now: Optional[float] = None) -> None:
        """It is sent as soon as may be; with ``now``, only at ``at``."""
        call.sent_at = None
        call.parts, call.part_bytes = [], 0
        if now is None:
            self._waiting[call.correlation] = call
        self._timer(call, at)

    def _timer(self, call: Call, at: float) -> None:
        call.next_at = at
        heapq.heappush(self._timers, (at, call.correlation))

    def _pause(self, failures: int) -> float:
        longest = self._settings.retry_max_ms
        if self.facts is not None and self.facts.pair_heartbeat_ms:
            longest = min(longest, self.facts.pair_heartbeat_ms / 2)
        return backoff_ms(self._settings.retry_base_ms, longest, failures) / 1000

    def _leave(self, now: float, advance: bool, pause: Optional[bool] = None) -> None:
        """Go to the next connection, and send there what has no answer yet."""
        self._link.close()
        self._state = "none"
        self.counters["reopened"] += 1
        count = len(self._settings.endpoints)
        if advance:
            self._endpoint = (self._endpoint + 1) % count
        if pause is None:
            pause = self._failures > 0 and self._failures % count == 0
        self._pause_until = now + self._pause(max(self._failures, self._refusals) // count) if pause else now
        for call in list(self._calls.values()):
            if call.sent_at is None:
                continue
            if call.sends >= call.tries or call.is_streamed:
                self._time_out(call)
            else:
                self._wait(call, call.deadline)
        self._pump(now)

    def _pump(self, now: float) -> None:
        if self._state == "none" and self._calls and now >= self._pause_until:
            self._state = "dialling"
            several = len(self._settings.endpoints) > 1
            self._dial_until = now + DIAL_PATIENCE if several else float("inf")
            self.facts = None
            reason = self._link.open(self._settings.endpoints[self._endpoint])
            if reason is not None:
                self.down(reason, now)
        if self._state == "up":
            for call in list(self._waiting.values()):
                self._dispatch(call, now)

    def _dispatch(self, call: Call, now: float) -> None:
        if call.headers is not None and self.facts is None:
            return  # its answer comes first
        error = obstacle(call, self.facts)
        if error is not None:
            self._fail(call, error)
            return
        self._waiting.pop(call.correlation, None)
        self.counters["resends"] += call.sends > 0
        call.sends += 1
        call.sent_at = now
        call.until = min(call.deadline, now + call.timeout)
        self._timer(call, now + (call.until - now) / 2)
        self._link.send(frames_of(self._settings, call, now))
