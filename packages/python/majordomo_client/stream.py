"""Publish and subscribe: what both ends share. No I/O."""

from __future__ import annotations

import re
import struct
from typing import Any, NamedTuple, Optional, Sequence, Union

from .message import Message
from .options import utf8, wrong

Topic = Union[str, bytes]

# The id of a publisher, new at each start; the number of the message, from 1; microseconds since 1970.
HEADER = struct.Struct(">8sQq")
TOPIC_BYTES_MAX = 255
_NUMBER_MAX = 2**53
_TIME_MAX = 253_402_300_800_000_000  # the year 10000

_PERIOD_S, _PERIODS = 10.0, 61


class Header(NamedTuple):
    """What a publisher of this project puts before the body of each message."""

    publisher: str
    number: int
    sent_at_ms: float


def header_of(frames: Sequence[bytes]) -> Optional[Header]:
    """The header of a message, its second frame; None: it has none."""
    if len(frames) < 3 or len(frames[1]) != HEADER.size:
        return None
    publisher, number, sent_at = HEADER.unpack(frames[1])
    if not 0 < number < _NUMBER_MAX or not 0 <= sent_at <= _TIME_MAX:
        return None
    return Header(publisher.hex(), number, sent_at / 1000)


def topic_of(option: str, given: object) -> bytes:
    """A topic, or the beginning of topics: text or bytes. Raises OptionError."""
    topic = utf8(option, given) if isinstance(given, str) else given
    if not isinstance(topic, bytes):
        raise wrong(option, "must be text or bytes")
    if len(topic) > TOPIC_BYTES_MAX:
        raise wrong(option, f"must have at most {TOPIC_BYTES_MAX} bytes")
    return topic


class StreamMessage(Message):
    """A published message at a subscriber: ``topic``, and the ``frames`` of its body.

    ``endpoint``: of its publisher, as it was given. ``after_gap``: the connection was lost before it, so messages may be
    missing there, and only there. ``publisher`` (an id, new at each start of one), ``number`` (of all that it has published) and
    ``sent_at_ms`` (since 1970, by its clock) are None where the message does not say it.
    """

    def __init__(self, topic: bytes, frames: Sequence[bytes], endpoint: str, after_gap: bool, header: Optional[Header],
                 sent_at_ms: Optional[float]) -> None:
        super().__init__("", frames)
        self.topic: str = topic.decode("utf-8", "replace")
        self.topic_bytes: bytes = topic
        self.endpoint: str = endpoint
        self.after_gap: bool = after_gap
        self.publisher: Optional[str] = header.publisher if header else None
        self.number: Optional[int] = header.number if header else None
        self.sent_at_ms: Optional[float] = sent_at_ms

    def __repr__(self) -> str:
        return f"StreamMessage(topic={self.topic!r}, frames={self.frames!r}, endpoint={self.endpoint!r})"


class Lateness:
    """How late the messages of one connection are.

    The clocks of both ends need not agree: of the time between sending and reading only what exceeds the smallest one of the
    last ten minutes counts. Times are in seconds.
    """

    def __init__(self) -> None:
        self._least: "dict[int, float]" = {}  # by periods of ten seconds

    def arrived(self, now: float, sent_at: float) -> None:
        period = int(now / _PERIOD_S)
        if period not in self._least:
            self._least = {at: least for at, least in self._least.items() if at > period - _PERIODS}
        self._least[period] = min(self._least.get(period, float("inf")), now - sent_at)

    def of(self, now: float, sent_at: float) -> float:
        return max(0.0, now - sent_at - min(self._least.values())) if self._least else 0.0
