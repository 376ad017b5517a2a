"""The protocol of a client of independent brokers (the Freelance pattern), without I/O.

It is connected to all. A request goes to the first that is alive, to the next when that is lost, refuses, or,
with ``hedge``, takes longer than that; the first answer wins. Each round asks a broker at most once. The next
begins after ``resend``, behind the last that was asked, and passes over those that are alive and have it. Times are seconds of a monotonic clock.
"""

from __future__ import annotations

from typing import Optional, Sequence

from . import wire
from .call import Call, Settings
from .errors import ClosedError, LimitError, MajordomoError, received_service_error
from .exchange import (
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


class _Node:
    """A broker, which is alive if it is connected and was heard within two pings."""

    def __init__(self, link: Link, endpoint: str, cancels: Cancels, hearing: Hearing) -> None:
        self.link = link
        self.endpoint = endpoint
        self.state = "none"
        self.until = 0.0  # the end of a pause
        self.heard_at = 0.0
        self.pinged_at = 0.0
        self.failures = 0
        self.key_refusals = 0  # in a row
        self.why = "no answer"
        self.facts: Optional[wire.Facts] = None
        self.cancels = cancels
        self.hearing = hearing


class _Race:
    """A request: who was asked in this round, and who may still answer."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.asked: set[int] = set()
        self.open: dict[int, int] = {}  # with the attempt, modulo 256
        self.first = 0
        self.last = -1
        self.hedge_at = float("inf")
        self.resume_at = float("inf")  # the end of a pause after all have refused
        self.may_serve_later = False  # one that was asked in this round has refused for now


class FreelanceCore:
    def __init__(self, settings: Settings, links: Sequence[Link]) -> None:
        self._settings = settings
        pairs = zip(links, settings.endpoints)
        self._nodes = [
            _Node(link, endpoint, Cancels(settings, link), Hearing(settings, link)) for link, endpoint in pairs
        ]
        self._races: dict[bytes, _Race] = {}
        self._timers = Timers(lambda key: self._races[key].call if key in self._races else None)
        self._count = 0
        self.whys: Whys = Whys(settings)
        self.facts: Optional[wire.Facts] = None  # there is not one broker whose they could be
        self.counters: dict[str, int] = {"late": 0, "malformed": 0, "resends": 0, "reopened": 0, "hedges": 0}

    def start(self, call: Call, now: float) -> None:
        if len(self._races) >= self._settings.max_outstanding:
            call.done(None, LimitError(f"{len(self._races)} requests wait already (max_outstanding)"))
            return
        self._count += 1
        call.id = self._count.to_bytes(8, "big")
        race = self._races[call.id] = _Race(call)
        self._begin_round(race, now)

    def abandon(self, call: Call, kept: int = 0) -> None:
        """Forgets a call for which nobody waits any more, after the answer to the attempt ``kept``, if any."""
        call.take_back(kept)
        self._races.pop(call.id, None)

    def close(self) -> None:
        self.flush()
        for node in self._nodes:
            node.link.close(LINGER_MS)
            node.state = "closed"
        for race in list(self._races.values()):
            self._fail(race.call, ClosedError("the client was closed"))

    def up(self, at: int, now: float) -> None:
        node = self._nodes[at]
        node.state, node.failures, node.heard_at, node.pinged_at = "up", 0, now, now
        node.key_refusals = 0
        greet(self._settings, node.link)
        self._look_for_work(now)

    def down(self, at: int, reason: str, now: float) -> None:
        node = self._nodes[at]
        if node.state not in ("up", "dialling"):
            return
        node.link.close()
        node.cancels.end()
        node.state, node.why, node.facts, node.cancels = "none", reason, None, Cancels(self._settings, node.link)
        node.hearing = Hearing(self._settings, node.link)
        node.failures += 1
        node.key_refusals = node.key_refusals + 1 if reason == KEY_REFUSED else 0
        self.counters["reopened"] += 1
        settings = self._settings
        node.until = now + backoff_ms(settings.retry_base_ms, settings.retry_max_ms, node.failures) / 1000
        for race in list(self._races.values()):
            self._without(race, at, now)
        if all(each.key_refusals >= KEY_REFUSALS for each in self._nodes):
            for race in [each for each in self._races.values() if not each.open]:
                self._fail(race.call, key_error(race.call))

    def received(self, at: int, frames: Sequence[bytes], now: float) -> None:
        node = self._nodes[at]
        was_alive = self._is_alive(node, now)
        node.heard_at = now
        answer = wire.parse_answer(frames)
        if answer is None:
            self.counters["malformed"] += 1
            return
        if answer.correlation == PROBE:
            if answer.service == b"mmi.broker":
                node.facts = wire.parse_facts(answer.body)
                node.cancels.learnt(node.facts)
                self._look_for_work(now)
            return
        if answer.correlation[:-1] == PROBE:
            self.whys.received(answer)
            return
        if not was_alive:
            self._look_for_work(now)
        race = self._races.get(answer.correlation[:-1])
        if race is None:
            self.counters["late"] += bool(answer.correlation)
            if not answer.correlation:
                out = [each for each in self._races.values() if at in each.open]
                deaf = node.hearing.received(answer, [each.call for each in out])
                for each in out if deaf else ():
                    self._without(each, at, now)
                    if each.call.id not in self._races or each.open or each.resume_at < float("inf"):
                        continue
                    if each.may_serve_later:
                        self._rest(each, now)
                        self._timer(each)
                    else:
                        self._fail(each.call, refused(each.call, answer.body))
        elif answer.service == wire.REFUSED and race.open.get(at) != answer.correlation[-1]:
            pass  # of an earlier round
        elif answer.service != wire.REFUSED and not race.call.accepts(answer.correlation[-1], answer.final):
            self.counters["late"] += answer.final
        else:
            self._answered(race, at, answer, now)

    def tick(self, now: float) -> None:
        for at, node in enumerate(self._nodes):
            self._tend(at, node, now)
        for call in self._timers.due(now):
            self._due(self._races[call.id], now)

    def flush(self) -> None:
        """The end of a turn: tells brokers which answers nobody waits for any more."""
        for node in self._nodes:
            node.cancels.flush()

    def next_at(self) -> float:
        """When ``tick`` is due next; infinity: never."""
        at = self._timers.next_at
        for node in self._nodes:
            if node.state == "none":
                at = min(at, node.until)
            elif node.state == "up":
                at = min(at, max(node.heard_at, node.pinged_at) + self._settings.ping)
        return at

    def _tend(self, at: int, node: _Node, now: float) -> None:
        ping = self._settings.ping
        if node.state == "none" and now >= node.until:
            node.state = "dialling"
            reason = node.link.open(node.endpoint)
            if reason is not None:
                self.down(at, reason, now)
        elif node.state == "up" and now >= node.heard_at + 2 * ping:
            self.down(at, "silent", now)
        elif node.state == "up" and now >= max(node.heard_at, node.pinged_at) + ping:
            node.pinged_at = now
            probe(self._settings, node.link)

    def _is_alive(self, node: _Node, now: float) -> bool:
        return node.state == "up" and now < node.heard_at + 2 * self._settings.ping

    def _look_for_work(self, now: float) -> None:
        for race in list(self._races.values()):
            if not race.open and race.resume_at == float("inf"):
                self._ask_next(race, now)

    def _begin_round(self, race: _Race, now: float) -> None:
        race.asked = set(race.open)
        race.resume_at = float("inf")
        race.may_serve_later = False
        self._extend(race.call, now)
        if race.call.parts_of is None or not race.open:  # who sends parts is waited for
            self._ask_next(race, now)
        else:
            self._timer(race)

    def _extend(self, call: Call, now: float) -> None:
        call.until = min(call.end, now + self._settings.resend)
        self._set_why(call, now)

    def _set_why(self, call: Call, now: float) -> None:
        lead = why_lead(call.until - now) if call.until >= call.end else 0
        call.why_at = call.until - lead if lead else float("inf")

    def _ask_next(self, race: _Race, now: float) -> None:
        """Asks the first broker that is alive and was not asked in this round, if there is one."""
        call = race.call
        count = len(self._nodes) if call.may_be_sent else 0
        deaf = None
        for step in range(count):
            at = (race.first + step) % count
            node = self._nodes[at]
            if at in race.asked or not self._is_alive(node, now) or (call.is_special and node.facts is None):
                continue
            if obstacle(call, node.facts) is not None:
                continue
            deaf = node.hearing.refuses()
            if deaf is not None:
                call.refusal = deaf
                continue
            self.counters["resends"] += call.sends > 0
            race.asked.add(at)
            race.last = at
            if call.parts_of is not None:
                race.open.clear()  # they are of no use with this attempt
            call.sent(now, node.cancels)
            race.open[at] = call.attempt & 255
            self._set_why(call, now)
            race.hedge_at = float("inf") if self._settings.hedge is None else now + self._settings.hedge
            node.link.send(frames_of(self._settings, call, node.facts, now))
            break
        else:
            race.hedge_at = float("inf")  # nobody is left to ask
            if deaf is not None and not race.open:
                self._rest(race, now)
            elif call.attempt == 0 and all(node.facts is not None for node in self._nodes):
                obstacles = [obstacle(call, node.facts) for node in self._nodes]
                if obstacles[0] is not None and all(obstacles):  # no broker can take it
                    self._fail(call, obstacles[0])
                    return
        self._timer(race)

    def _timer(self, race: _Race) -> None:
        self._timers.set(race.call, min(race.call.until, race.call.why_at, race.hedge_at, race.resume_at))

    def _due(self, race: _Race, now: float) -> None:
        call = race.call
        if now >= call.end:
            self._time_out(call, now)
        elif now >= call.until:
            race.first = (race.last + 1) % len(self._nodes)
            self._begin_round(race, now)
        elif now >= call.why_at:
            call.why_at = float("inf")
            node = self._nodes[race.last]
            if race.last in race.open:
                self.whys.ask(node.link, call.service, node.facts, now)
            self._timer(race)
        elif now >= race.resume_at:
            race.asked = set(race.open)
            race.resume_at = float("inf")
            race.may_serve_later = False
            self._ask_next(race, now)
        elif now >= race.hedge_at:
            sends = call.sends
            self._ask_next(race, now)
            self.counters["hedges"] += call.sends - sends
        else:
            self._timer(race)

    def _without(self, race: _Race, at: int, now: float) -> None:
        """Goes on without the broker ``at``, which will not answer the request."""
        if at not in race.open:
            return
        attempt = race.open.pop(at)
        call = race.call
        if call.parts_of is not None and call.parts_of & 255 == attempt:
            if call.is_streamed:
                self._time_out(call, now)
                return
        if call.once and call.sends > 0:
            self._fail(call, outcome_error(call, LOST))
        elif not race.open:
            self._ask_next(race, now)

    def _answered(self, race: _Race, at: int, answer: wire.Answer, now: float) -> None:
        call = race.call
        if answer.service == wire.REFUSED:
            call.refused(answer.correlation[-1])
            status = status_of(answer.body)
            # Of one that may run once, and was at a worker, no other broker is asked.
            if status == 520 or (call.is_streamed and status not in (429, 503)):
                self._fail(call, refused(call, answer.body))
                return
            call.sends -= 1  # no worker ran it
            call.refusal = answer.body
            race.may_serve_later = race.may_serve_later or status in (429, 503)
            self._without(race, at, now)
            if call.id not in self._races or race.open or race.resume_at < float("inf"):
                return
            if race.may_serve_later:
                self._rest(race, now)
                self._timer(race)
            else:
                self._fail(call, refused(call, answer.body))
        elif answer.service == wire.FAILED and len(answer.body) >= 3:
            self._fail(call, received_service_error(answer.body), call.answer_of)
        elif answer.final:
            self.abandon(call, call.answer_of)
            finish(call, answer)
        else:
            call.take_back(call.answer_of)
            race.open = {at: answer.correlation[-1]}  # parts of two are not mixed
            race.hedge_at = call.why_at = float("inf")
            error = take_part(call, answer, self._settings.buffer_bytes)
            if error is not None:
                self.abandon(call)
                call.done(None, error)
                return
            self._extend(call, now)
            self._timer(race)

    def _rest(self, race: _Race, now: float) -> None:
        """All have refused: it goes on after a pause."""
        settings = self._settings
        race.call.refusals += 1
        race.resume_at = now + backoff_ms(settings.retry_base_ms, settings.retry_max_ms, race.call.refusals) / 1000

    def _time_out(self, call: Call, now: float) -> None:
        why = {node.endpoint: node.why for node in self._nodes}
        is_up = any(node.state == "up" for node in self._nodes)
        self._fail(call, late_error(call, why, is_up, now, self.whys.of(call.service, now)))

    def _fail(self, call: Call, error: MajordomoError, kept: int = 0) -> None:
        self.abandon(call, kept)
        call.done(None, error)
