"""The protocol of a client, without I/O: what to send, when to send it again, and where.

A broker with sessions is sent a request once. While anything is out there it has to be heard of, and when its
connection is lost it is asked over the next what it has: only what never arrived is sent again. Other brokers,
and services of brokers themselves, are sent again what has no answer for a while.

Requests go out over one connection. One to a node that has refused stays open until the requests that
it holds have their answers, so that they are not run twice. The owner tells what happens (``up``,
``down``, ``received``, ``tick``) and calls ``tick`` no later than ``next_at()``. Times are seconds of a
monotonic clock.
"""

from __future__ import annotations

import secrets
from typing import Callable, Optional, Sequence

from . import wire
from .call import Call, Lost, Settings
from .endpoint_order import EndpointOrder
from .errors import ClosedError, LimitError, MajordomoError, received_service_error
from .exchange import (
    IDS_MAX,
    KEY_REFUSALS,
    KEY_REFUSED,
    LINGER_MS,
    LOST,
    PROBE,
    Cancels,
    Hearing,
    Link,
    Timers,
    Whys,
    finish,
    frames_of,
    greet,
    is_draining,
    key_error,
    late_error,
    obstacle,
    outcome_error,
    probe,
    refused,
    status_of,
    take_part,
    why_lead,
)
from .options import backoff_ms

# With several endpoints, how long one may take to accept a connection.
DIAL_PATIENCE = 1.0
# How long a broker that holds requests may say nothing before it is asked whether it lives, and then again: one with
# sessions in seconds, and a node of a pair in heartbeats of the pair.
QUIET = 1.25
QUIET_HEARTBEATS = 1.25
# When a broker is asked again for an answer that it keeps, if nothing has come: it waits for room on the connection.
KEPT_PAUSE = 0.05
# How many of the requests that were given up without a connection are taken back when there is one again.
GIVEN_UP_MAX = 1000
# How many ids of a request may still be answered: its sends are numbered modulo that.
_SENDS_MAX = 256


class Line:
    """A connection to one end point."""

    def __init__(self, endpoint: int, dial: "Callable[[Line], Link]", until: float, settings: Settings,
                 session: str) -> None:
        self.endpoint = endpoint
        self.until = until  # the patience with it, until it is up
        self.is_up = False
        self.heard_at: float = -1.0
        self.quiet_at: float = -1.0  # when it was sent something first, since then
        self.asked_at: float = -1.0  # when it was last asked whether it lives
        self.probed_at: float = -1.0  # or for the sake of a request
        self.out: dict[bytes, Call] = {}
        self.link: Link = dial(self)
        self.cancels: Cancels = Cancels(settings, self.link)
        self.hearing: Hearing = Hearing(settings, self.link, session)
        # What its broker says; None: it has not yet.
        self.session: Optional[wire.Session] = None
        self.has_session = False
        if not session:
            self.set_session(wire.NO_SESSION)
        self.instance: Optional[str] = None
        # Requests were lost before it: its broker has to say first what it knows of them, and all others wait.
        self.is_asking = False
        self.ask_at: float = float("inf")  # when it goes on with that, if the broker says nothing
        self.asked: list[tuple[Call, Lost]] = []
        self.unasked: list[tuple[Call, Lost]] = []
        self.has_more = False  # others were lost since it began to ask

    def set_session(self, session: wire.Session) -> None:
        self.session = session
        self.has_session = session.resume > 0

    def may_keep(self, call: Call) -> bool:
        """Whether its broker, as far as is known, keeps the call when the connection is lost."""
        return not call.is_of_broker and (self.session is None or self.has_session)


