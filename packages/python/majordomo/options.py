"""Checks of options, and what both ends share: endpoints, bodies, headers, pauses."""

from __future__ import annotations

import os
import random
import re
from typing import Iterable, Mapping, Optional, Sequence, Union

from . import wire
from .errors import BodyError, EndpointError, OptionError

Body = Union[str, bytes, Sequence[Union[str, bytes]]]
Endpoints = Union[str, Sequence[str], None]

DAY_MS = 86_400_000
_ENDPOINT = re.compile(r"tcp://(\[[^\]\s\0]+\]|[^\s:/*\[\]\0]+):([0-9]{1,5})|ipc://[^\s\0]+")
_PATH_BYTES_MAX = 107  # the system's
_HEADER_NAME = re.compile(r"[a-z0-9-]{1,64}")


def wrong(option: str, what: str) -> OptionError:
    return OptionError(f"{option} {what}", {"option": option})


def shown(given: object) -> str:
    """What a message says of a value, whose own ``repr`` may be long, or fail."""
    try:
        text = repr(given)
    except Exception:
        return f"a {type(given).__name__}"
    return text if len(text) <= 100 else f"{text[:100]}…"


def integer(option: str, value: object, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise wrong(option, f"must be a whole number from {least} to {most}, not {shown(value)}")
    return value


def utf8(option: str, given: str) -> bytes:
    """Text as bytes. Raises OptionError for half of a surrogate pair, which is no character."""
    try:
        return given.encode()
    except UnicodeEncodeError:
        raise wrong(option, f"is text that UTF-8 cannot say: {shown(given)}") from None


def checked_text(option: str, given: object, most: int) -> str:
    """Text of 1 to ``most`` bytes. Raises OptionError."""
    if not isinstance(given, str) or not 1 <= len(utf8(option, given)) <= most:
        raise wrong(option, f"must be text of 1 to {most} bytes in UTF-8")
    return given


def boolean(option: str, given: object) -> bool:
    if not isinstance(given, bool):
        raise wrong(option, f"must be True or False, not {shown(given)}")
    return given


def version_of(protocol: object) -> int:
    if protocol == "0.1":
        return 1
    if protocol == "0.2":
        return 2
    raise wrong("protocol", f"must be '0.1' or '0.2', not {shown(protocol)}")


def endpoints_of(given: Endpoints) -> list[str]:
    """Text, separated by commas, or a sequence; None: the environment variable MAJORDOMO_URL."""
    if given is None:
        given = os.environ.get("MAJORDOMO_URL", "")
        if not given:
            raise wrong("endpoints", "must be given, or MAJORDOMO_URL set, for example tcp://127.0.0.1:5555")
    if isinstance(given, str):
        listed = [each for each in re.split(r"[,\s]+", given) if each]
    elif isinstance(given, Iterable) and not isinstance(given, (bytes, bytearray)):
        listed = list(given)
    else:
        raise wrong("endpoints", f"must be text or a list of texts, not {shown(given)}")
    if not 1 <= len(listed) <= 64:
        raise wrong("endpoints", f"must be 1 to 64, not {len(listed)}")
    for each in listed:
        if not isinstance(each, str):
            raise wrong("endpoints", f"must be texts, such as tcp://127.0.0.1:5555, not {shown(each)}")
        if not _is_endpoint(each):
            raise EndpointError(f"not an endpoint: {shown(each)} (tcp://HOST:PORT, ipc://PATH)", {"endpoint": each})
    return listed


def _is_endpoint(given: str) -> bool:
    match = _ENDPOINT.fullmatch(given)
    try:
        bytes_of_path = len(given.encode()) - len("ipc://")
    except UnicodeEncodeError:
        return False
    if match is None:
        return False
    return bytes_of_path <= _PATH_BYTES_MAX if match[2] is None else 1 <= int(match[2]) <= 65_535


def service_of(given: object) -> bytes:
    name = utf8("service", given) if isinstance(given, str) else given
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
        try:
            return given.encode()
        except UnicodeEncodeError as error:
            raise BodyError(f"a body is text that UTF-8 cannot say: {error}") from None
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
            raise wrong("headers", f"has the name {shown(name)}: it is not 1 to 64 characters of a-z, 0-9 and -")
        if not isinstance(value, str):
            raise wrong("headers", f"has {name}, which is not text")
        utf8("headers", value)
    frame = wire.compact(dict(given)) if given else b""
    if len(frame) > wire.HEADERS_BYTES_MAX:
        raise wrong("headers", f"take {len(frame)} bytes; at most {wire.HEADERS_BYTES_MAX} are allowed")
    return frame


def backoff_ms(base_ms: float, max_ms: float, failures: int) -> float:
    """The pause before the next try. Half of it is random: peers that failed together come apart."""
    whole: float = min(max_ms, base_ms * 2.0 ** min(max(failures - 1, 0), 20))
    return whole / 2 + whole / 2 * random.random()
