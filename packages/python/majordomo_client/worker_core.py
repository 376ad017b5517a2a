"""The protocol of one registration of a worker at one broker, without I/O.

READY on every connection, and again after a DISCONNECT. A HEARTBEAT each interval, also while handlers
compute. The broker is asked what it knows first (``mmi.broker``), and once more after READY: MDP does not
confirm a READY, but the answer does. If the first answer comes after READY, the worker registers anew once it
is idle, to ask for what the broker knows. Times are seconds of a monotonic clock.
"""

from __future__ import annotations

import collections
from typing import Iterable, NamedTuple, Optional, Protocol, Sequence

from . import wire
from .exchange import KEY_REFUSED
from .options import backoff_ms

# The longest wait for an answer to mmi.broker before READY.
PATIENCE = 1.0
# While requests run, the worker looks at the clock at least so often.
STEP = 0.25
# How long the ends of connections may take to be told after this process stood still.
_SETTLING = 0.1
_BEFORE, _AFTER = b"?1", b"?2"
_NOTHING = wire.Facts()  # of a broker that has not answered yet


class Stillness:
    """Notices that this process stood still, so that it sent no heartbeats, and its broker may have given it up."""

    def __init__(self) -> None:
        self._looked_at = float("inf")
        self._noticed_at = float("-inf")
        self._seconds = 0.0

    def looked(self, now: float, due: float = float("-inf")) -> None:
        """Notices a standstill: more than ``STEP`` since the last call or, after a wait, since ``due``, when the wait was to end.

        The worker calls it between its steps.
        """
        expected = max(due, self._looked_at)
        if now > expected + STEP:
            self._noticed_at, self._seconds = now, now - expected
        self._looked_at = now

    @property
    def settled_at(self) -> float:
        """When answers need wait no longer: before, the connection may be closed, and its end not told yet."""
        return self._noticed_at + _SETTLING

    def is_settled(self, now: float) -> bool:
        """Whether answers may be sent now."""
        self.looked(now)
        return now >= self.settled_at

    def cause(self, now: float) -> str:
        """What is said of it beside the loss of a connection."""
        self.looked(now)
        if now > self._noticed_at + max(PATIENCE, self._seconds):
            return ""
        return f"; this process had stood still for {self._seconds * 1000:.0f} ms, and sent no heartbeats"


class Failure(NamedTuple):
    """What FAIL carries; ``kind`` is ``error``, ``final`` or ``retry``."""

    kind: str
    code: str
    text: str
    detail: Sequence[bytes] = ()


class Task:
    """A request that the worker was given."""

    def __init__(self, command: wire.Command) -> None:
        self.client: bytes = command.client
        self.command = command
        self.is_streamed = False
        self.parts: list[bytes] = []  # of version 0.1, which has one answer


class Sink(Protocol):
    def open(self) -> Optional[str]:
        """Why it cannot connect at all; None: it tries."""
    def close(self) -> None: ...
    def send(self, frames: Sequence[bytes]) -> None: ...
    def send_late(self, frames: Sequence[bytes]) -> None:
        """Sends over a connection of its own: on a registered one an unknown token ends the registration."""
    def begin(self, task: Task) -> None: ...
    def cancel(self, token: bytes) -> None:
        """Nobody waits for the answer to the request with this token any more."""
    def running(self, all_sessions: bool) -> Iterable[Task]:
        """The requests that handlers are working on: its own, of any registration, or also those of the other connections of its service."""
        ...
    def is_full(self) -> bool:
        """Whether as many handlers run of its requests, of any registration, as may."""
        ...
    def confirmed(self) -> None: ...
    def lost(self, reason: str) -> None: ...


class WorkerSettings(NamedTuple):
    version: int
    name: str
    concurrency: int
    heartbeat: float
    liveness: int
    retry_base_ms: float
    retry_max_ms: float