class ClientCore:
    """``dial`` makes the link of a line."""

    def __init__(self, settings: Settings, dial: Callable[[Line], Link]) -> None:
        self._settings = settings
        self._dial = dial
        self._calls: dict[bytes, Call] = {}
        self._waiting: dict[bytes, Call] = {}
        self._timers = Timers(self._calls.get)
        # Ids have eight bytes: they do not start anew, and only grow within a session.
        self._count = 0
        self._last_id = b""
        self._open = 0  # calls that have not ended
        self._session = secrets.token_urlsafe(16) if settings.version == 2 else ""
        self._given_up: list[Lost] = []
        # End points whose broker keeps no session, as far as is known.
        self._sessionless: set[int] = set()
        self._line: Optional[Line] = None
        # Those that are open: the present one, and retired ones whose brokers still hold requests.
        self._lines: dict[Line, None] = {}
        self._line_of: dict[bytes, Line] = {}  # of calls that are out
        self._endpoint = 0
        self._open_at = float("-inf")  # until the first is opened
        self._key_refusals = 0  # since a handshake succeeded
        self._failures = 0  # connections lost in a row without an answer
        self._order = EndpointOrder(len(settings.endpoints), self._pause)
        self._why: dict[str, str] = {}
        self.facts: Optional[wire.Facts] = None
        self.whys: Whys = Whys(settings)
        self.counters: dict[str, int] = {"late": 0, "malformed": 0, "resends": 0, "resumed": 0, "reopened": 0}

    def start(self, call: Call, now: float) -> None:
        if self._open >= self._settings.max_outstanding:
            call.done(None, LimitError(f"{self._open} requests wait already (max_outstanding)"))
            return
        self._open += 1
        self._give_id(call)
        self._dispatch(call, now)
        self._pump(now)

    def abandon(self, call: Call, kept: int = 0) -> None:
        """Forgets a call for which nobody waits any more, after the answer to the attempt ``kept``, if any."""
        call.take_back(kept)
        self._open -= self._calls.pop(call.id, None) is not None
        for each in call.earlier_ids:
            self._calls.pop(each, None)
        self._waiting.pop(call.id, None)
        if call.lost:
            answered = [correlation for _, _, correlation in call.out]
            useless = [each for each in call.lost if each.correlation not in answered]
            self._given_up += useless[: GIVEN_UP_MAX - len(self._given_up)]
            call.lost = []
        self._take_off(call)

    def close(self) -> None:
        self._open_at = float("inf")
        self.flush()
        for line in self._lines:
            line.link.close(LINGER_MS)
        self._lines.clear()
        self._line = None
        for call in list(dict.fromkeys(self._calls.values())):
            self._fail(call, ClosedError("the client was closed"))

    def up(self, line: Line, now: float) -> None:
        line.is_up = True
        line.heard_at = now
        self._why.clear()
        self._key_refusals = 0
        greet(self._settings, line.link, self._session)
        if not self._ask_if_lost(line, now):
            self._send_waiting(now)

    def down(self, line: Line, reason: str, now: float) -> None:
        if line is not self._line:
            if line in self._lines:
                self._close(line, now)
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
        if line.unasked and line.ask_at < float("inf"):
            line.ask_at = now  # the connection has room again
        call = self._calls.get(answer.correlation[:-1])
        if call is None:
            self.counters["late"] += bool(answer.correlation)
            if not answer.correlation and answer.service == wire.REFUSED and is_draining(answer.body):
                self._ended(line, answer.body, now)
            elif not answer.correlation:
                for deaf in line.hearing.received(answer, list(line.out.values())):
                    self._fail(deaf, refused(deaf, answer.body))
                self._told(line, answer, now)
            return
        attempt = answer.correlation[-1]
        if answer.service == wire.REFUSED:
            lost = [each for each in call.lost if each.correlation == answer.correlation and call.id in self._waiting]
            if lost:  # it comes before what the broker says of that send
                del self._waiting[call.id]
                call.lost.remove(lost[0])
            is_last = answer.correlation == call.awaited and call.id in self._line_of
            # Parts of an earlier one come: this one was taken back.
            if lost or (is_last and call.parts_of in (None, call.attempt)):
                self._refused(call, line, answer.body, attempt, now)
        elif not call.accepts(attempt, answer.final):
            self.counters["late"] += answer.final
        else:
            # One that was asked for may be here before what the broker says of it.
            self.counters["resumed"] += bool(answer.final and call.lost and call.id in self._waiting)
            if answer.service == wire.FAILED and len(answer.body) >= 3:
                self._fail(call, received_service_error(answer.body), call.answer_of)
                return
            self._failures = 0
            self._order.answered()
            self._answered(call, answer, now)

    def tick(self, now: float) -> None:
        line = self._line
        if line is not None and not line.is_up and now >= line.until:
            self.down(line, "no answer", now)
        elif line is not None and now >= line.ask_at:
            self._go_on_asking(line, now)
        for each in [*self._lines]:
            if now >= self._watch_at(each):
                self._watch(each, now)
        for call in self._timers.due(now):
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
        at = self._timers.next_at
        line = self._line
        for each in self._lines:
            at = min(at, self._watch_at(each))
        if line is not None:
            return min(at, line.ask_at if line.is_up else line.until)
        return min(at, self._open_at) if self._waiting else at

    def _watch_at(self, line: Line) -> float:
        """When a broker that holds requests, or is asked for them, has said nothing for too long; infinity: never."""
        if not line.out and not line.is_asking:
            return float("inf")
        heartbeat = self._order.heartbeat
        if line.has_session or line.is_asking:
            least = QUIET
        elif heartbeat > 0 and line is self._line and len(self._settings.endpoints) > 1:
            least = 0.0
        else:
            return float("inf")
        return max(line.heard_at, line.quiet_at, line.asked_at) + max(least, QUIET_HEARTBEATS * heartbeat)

    def _watch(self, line: Line, now: float) -> None:
        """Asks whether it lives, however long its requests may take; leaves it if it was asked in vain."""
        if line.asked_at <= max(line.heard_at, line.quiet_at):
            line.asked_at = now
            probe(self._settings, line.link)
        elif line is not self._line:
            self._close(line, now)
        else:
            # With a session it is asked for late answers, too, when it is met again.
            self._move_on(line, "silent" if line.is_asking or line.has_session else "quiet", now)

    def _learnt(self, line: Line, body: Sequence[bytes], now: float) -> None:
        facts = wire.parse_facts(body)
        if line.instance not in (None, facts.instance):  # behind a proxy its successor answers
            if line is self._line:
                self._move_on(line, "silent", now)
            else:
                self._close(line, now)
            return
        line.cancels.learnt(facts)
        line.instance = facts.instance
        if self._order.heartbeat != facts.pair_heartbeat_ms / 1000:
            self._order.heartbeat = facts.pair_heartbeat_ms / 1000
            for call in list(line.out.values()):  # what is out may be sent again too soon for a pair
                self._wait_for_answer(call, line, now)
        if line is self._line:
            self.facts = facts
            self._met(line, now)

    def _told(self, line: Line, answer: wire.Answer, now: float) -> None:
        """What a broker says of the session, or of lost sends."""
        about = answer.body[1] if answer.service == wire.REFUSED and len(answer.body) > 1 else answer.service
        if about == b"mmi.hello":
            if answer.service == wire.REFUSED:
                if line is self._line and line.is_asking:
                    self.down(line, "the hello was refused", now)  # it may have the session: asked after a pause
                    return
                line.set_session(line.session or wire.NO_SESSION)
            elif self._session:
                line.set_session(wire.parse_session(answer.body))
            self._sessionless.add(line.endpoint)
            if line.has_session:  # what was sent before that was known waits for its answer now
                self._sessionless.discard(line.endpoint)
                for call in list(line.out.values()):
                    self._wait_for_answer(call, line, now)
            if line is self._line:
                self._met(line, now)
        elif about == b"mmi.resume" and line.asked and line is self._line:
            if answer.service == wire.REFUSED or answer.body[:1] != [b"200"]:
                self.down(line, "it does not say what became of requests", now)
                return
            asked, line.asked = line.asked, []
            for at, (call, lost) in enumerate(asked):
                # It may have been answered just before, or been given up.
                if lost in call.lost:
                    self._became(line, call, lost, answer.body[1 + at] if len(answer.body) > 1 + at else b"gone", now)
            if line.unasked and line.ask_at < float("inf"):
                return
            self._ask_next(line, now)

    def _met(self, line: Line, now: float) -> None:
        """The broker has said what it knows, or some of it."""
        if line.session is not None and line.session.is_known and line.instance is not None and self._given_up:
            given_up, self._given_up = self._given_up, []
            line.cancels.add([each.correlation for each in given_up if each.instance in ("", line.instance)])
        if not line.is_asking:
            self._send_waiting(now)
        elif not line.asked and not line.unasked:
            self._ask_of_lost(line, now)

    def _ask_if_lost(self, line: Line, now: float) -> bool:
        """Before anything is sent, the broker is asked what became of lost sends; False: there are none."""
        line.is_asking = any(call.lost for call in self._waiting.values())
        if line.is_asking:
            line.ask_at = now + QUIET
        return line.is_asking

    def _go_on_asking(self, line: Line, now: float) -> None:
        line.ask_at = float("inf")
        if line.unasked:
            self._ask_next(line, now)
            return
        lost = [each for call in self._waiting.values() for each in call.lost]
        # It answers no questions. No broker has ever said that it keeps these: there may be no sessions here at all.
        if all(each.instance == "" for each in lost):
            self._sessionless.add(line.endpoint)
            line.set_session(line.session or wire.NO_SESSION)
            line.instance = line.instance or ""
            self._ask_of_lost(line, now)

    def _ask_of_lost(self, line: Line, now: float) -> None:
        """A broker says what became of the sends that it had, if it can. Others were at one that has died, or is left."""
        session = line.session
        if session is None or line.instance is None:
            return
        line.ask_at = float("inf")
        line.has_more = False
        for call in sorted((each for each in self._waiting.values() if each.lost), key=lambda each: each.id):
            here = [each for each in call.lost if each.instance in ("", line.instance)]
            if here and session.is_known:
                line.unasked += [(call, each) for each in here]
            # A broker that got one later still has its session. This one may have had it, and kept nothing for so long: the
            # client was away, or was held up and did not see that.
            elif any((each.instance or session.resume) and each.at + session.resume <= now for each in here):
                self._fail(call, outcome_error(call, "its client was away for too long"))
            elif call.once:
                self._fail(call, outcome_error(call, LOST))
            else:
                call.lost = [each for each in call.lost if each not in here]
        self._ask_next(line, now)

    def _ask_next(self, line: Line, now: float) -> None:
        left = [each for each in line.unasked if each[1] in each[0].lost]  # others were answered meanwhile, or given up
        line.asked, line.unasked = left[:IDS_MAX], left[IDS_MAX:]
        if line.asked:
            sends = [lost.correlation for _, lost in line.asked]
            line.link.send(wire.request(self._settings.version, b"", b"mmi.resume", sends))
        elif line.has_more:
            self._ask_of_lost(line, now)
        else:
            line.is_asking = False
            self._send_waiting(now)

    def _became(self, line: Line, call: Call, lost: Lost, state: bytes, now: float) -> None:
        if state == b"kept":
            line.unasked.insert(0, (call, lost))
            line.ask_at = now + KEPT_PAUSE
        elif state == b"open":
            del self._waiting[call.id]
            call.found(lost, line.cancels)
            self.counters["resumed"] += 1
            self._put_on(call, line)
            self._wait_for_answer(call, line, now)
        elif state == b"unknown":  # it never arrived
            call.lost.remove(lost)
            call.sends -= 1
        else:
            self._fail(call, outcome_error(call, "the broker has neither the request nor its answer"))

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
        line = self._line_of.get(call.id)
        if line is not None:  # a service that still sends is not late
            call.sent_at = now
            self._wait_for_answer(call, line, now)

    def _ended(self, line: Line, body: Sequence[bytes], now: float) -> None:
        """A broker says that it ends: what it has not answered by now it never took."""
        for call in [each for each in line.out.values() if not each.is_of_broker]:
            self._refused(call, line, body, call.awaited[-1], now)

    def _refused(self, call: Call, line: Line, body: Sequence[bytes], attempt: int, now: float) -> None:
        status = status_of(body)
        self._take_off(call)
        call.refused(attempt)
        if status not in (429, 503) or call.is_streamed:
            self._fail(call, refused(call, body))
            return
        # No worker ran it: the send does not count.
        call.sends -= 1
        call.refusal = body
        is_of_use = self._order.refused(line.endpoint, now) if status == 503 and line is self._line else False
        # One that is about to end is left in any case.
        if is_of_use or (line is self._line and is_draining(body) and len(self._settings.endpoints) > 1):
            self._why[self._settings.endpoints[line.endpoint]] = "not active"
            self._move_on(line, "refused", now)
        elif status == 429 or line is self._line:
            self._rest(call, now)
            return
        self._dispatch(call, now)
        self._pump(now)

    def _rest(self, call: Call, now: float) -> None:
        call.refusals += 1
        self._timers.set(call, min(call.end, now + self._pause(call.refusals)))

    def _due(self, call: Call, now: float) -> None:
        line = self._line_of.get(call.id)
        has_session = line is not None and line.has_session  # whether that is silent shows when it is asked
        if self._waiting.pop(call.id, None) is not None and self._line is not None and self._line.is_up:
            line = self._line  # which has not said whether it supports headers, or what became of lost sends
        is_silent = line is not None and not has_session and line.heard_at <= call.sent_at
        if line is not None and now < call.until:
            if now >= call.why_at:
                call.why_at = float("inf")
                self.whys.ask(line.link, call.service, self.facts if line is self._line else None, now)
            elif is_silent:  # is the broker dead, or the service slow?
                self._probe(line, now)
            self._timers.set(call, min(call.until, call.why_at))
            return
        is_over = now >= call.end
        if is_silent and not is_over and line is not None and line.instance is not None and line.probed_at < call.sent_at:
            self._probe(line, now)  # it is asked first, even if the program was too busy to do so in time
            call.until = min(call.end, now + self._silence)
            self._timers.set(call, call.until)
            return
        may_be_sent = call.may_be_sent and call.parts_of is None  # they would be lost with another send
        if call.id in self._line_of and line is not None and not (may_be_sent or is_silent or is_over or call.on_receipt):
            call.sent_at = now
            self._wait_for_answer(call, line, now)
            return
        if is_over and line is not None and line is not self._line:
            call.take_back()  # that line may be closed now
        self._take_off(call)
        # The end of a call may leave a broker less time to answer.
        is_early = line is not None and call.end <= now < line.quiet_at + self._silence
        if is_silent and line is not None and line is self._line and not is_early and not line.is_asking:
            self._move_on(line, "silent", now)
        if is_over or not call.may_be_sent:
            self._time_out(call, now)
        else:
            self._dispatch(call, now)

    def _probe(self, line: Line, now: float) -> None:
        line.probed_at = now
        probe(self._settings, line.link)

    def _time_out(self, call: Call, now: float) -> None:
        is_up = self._line is not None and self._line.is_up
        self._fail(call, late_error(call, self._why, is_up, now, self.whys.of(call.service, now)))

    @property
    def _is_shut_out(self) -> bool:
        """Whether no end point admits this client's key."""
        return all(self._why.get(each) == KEY_REFUSED for each in self._settings.endpoints)

    def _fail(self, call: Call, error: MajordomoError, kept: int = 0) -> None:
        self.abandon(call, kept)
        call.done(None, error)

    def _give_id(self, call: Call) -> None:
        if call.id:
            call.earlier_ids.append(call.id)
            for old in call.earlier_ids[:-_SENDS_MAX]:
                self._calls.pop(old, None)
            del call.earlier_ids[:-_SENDS_MAX]
        self._count += 1
        call.id = self._count.to_bytes(8, "big")
        self._calls[call.id] = call

    @property
    def _silence(self) -> float:
        """How long a request may have no answer before it is sent again, or its broker is dead."""
        return max(self._settings.resend, 2 * QUIET_HEARTBEATS * self._order.heartbeat)

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
            if line is not self._line and not line.out and line in self._lines:
                del self._lines[line]
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
        if why not in ("refused", "quiet") or not line.out:
            self._close(line, now)
        for call in list(line.out.values()) if why == "quiet" else ():
            if call.may_be_sent:
                self._take_off(call)
                self._dispatch(call, now)
        self._pump(now)

    def _close(self, line: Line, now: float) -> None:
        self._lines.pop(line, None)
        line.cancels.end()
        line.link.close()
        for call in list(line.out.values()):
            self._take_off(call)
            if call.is_streamed or call.poll == float("inf"):
                self._time_out(call, now)
            elif line.may_keep(call):
                call.lost.append(Lost(call.awaited, line.instance or "", call.left_at))
                self._wait(call)
            elif call.once:
                self._fail(call, outcome_error(call, LOST))
            else:
                self._dispatch(call, now)
        present = self._line
        if present is None or not present.is_up:
            return
        # What was lost on one that was left is asked for over the present one, or sent there.
        if present.is_asking:
            present.has_more = True
        elif self._ask_if_lost(present, now):
            self._ask_of_lost(present, now)

    def _pump(self, now: float) -> None:
        if self._line is None and self._waiting and now >= self._open_at:
            several = len(self._settings.endpoints) > 1
            self.facts = None
            self.counters["reopened"] += self._open_at > float("-inf")
            self._open_at = now
            self._line = line = Line(self._endpoint, self._dial, now + DIAL_PATIENCE if several else float("inf"),
                                     self._settings, self._session)
            self._lines[line] = None
            if line.endpoint in self._sessionless:
                line.set_session(wire.NO_SESSION)  # until it says otherwise
            reason = line.link.open(self._settings.endpoints[line.endpoint])
            if reason is not None:
                self.down(line, reason, now)

    def _send_waiting(self, now: float) -> None:
        waiting, self._waiting = self._waiting, {}
        for call in sorted(waiting.values(), key=lambda each: each.id):
            self._dispatch(call, now)

    def _dispatch(self, call: Call, now: float) -> None:
        """Sends a call, or keeps it until it can be sent."""
        line = self._line
        if line is None or not line.is_up or line.is_asking:
            self._wait(call)
            return
        if line.heard_at > line.quiet_at:
            line.quiet_at = now
        if call.is_special and self.facts is None:
            self._waiting[call.id] = call
            call.sent_at = now
            call.until = min(call.end, now + self._silence)
            self._timers.set(call, call.until)
            return
        error = obstacle(call, self.facts)
        if error is not None:
            self._fail(call, error)
            return
        deaf = line.hearing.refuses()
        if deaf is not None:
            call.refusal = deaf
            self._rest(call, now)
            return
        self.counters["resends"] += call.sends > 0
        if call.id <= self._last_id:
            self._give_id(call)
        self._last_id = call.id
        call.sent(now, line.cancels)
        self._put_on(call, line)
        self._wait_for_answer(call, line, now)
        line.link.send(frames_of(self._settings, call, self.facts, now))

    def _wait(self, call: Call) -> None:
        """For a connection, or what the broker says of lost sends."""
        self._waiting[call.id] = call
        call.until = call.end
        self._timers.set(call, call.end)

    def _put_on(self, call: Call, line: Line) -> None:
        self._line_of[call.id] = line
        line.out[call.id] = call

    def _wait_for_answer(self, call: Call, line: Line, now: float) -> None:
        is_sent_once = line.has_session and not call.is_of_broker
        call.until = call.end if is_sent_once else min(call.end, now + self._silence + call.poll)
        lead = why_lead(call.until - now) if call.until >= call.end and call.parts_of is None else 0
        call.why_at = call.until - lead if lead else float("inf")
        # Half of it is when a silent broker is asked whether it lives.
        self._timers.set(call, min(call.until, call.why_at) if line.has_session else now + (call.until - now) / 2)
