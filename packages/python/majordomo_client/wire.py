"""The frames of MDP 0.1 and 0.2, as a DEALER socket sends and receives them. No I/O."""

from __future__ import annotations

import array
import itertools
import json
import re
from typing import Any, Mapping, NamedTuple, Optional, Sequence

CLIENT = {1: b"MDPC01", 2: b"MDPC02"}
WORKER = {1: b"MDPW01", 2: b"MDPW02"}
REQUEST_WITH_HEADERS, REQUEST_WITH_OPTIONS = b"\x04", b"\x05"
READY, REQUEST, RETURN, FAIL, REQUEST_HEADERS = b"\x01", b"\x02", b"\x07", b"\x08", b"\x09"
REQUEST_GROUP, RUNS = b"\x0b", b"\x0c"
RUNS_BYTES_MAX = 1024
CANCEL = b"\x0a"
NOT_BEGUN = b"mdp.not-begun"  # begins the reason of a RETURN if no handler was called
PARTIAL = b"\x03"
PROGRESS = b"MDPP01"  # the first of two or more frames of a PARTIAL that is no part of the reply
FINAL = {1: b"\x03", 2: b"\x04"}
HEARTBEAT = {1: b"\x04", 2: b"\x05"}
DISCONNECT = {1: b"\x05", 2: b"\x06"}
REFUSED, FAILED = b"mmi.refused", b"mmi.failed"

DEADLINE_MS_MAX = 2**31 - 1
HEADERS_BYTES_MAX = 8192

# Of JSON that other programs send.
LEVELS_MAX, DIGITS_MAX = 500, 4300
_STRING = re.compile(rb'"(?:[^"\\]+|\\.)*"?', re.DOTALL)
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[{]}"))


def is_progress(body: Sequence[bytes]) -> bool:
    """Whether the body of a PARTIAL tells of progress."""
    return len(body) > 1 and body[0] == PROGRESS


class Answer(NamedTuple):
    """A message of a broker to a client."""

    correlation: bytes
    service: bytes
    body: Sequence[bytes]
    final: bool


class Command(NamedTuple):
    """A message of a broker to a worker; ``client`` is the token that names one request."""

    code: bytes
    client: bytes = b""
    body: Sequence[bytes] = ()
    deadline_ms: Optional[int] = None
    headers: Mapping[str, str] = {}
    group: bytes = b""


def request(
    version: int,
    correlation: bytes,
    service: bytes,
    body: Sequence[bytes],
    headers: Optional[bytes] = None,
    deadline_ms: int = 0,
    once: bool = False,
    group: bytes = b"",
) -> list[bytes]:
    """A client's request. ``correlation`` empty: none. ``headers`` need version 2, ``once`` and ``group`` need ``headers``."""
    envelope = [correlation, b""] if correlation else [b""]
    if headers is not None:
        deadline = str(max(1, min(deadline_ms, DEADLINE_MS_MAX))).encode() if deadline_ms else b""
        command = [REQUEST_WITH_HEADERS, service]
        if once or group:
            command = [REQUEST_WITH_OPTIONS, service, b'{"once":true}' if once else b"", group]
        return [*envelope, CLIENT[2], *command, deadline, headers, *body]
    if version == 1:
        return [*envelope, CLIENT[1], service, *body]
    return [*envelope, CLIENT[2], b"\x01", service, *body]


def parse_answer(frames: Sequence[bytes]) -> Optional[Answer]:
    """Parses an answer to a client; None if the frames are none."""
    if len(frames) >= 3 and frames[0] == b"" and frames[1] in CLIENT.values():
        correlation, rest = b"", frames[1:]
    elif len(frames) >= 4 and frames[1] == b"" and frames[2] in CLIENT.values():
        correlation, rest = frames[0], frames[2:]
    else:
        return None
    if rest[0] == CLIENT[1]:
        return Answer(correlation, rest[1], rest[2:], True) if len(rest) >= 3 else None
    if len(rest) < 4 or rest[1] not in (b"\x02", b"\x03"):
        return None
    return Answer(correlation, rest[2], rest[3:], rest[1] == b"\x03")


def worker(version: int, *frames: bytes) -> list[bytes]:
    """A worker's message: its command and what follows."""
    return [b"", WORKER[1], *frames] if version == 1 else [WORKER[2], *frames]


