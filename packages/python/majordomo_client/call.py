"""A request of a client, and what its core is set to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, NamedTuple, Optional, Sequence

from .errors import MajordomoError

if TYPE_CHECKING:
    from .exchange import Cancels


def is_of_broker(service: bytes) -> bool:
    return service.startswith((b"mmi.", b"titanic."))


class Settings:
    def __init__(self, endpoints: Sequence[str], version: int, max_outstanding: int,
                 retry_base_ms: float, retry_max_ms: float, refuse_no_worker: bool,
                 buffer_bytes: int, hedge: Optional[float] = None, ping: float = 1.0, resend: float = 2.5) -> None:
        self.endpoints = endpoints
        self.version = version
        self.max_outstanding = max_outstanding
        self.retry_base_ms = retry_base_ms
        self.retry_max_ms = retry_max_ms
        self.refuse_no_worker = refuse_no_worker
        self.buffer_bytes = buffer_bytes
        # In seconds; the first two of clients of independent brokers.
        self.hedge = hedge
        self.ping = ping
        self.resend = resend


class Patience(NamedTuple):
    """When a call ends at the latest (``time.monotonic()``), and whether the program has named its time.

    ``poll``: how long its broker may wait itself before it answers, in seconds; infinity: it is sent once at most.
    ``after``: the patience with a call that has an ``on_receipt``, once that is called; None: the same.
    ``timeout``: the option that gave the end, in seconds; None: no option did.
    """

    end: float
    is_named: bool = False
    poll: float = 0.0
    after: "Optional[Patience]" = None
    timeout: Optional[float] = None


class Lost(NamedTuple):
    """A send whose connection was lost before its answer came: it may run, or its answer may be kept."""

    correlation: bytes
    instance: str  # of the broker that had it; empty: not known
    at: float  # when it was sent


Done = Callable[[Optional[Sequence[bytes]], Optional[MajordomoError]], None]
OnPart = Callable[[Sequence[bytes], bool], None]
OnReceipt = Callable[[Sequence[bytes]], None]


class Call:
    """A request of a client; ``done`` gets its body or its error, once.

    With ``on_part`` it is a stream: that gets each part as it comes, and ``done`` an empty body. With ``on_receipt``
    the parts of its answer go there, and are not joined with the rest; after one it is not sent again, either, and ends
    if the rest does not come in time.
    """

    def __init__(self, service: bytes, body: Sequence[bytes], headers: Optional[bytes],
                 patience: Patience, done: Done, on_part: Optional[OnPart] = None, once: bool = False,
                 group: bytes = b"", on_receipt: Optional[OnReceipt] = None) -> None:
        self.service = service
        self.body = body
        self.headers = headers
        self.end: float = patience.end
        self.is_named: bool = patience.is_named
        self.done = done
        self.on_part = on_part
        self.on_receipt = on_receipt
        self._before = patience
        self.after: Patience = patience.after or patience
        self.once = once  # at most one worker may run it
        self.group = group  # empty: it is in none
        # Whether options and group stand before deadline and headers.
        self.has_options = once or group != b""
        # Whether not every broker can take it: it has headers or a group, or is to run once.
        self.is_special = self.has_options or headers is not None
        # A service of the broker itself is in no session: it may be asked any number of times.
        self.is_of_broker: bool = is_of_broker(service)
        self.id = b""
        self.earlier_ids: list[bytes] = []  # of sends before the last
        self.pid = 0  # the process whose client has it
        self.attempt: int = 0  # the number of its last send
        self.said_time = False  # its last send said how much of its time was left
        self.sends: int = 0  # those that a worker may have got: the ones that were not refused
        self.refusals = 0
        self.refusal: Optional[Sequence[bytes]] = None  # of its last send
        self.deafness: Optional[Sequence[bytes]] = None  # why the broker that has its last send refused a later hello
        self.sent_at: float = 0.0
        self.left_at: float = 0.0  # when its last send went out, whatever came of it since
        self.until: float = 0.0
        self.why_at: float = float("inf")  # when the broker is asked why it has no answer
        self.next_at: float = 0.0
        self.out: list[tuple[Cancels, int, bytes]] = []  # attempts that may still be answered, by whom, and how
        self.awaited: bytes = b""  # the correlation of that which its line has
        self.lost: list[Lost] = []  # to be asked for when there is a connection again
        self.answer_of: int = 0  # the attempt whose answer comes, or has come
        self.parts: list[bytes] = []
        self.parts_of: Optional[int] = None  # the attempt that they answer
        self._oldest = 1  # of earlier attempts parts were dropped
        self.part_bytes: int = 0
        self.read_bytes = 0  # of these, what the program has read; its thread alone changes it
        self.is_streamed = False  # a part was delivered: it cannot be sent again

    @property
    def name(self) -> str:
        return self.service.decode("utf-8", "backslashreplace")

    @property
    def needed(self) -> str:
        """What a broker must support that is to take it, if it ``is_special``."""
        return "group" if self.group else "once" if self.once else "headers"

    @property
    def timeout(self) -> Optional[float]:
        return self._before.timeout

    @property
    def poll(self) -> float:
        return (self._before if self.parts_of is None else self.after).poll

    @property
    def may_be_sent(self) -> bool:
        return not self.is_streamed and (self.sends == 0 or not (self.once or self.poll == float("inf")))

    @property
    def correlation(self) -> bytes:
        """What its last send has in the envelope, and the answer to that."""
        return self.id + bytes((self.attempt & 255,))

    def sent(self, now: float, to: Cancels) -> None:
        if self.parts_of is not None:
            self.take_back()
        self.attempt += 1
        self.awaited = self.correlation
        self.sends += 1
        self.sent_at = self.left_at = now
        self.refusal = self.deafness = None
        self.why_at = float("inf")
        self.out.append((to, self.attempt, self.awaited))
        del self.out[:-256]  # the number of an older one is now that of another
        if self.parts_of is not None:
            self.parts, self.part_bytes, self.parts_of = [], 0, None
            self._oldest = self.attempt

    def accepts(self, answer_to: int, final: bool) -> bool:
        """Whether an answer to this attempt, modulo 256, can be used: parts of two are not mixed."""
        attempt = self.attempt - (self.attempt - answer_to) % 256
        if attempt < self._oldest:
            return False
        if self.parts_of not in (None, attempt):
            return False
        self.answer_of = attempt
        if not final:
            self.parts_of = attempt
        return True

    def refused(self, answer_to: int) -> None:
        """Forgets an attempt, modulo 256, that nobody has got."""
        self.out = [each for each in self.out if each[1] & 255 != answer_to]

    def take_back(self, kept: int = 0) -> None:
        """Tells the brokers that nobody waits for the answers to its attempts any more, but for that to ``kept``."""
        useless: dict[Cancels, list[bytes]] = {}
        for to, attempt, correlation in self.out:
            if attempt != kept:
                useless.setdefault(to, []).append(correlation)
        self.out = [each for each in self.out if each[1] == kept]
        for to, sends in useless.items():
            to.add(sends)

    def found(self, lost: Lost, to: Cancels) -> None:
        """A broker still has a send that was lost, and answers it over another connection."""
        self.awaited = lost.correlation
        self.out = [(to, *each[1:]) if each[2] == lost.correlation else each for each in self.out]
        self.lost = []
