"""A request of a client, and what its core is set to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Optional, Sequence

from .errors import MajordomoError

if TYPE_CHECKING:
    from .exchange import Cancels


class Settings:
    def __init__(self, endpoints: Sequence[str], version: int, max_outstanding: int,
                 retry_base_ms: float, retry_max_ms: float, refuse_no_worker: bool,
                 buffer_bytes: int, hedge: Optional[float] = None, ping: float = 1.0) -> None:
        self.endpoints = endpoints
        self.version = version
        self.max_outstanding = max_outstanding
        self.retry_base_ms = retry_base_ms
        self.retry_max_ms = retry_max_ms
        self.refuse_no_worker = refuse_no_worker
        self.buffer_bytes = buffer_bytes
        # Of clients of independent brokers, in seconds.
        self.hedge = hedge
        self.ping = ping


Done = Callable[[Optional[Sequence[bytes]], Optional[MajordomoError]], None]
OnPart = Callable[[Sequence[bytes], bool], None]


class Call:
    """A request of a client; ``done`` gets its body or its error, once.

    With ``on_part`` it is a stream: that gets each part as it comes, and ``done`` an empty body.
    ``end``: when it ends, however often it may still be sent.
    """

    def __init__(self, service: bytes, body: Sequence[bytes], headers: Optional[bytes],
                 timeout: float, retries: int, done: Done,
                 on_part: Optional[OnPart] = None, end: float = float("inf")) -> None:
        self.service = service
        self.body = body
        self.headers = headers
        self.timeout = timeout
        self.tries = 1 + retries
        self.done = done
        self.on_part = on_part
        self.end = end
        self.id = b""
        self.pid = 0  # the process whose client has it
        self.deadline = 0.0
        self.attempt = 0  # the number of its last send
        self.sends = 0  # those that a worker may have got: the ones that were not refused
        self.refusals = 0
        self.refusal: Optional[Sequence[bytes]] = None  # of its last send
        self.deafness: Optional[Sequence[bytes]] = None  # why the broker that has its last send refused a later hello
        self.sent_at = 0.0
        self.until = 0.0
        self.why_at = float("inf")  # when the broker is asked why it has no answer
        self.next_at = 0.0
        self.out: list[tuple[Cancels, int]] = []  # attempts that may still be answered, and by whom
        self.answer_of = 0  # the attempt whose answer comes, or has come
        self.parts: list[bytes] = []
        self.parts_of: Optional[int] = None  # the attempt that they answer
        self._oldest = 1  # of earlier attempts parts were dropped
        self.part_bytes = 0
        self.read_bytes = 0  # of these, what the program has read; its thread alone changes it
        self.is_streamed = False  # a part was delivered: it cannot be sent again

    @property
    def name(self) -> str:
        return self.service.decode("utf-8", "backslashreplace")

    @property
    def correlation(self) -> bytes:
        """What its last send has in the envelope, and the answer to that."""
        return self.id + bytes((self.attempt & 255,))

    def sent(self, now: float, to: Cancels) -> None:
        if self.parts_of is not None:
            self.take_back()
        self.attempt += 1
        self.sends += 1
        self.sent_at = now
        self.refusal = self.deafness = None
        self.why_at = float("inf")
        self.out.append((to, self.attempt))
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
        for to, attempt in self.out:
            if attempt != kept:
                useless.setdefault(to, []).append(self.id + bytes((attempt & 255,)))
        self.out = [each for each in self.out if each[1] == kept]
        for to, sends in useless.items():
            to.add(sends)
