"""Checks of options, and what both ends share: endpoints, bodies, headers, pauses."""

from __future__ import annotations

import os
import random
import re
from typing import Mapping, Optional, Sequence, Union

from . import wire
from .errors import BodyError, EndpointError, OptionError

Body = Union[str, bytes, Sequence[Union[str, bytes]]]
Endpoints = Union[str, Sequence[str], None]

DAY_MS = 86_400_000
_ENDPOINT = re.compile(r"tcp://(\[[^\]\s]+\]|[^\s:/]+):[0-9]{1,5}|ipc://\S+")
_HEADER_NAME = re.compile(r"[a-z0-9-]{1,64}")


def wrong(option: str, what: str) -> OptionError:
    return OptionError(f"{option} {what}", {"option": option})


def integer(option: str, value: object, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise wrong(option, f"must be a whole number from {least} to {most}, not {value!r}")
    return value


def version_of(protocol: object) -> int:
    if protocol == "0.1":
        return 1
    if protocol == "0.2":
        return 2
    raise wrong("protocol", f"must be '0.1' or '0.2', not {protocol!r}")


def endpoints_of(given: Endpoints) -> list[str]:
    """Text, separated by commas, or a sequence; None: the environment variable MAJORDOMO_URL."""
    if given is None:
        given = os.environ.get("MAJORDOMO_URL", "")
        if not given:
            raise wrong("endpoints", "must be given, or MAJORDOMO_URL set, for example tcp://127.0.0.1:5555")
    listed = [each for each in re.split(r"[,\s]+", given) if each] if isinstance(given, str) else list(given)
    if not 1 <= len(listed) <= 16:
        raise wrong("endpoints", f"must be 1 to 16, not {len(listed)}")
    for each in listed:
        if not isinstance(each, str) or not _ENDPOINT.fullmatch(each):
            raise EndpointError(f"not an endpoint: {each!r} (tcp://HOST:PORT, ipc://PATH)", {"endpoint": each})
    return listed


def service_of(given: object) -> bytes:
    name = given.encode() if isinstance(given, str) else given
    if not isinstance(name, bytes) or not 1 <= len(name) <= 255:
        raise wrong("service", "must be a name of 1 to 255 bytes")
    return name


def body_of(given: object) -> list[bytes]:
    """The frames of a body: text (sent as UTF-8), bytes, or a sequence of these."""
    if isinstance(given, (str, bytes, bytearray, memoryview)):
        return [_frame(given)]
    if isinstance(given, (list, tuple)) and given:
        return [_frame(each) for each in given]
    raise BodyError(f"a body is text, bytes or a list of these, not {type(given).__name__}")


def _frame(given: object) -> bytes:
    if isinstance(given, str):
        return given.encode()
    if isinstance(given, (bytes, bytearray, memoryview)):
        return bytes(given)
    raise BodyError(f"a frame is text or bytes, not {type(given).__name__}")


def cost(frames: Sequence[bytes]) -> int:
    """What frames count as in limits: bytes alone would make empty ones free."""
    return sum(100 + len(frame) for frame in frames)


def headers_of(given: Optional[Mapping[str, str]]) -> Optional[bytes]:
    """The frame of headers, empty if the mapping is; None if there is none."""
    if given is None:
        return None
    if not isinstance(given, Mapping) or len(given) > 64:
        raise wrong("headers", "must be a mapping of at most 64 names to text")
    for name, value in given.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise wrong("headers", f"has the name {name!r}: it is not 1 to 64 characters of a-z, 0-9 and -")
        if not isinstance(value, str):
            raise wrong("headers", f"has {name}, which is not text")
    frame = wire.compact(dict(given)) if given else b""
    if len(frame) > wire.HEADERS_BYTES_MAX:
        raise wrong("headers", f"take {len(frame)} bytes; at most {wire.HEADERS_BYTES_MAX} are allowed")
    return frame


def backoff_ms(base_ms: float, max_ms: float, failures: int) -> float:
    """The pause before the next try. Half of it is random: peers that failed together come apart."""
    whole: float = min(max_ms, base_ms * 2.0 ** min(max(failures - 1, 0), 20))
    return whole / 2 + whole / 2 * random.random()