def parse_command(version: int, frames: Sequence[bytes]) -> Optional[Command]:
    """Parses a command to a worker of this version; None if the frames are none."""
    if version == 1 and frames[:1] == [b""]:
        frames = frames[1:]
    if len(frames) < 2 or frames[0] != WORKER[version]:
        return None
    code, rest = frames[1], frames[2:]
    if code in (HEARTBEAT[version], DISCONNECT[version], RUNS):
        return Command(code) if not rest else None
    if code == CANCEL and len(rest) == 2 and rest[1] == b"":
        return Command(code, rest[0])
    if code == REQUEST and len(rest) >= 3 and rest[1] == b"":
        return Command(code, rest[0], rest[2:])
    if code == REQUEST_HEADERS and len(rest) >= 5 and rest[1] == b"":
        return Command(REQUEST, rest[0], rest[4:], parse_number(rest[2]), parse_headers(rest[3]))
    if code == REQUEST_GROUP and len(rest) >= 6 and rest[1] == b"":
        return Command(REQUEST, rest[0], rest[5:], parse_number(rest[3]), parse_headers(rest[4]), rest[2])
    return None


def ready(version: int, service: bytes, credit: Optional[int], options: Mapping[str, Any],
          contract: bytes = b"") -> list[bytes]:
    """Makes a READY. Options and a contract are sent only with a credit."""
    frames = [READY, service]
    if credit is not None:
        frames.append(str(credit).encode())
        if options or contract:
            frames.append(compact(options))
        if contract:
            frames.append(contract)
    return worker(version, *frames)


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def parse_json(given: bytes) -> Any:
    """What another program sent as JSON, in UTF-8. Raises ValueError and nothing else: also for thousands of levels or digits.

    Both are counted, because what an interpreter bears differs.
    """
    if _levels(given) > LEVELS_MAX:
        raise ValueError(f"more than {LEVELS_MAX} levels")
    text = given.decode()  # of bytes it would also take UTF-16, and halves of surrogate pairs
    try:
        return json.loads(text, parse_int=_whole) if len(text) > DIGITS_MAX else json.loads(text)
    except RecursionError:  # the program itself is deep in its stack
        raise ValueError("too many levels") from None


def _levels(given: bytes) -> int:
    """An upper bound of the levels of a JSON text, exact if that is more than allowed."""
    begins = given.count(b"[") + given.count(b"{")
    if begins <= LEVELS_MAX:
        return begins
    steps = _STRING.sub(b"", given).translate(_STEPS, _NO_BRACKETS)
    return max(itertools.accumulate(array.array("b", steps)), default=0)


def _whole(digits: str) -> int:
    if len(digits) > DIGITS_MAX:
        raise ValueError(f"a number of more than {DIGITS_MAX} digits")
    return int(digits)


def parse_number(given: bytes) -> Optional[int]:
    """A decimal number of another program; None: it is none, or has more than ten digits."""
    return int(given) if len(given) <= 10 and given.isdigit() else None


def parse_headers(frame: bytes) -> Mapping[str, str]:
    """Parses headers; empty if there are none, or if another program sent something else."""
    if not frame or len(frame) > HEADERS_BYTES_MAX:
        return {}
    try:
        given = parse_json(frame)
        if isinstance(given, dict) and all(isinstance(value, str) for value in given.values()):
            "".join(given.values()).encode()  # half of a surrogate pair is no text
            return given
    except ValueError:
        pass
    return {}


class Facts(NamedTuple):
    """What a broker says of itself (``mmi.broker``)."""

    extensions: frozenset[str] = frozenset()
    message_bytes_max: float = float("inf")
    pair_heartbeat_ms: float = 0
    instance: str = ""  # tells this start of the broker from all others

    def has(self, *names: str) -> bool:
        return all(name in self.extensions for name in names)


def parse_facts(body: Sequence[bytes]) -> Facts:
    """Facts of any answer; those of a broker without extensions if it does not know the question."""
    if len(body) < 2 or body[0] != b"200":
        return Facts()
    try:
        given = parse_json(body[1])
    except ValueError:
        return Facts()
    if not isinstance(given, dict):
        return Facts()
    names = given.get("extensions")
    limits = given.get("limits")
    size = limits.get("messageBytes") if isinstance(limits, dict) else None
    beat = given.get("pairHeartbeatMs")
    instance = given.get("instance")
    return Facts(
        frozenset(name for name in names if isinstance(name, str)) if isinstance(names, list) else frozenset(),
        _number(size) or float("inf"),
        # A longer one would raise every pause.
        _number(beat) if _number(beat) <= 60_000 else 0,
        instance if isinstance(instance, str) else "",
    )


class Session(NamedTuple):
    """What a broker says of a client's session (``mmi.hello``)."""

    resume: float  # how long it keeps it for a client without a connection, in seconds; 0: there is none
    is_known: bool  # whether it was there before this connection


NO_SESSION = Session(0, False)


def parse_session(body: Sequence[bytes]) -> Session:
    try:
        given = parse_json(body[1])
        resume = _number(given["resumeMs"]) / 1000
    except (IndexError, KeyError, OverflowError, TypeError, ValueError):
        return NO_SESSION
    return Session(resume, given.get("known") is True) if resume else NO_SESSION


def _number(given: object) -> float:
    """A number above 0, or 0."""
    return given if isinstance(given, (int, float)) and not isinstance(given, bool) and given > 0 else 0