class WorkerCore:
    """A registration. ``state`` is *away*: between connections; *dialling*; *asking*; *resting*: READY follows; *full*:
    it follows when a handler of an earlier registration has ended; *registered*; *ended*.
    """

    def __init__(self, settings: WorkerSettings, service: bytes, sink: Sink, contract: bytes = b"") -> None:
        self._settings = settings
        self._service = service
        self._contract = contract
        self._sink = sink
        self.state: str = "away"
        self._until = 0.0
        self._beat_at = float("inf")
        self._heard_at = 0.0
        self._beat_since_heard = False
        self._failures = 0
        self._running: set[Task] = set()  # requests of this registration that have no answer yet
        self._earlier: set[Task] = set()  # others' requests that the broker was told of over this connection
        self._told: set[Task] = set()  # those, and of earlier connections, that still run
        self._earlier_of: collections.Counter[bytes] = collections.Counter()  # how many of them are of each group
        self._late: list[list[bytes]] = []  # answers of ended registrations, for the next connection
        self._registered_for_less = False  # it would ask for more: the broker's answer came after READY
        self._is_reregistering = False  # it asks between two registrations, and the next tick sets for how long
        self._credit: Optional[int] = None
        self._facts = _NOTHING
        self.is_confirmed: bool = False
        self.is_leaving: bool = False  # it has said that it wants no more requests
        self.why: Optional[str] = None  # it is not registered, as reported

    @property
    def has_unsent(self) -> bool:
        """Whether answers wait for the next connection."""
        return len(self._late) > 0

    def next_at(self) -> float:
        """When ``tick`` is due next; infinity: never."""
        if self.state == "registered":
            return min(self._beat_at, self._silent_at)
        return self._until

    def tick(self, now: float) -> None:
        if self.state == "registered":
            if now >= self._silent_at:
                self._leave(now, "the broker is silent")
            elif now >= self._beat_at:
                self._beat(now)
        elif now < self._until:
            return
        elif self._is_reregistering and self.state == "asking":
            self._is_reregistering = False
            self._until = now + PATIENCE
        elif self.state == "away":
            self.state = "dialling"
            self._until = now + self._settings.heartbeat * self._settings.liveness
            reason = self._sink.open()
            if reason is not None:
                self._leave(now, reason)
        elif self.state == "dialling":
            self._leave(now, "no answer")
        elif self.state in ("asking", "resting"):
            self._register(now)

    def up(self, now: float) -> None:
        self._earlier.clear()
        self._earlier_of.clear()
        self._ask_first(now)

    def _ask_first(self, now: float) -> None:
        self.state = "asking"
        self._is_reregistering = False
        self._facts = _NOTHING
        self._until = now + PATIENCE
        late, self._late = self._late, []
        for frames in late:  # before READY: the request would come back (D8)
            self._sink.send(frames)
        self._ask(_BEFORE)

    def down(self, reason: str, now: float) -> None:
        if self.state not in ("away", "ended"):
            self._leave(now, reason)

    def received(self, frames: Sequence[bytes], now: float) -> bool:
        """Takes a message of the broker; False if the frames are malformed."""
        self._heard_at = now
        command = wire.parse_command(self._settings.version, frames)
        if command is None:
            return self._answered(wire.parse_answer(frames), now)
        if self.state != "registered":
            return True
        if command.code == wire.DISCONNECT[self._settings.version]:
            if self.is_leaving and not self._running:
                self.state = "resting"  # the broker knows that it has gone
                self.end()
                return True
            self._rest(now, "the broker sent DISCONNECT, and its log says why")
            return True
        if command.code == wire.RUNS:
            self._tell_runs(all_sessions=True)
            return True
        self._confirm()
        if command.code == wire.REQUEST:
            task = Task(command)
            self._running.add(task)
            self._sink.begin(task)
            return True
        if command.code == wire.CANCEL:
            self._sink.cancel(command.client)
            return True
        # The broker's heartbeats may come sooner than ours: it wants ours as often.
        if not self._beat_since_heard:
            self._beat(now)
        self._beat_since_heard = False
        return True

    def partial(self, task: Task, body: Sequence[bytes]) -> None:
        is_progress = wire.is_progress(body)
        if self._settings.version == 1:
            task.parts += () if is_progress else body
        elif self.is_current(task):
            task.is_streamed = task.is_streamed or not is_progress
            self._send(wire.PARTIAL, task.client, b"", *body)

    def final(self, task: Task, body: Sequence[bytes]) -> None:
        body = [*task.parts, *body]
        size = sum(len(frame) for frame in body)
        if size > self._facts.message_bytes_max:
            text = f"the answer has {size} bytes, the broker accepts {self._facts.message_bytes_max:.0f}"
            self.fail(task, Failure("final", "too-large", text))
            return
        version = self._settings.version
        frames = wire.worker(version, wire.FINAL[version], task.client, b"", *body)
        if self.is_current(task):
            self._sink.send(frames)
            self._failures = 0
            self._ended(task)
        elif task.is_streamed or self.state == "ended":
            pass
        elif self.state in ("away", "dialling"):
            self._late.append(frames)
        elif self.state == "full":
            self._sink.send(frames)
        else:
            self._sink.send_late(frames)

    def fail(self, task: Task, failure: Failure) -> None:
        """Sends nothing for a request whose registration has ended: the broker has given it to another."""
        if not self.is_current(task):
            return
        if not self._facts.has("fail"):
            self.give_back(task)
            return
        head = [failure.kind.encode(), failure.code.encode(), failure.text.encode()]
        self._send(wire.FAIL, task.client, b"", *head, *failure.detail)
        self._ended(task)

    @property
    def may_leave(self) -> bool:
        """Whether the broker lets it go: DISCONNECT of its own would leave it unknown what is on its way."""
        return self.state == "registered" and self._credit is not None and self._facts.has("leave")

    def leave(self) -> None:
        """Says that it wants no more requests, if the broker knows that: it sends DISCONNECT when none is out."""
        if self.may_leave and not self.is_leaving:
            self.is_leaving = True
            self._send(wire.RETURN, b"", b"")

    def decline(self, task: Task, reason: bytes) -> None:
        """Gives back a request that has not begun, of a worker that closes: it says that first, or the broker would send it the
        same request again. A broker that does not let workers leave would, too: there DISCONNECT gives it back.
        """
        if self.may_leave:
            self.leave()
            self.give_back(task, reason)

    def give_back(self, task: Task, *reason: bytes) -> None:
        if not self.is_current(task):
            return
        if self._credit is not None:
            self._send(wire.RETURN, task.client, b"", *reason)
            self._ended(task)
        else:  # MDP's own way
            self._send(wire.DISCONNECT[self._settings.version])
            self._rest(self._heard_at, "a request was given back")

    def _tell_runs(self, all_sessions: bool = False) -> None:
        """Tells a broker with groups what runs that it has not out at this worker: it counts in its limits (D118)."""
        if not self._facts.has("credit", "ready-options", "group"):
            return
        running = dict.fromkeys([*self._sink.running(all_sessions), *self._told])
        new = [task for task in running if not self.is_current(task) and task not in self._earlier]
        groups = [task.command.group for task in new]
        self._earlier.update(new)
        self._told.update(new)
        self._earlier_of.update(groups)
        self._send_runs(dict.fromkeys(groups))

    def run_ended(self, task: Task) -> None:
        """The handler of a request has ended, or was given up."""
        self._told.discard(task)
        if task in self._earlier:
            self._earlier.discard(task)
            self._earlier_of[task.command.group] -= 1
            self._send_runs([task.command.group])

    def _send_runs(self, groups: Iterable[bytes]) -> None:
        page: list[bytes] = []
        for group in groups:
            number = str(self._earlier_of[group]).encode()
            if page and sum(map(len, page)) + len(group) + len(number) > wire.RUNS_BYTES_MAX:
                self._send(wire.RUNS, self._service, *page)
                page = []
            page += [group, number]
        if page:
            self._send(wire.RUNS, self._service, *page)

    def has_room(self, now: float) -> None:
        """A handler has ended."""
        if self.state == "full" and not self._sink.is_full():
            # The broker answers a late reply with DISCONNECT, before this: it must not meet a registration.
            self._ask_first(now)

    def _ended(self, task: Task) -> None:
        self._running.discard(task)
        if self._registered_for_less and not self._running:
            self._reregister()

    def _reregister(self) -> None:
        self._registered_for_less = False
        # The broker takes no second READY. It may have sent a request meanwhile, which it takes back: it answers
        # in order, so what comes after its answer is of the next registration.
        self._send(wire.DISCONNECT[self._settings.version])
        self.state = "asking"
        self.is_confirmed = False
        self._is_reregistering = True
        self._until = 0.0
        self._ask(_BEFORE)

    def end(self) -> None:
        if self.state == "registered":
            self._send(wire.DISCONNECT[self._settings.version])
        self.state = "ended"
        self._until = float("inf")
        self.is_confirmed = False
        self._sink.close()
        for frames in self._late:
            self._sink.send_late(frames)

    @property
    def _silent_at(self) -> float:
        return self._heard_at + self._settings.heartbeat * self._settings.liveness

    def is_current(self, task: Task) -> bool:
        """Whether the broker waits for what is sent of it: a token that it does not know ends the registration."""
        return self.state == "registered" and task in self._running

    def _answered(self, answer: Optional[wire.Answer], now: float) -> bool:
        if answer is None:
            return False
        if answer.correlation == _BEFORE and self.state == "asking":
            self._facts = wire.parse_facts(answer.body)
            self._register(now)
            if self.state == "registered":
                self._ask(_AFTER)
        elif answer.correlation == _BEFORE and self.state == "registered" and self._facts is _NOTHING:
            self._facts = wire.parse_facts(answer.body)
            self._registered_for_less = self._ready_options()[0] is not None
            if self._registered_for_less and not self._running:
                self._reregister()
        elif answer.correlation == _AFTER and self.state == "registered":
            self._confirm()
        return True

    def _confirm(self) -> None:
        if not self.is_confirmed:
            self.is_confirmed = True
            self._failures = 0
            self.why = None
            self._sink.confirmed()

    def _ready_options(self) -> "tuple[Optional[int], dict[str, object], bytes]":
        """What READY says to this broker: credit, options and contract."""
        facts, settings = self._facts, self._settings
        options: dict[str, object] = {}
        if facts.has("credit", "ready-options"):
            if settings.name:
                options["name"] = settings.name
            options.update({each: True for each in ("headers", "cancel", "group") if facts.has(each)})
        contract = self._contract if facts.has("credit", "ready-options", "contract") else b""
        declares = facts.has("credit") and (settings.concurrency > 1 or bool(options or contract))
        return settings.concurrency if declares else None, options, contract

    def _register(self, now: float) -> None:
        if self._sink.is_full():
            self.state, self._until = "full", float("inf")
            self._tell_runs()
            return
        settings = self._settings
        self._credit, options, contract = self._ready_options()
        self._registered_for_less = False
        self._running.clear()
        self.state = "registered"
        self._heard_at = now
        self._beat_at = now + settings.heartbeat
        self._beat_since_heard = False
        self._sink.send(wire.ready(settings.version, self._service, self._credit, options, contract))
        self._tell_runs()

    def _beat(self, now: float) -> None:
        self._send(wire.HEARTBEAT[self._settings.version])
        self._beat_at = now + self._settings.heartbeat
        self._beat_since_heard = True

    def _leave(self, now: float, reason: str) -> None:
        self._sink.close()
        self._over("away", now, reason)

    def _rest(self, now: float, reason: str) -> None:
        self._over("resting", now, reason)

    def _over(self, state: str, now: float, reason: str) -> None:
        was = self.state
        self.state = state
        self.is_confirmed = False
        self._failures += 1
        settings = self._settings
        self._until = now + backoff_ms(settings.retry_base_ms, settings.retry_max_ms, self._failures) / 1000
        # A key that is not admitted does not pass by itself, as other reasons may.
        if was == "registered" or self.why is None or (reason == KEY_REFUSED != self.why):
            self.why = reason
            self._sink.lost(reason)

    def _ask(self, correlation: bytes) -> None:
        self._sink.send(wire.request(self._settings.version, correlation, b"mmi.broker", [b""]))

    def _send(self, *frames: bytes) -> None:
        self._sink.send(wire.worker(self._settings.version, *frames))
