"""Checks of options, and what both ends share: endpoints, bodies, headers, pauses."""

from __future__ import annotations

import difflib
import functools
import inspect
import os
import random
import re
import sys
import types
from typing import Any, Callable, Iterable, Mapping, Optional, Sequence, TypeVar, Union

from . import wire
from .errors import BodyError, EndpointError, OptionError

Body = Union[str, bytes, Sequence[Union[str, bytes]]]
Endpoints = Union[str, Sequence[str], None]
Kind = TypeVar("Kind")

DAY_MS = 86_400_000
GROUP_BYTES_MAX = 255
_YEAR_MS = 365 * DAY_MS
_ENDPOINT = re.compile(r"tcp://(\[[^\]\s\0]+\]|[^\s:/*\[\]\0]+):([0-9]{1,5})|ipc://[^\s\0]+")
_PATH_BYTES_MAX = 103 if sys.platform == "darwin" else 107  # the system's
_HEADER_NAME = re.compile(r"[a-z0-9-]{1,64}")


class _Usual:
    def __repr__(self) -> str:
        return "USUAL"


# What is not given, where None is a value: a call has the time of its client, and a client has TIMEOUT_MS.
USUAL: Any = _Usual()
TIMEOUT_MS = 10_000
_GONE = {
    "deadline_ms": "deadline_ms is gone: write timeout_ms, the time of the whole call",
    "retries": "retries is gone: timeout_ms is the whole call; resend_ms says when other brokers are sent it again",
}


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


# What a table has for each option: the value as it is used, of the option's name and what is given; raises OptionError.
Read = Callable[[str, Any], Any]


def whole(least: int, most: int) -> Read:
    return lambda option, given: integer(option, given, least, most)


def seconds(least: int = 1) -> Read:
    """Reads milliseconds, at most a day."""
    return lambda option, given: integer(option, given, least, DAY_MS) / 1000


def call_time(option: str, given: Any) -> float:
    """Reads the milliseconds that a whole call may take, as seconds; None: it has no end."""
    if given is None:
        return float("inf")
    if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= _YEAR_MS:
        raise wrong(option, f"must be a whole number from 1 to {_YEAR_MS}, or None, not {shown(given)}")
    return given / 1000


def text(most: int) -> Read:
    return lambda option, given: checked_text(option, given, most)


def one_of(*values: str) -> Read:
    def read(option: str, given: Any) -> Any:
        if given in values:
            return given
        raise wrong(option, f"must be {' or '.join(map(repr, values))}, not {shown(given)}")

    return read


def or_none(read: Read) -> Read:
    return lambda option, given: None if given is None else read(option, given)


def read_options(table: Mapping[str, Read], given: Mapping[str, Any]) -> Any:
    """What is given, as attributes with the names of the table."""
    return types.SimpleNamespace(**{option: read(option, given[option]) for option, read in table.items()})


def check_names(known: Iterable[str], given: Iterable[str]) -> None:
    """Raises TypeError for a name that is unknown, with the nearest one."""
    names = list(known)
    for name in given:
        if name not in names:
            if name in _GONE and "timeout_ms" in names:
                raise TypeError(_GONE[name])
            near = difflib.get_close_matches(name, names, 1)
            meant = f"; did you mean {near[0]}" if near else ""
            raise TypeError(f"there is no option {name!r}; there are {', '.join(names)}{meant}")


def names_options(kind: "type[Kind]") -> "type[Kind]":
    """Has each method of a class name the option that was meant by an unknown one, and what stands for one that is gone."""
    for name, function in list(vars(kind).items()):
        if inspect.isfunction(function) and (name == "__init__" or not name.startswith("_")):
            setattr(kind, name, _names_options_of(function))
    return kind


def _names_options_of(function: Callable[..., Any]) -> Callable[..., Any]:
    parameters = inspect.signature(function).parameters.values()
    if any(each.kind is each.VAR_KEYWORD for each in parameters):
        return function
    names = [each.name for each in parameters if each.name != "self"]
    known = frozenset(names)

    @functools.wraps(function)
    def call(*args: Any, **given: Any) -> Any:
        if not known.issuperset(given):
            check_names(names, given)
        return function(*args, **given)

    @functools.wraps(function)
    async def call_later(*args: Any, **given: Any) -> Any:
        return await call(*args, **given)

    return call_later if inspect.iscoroutinefunction(function) else call


def endpoints_of(given: Endpoints) -> list[str]:
    """Text, separated by commas, or a sequence; None: the environment variable MAJORDOMO_URL."""
    if given is None:
        # What commands of operators need stands beside the end points of programs.
        named = os.environ.get("MAJORDOMO_URL", "")
        given = ",".join(each for each in re.split(r"[,\s]+", named) if not re.match("https?://|unix:", each)) or named
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
    hint = "; send JSON as text: json.dumps(…)" if isinstance(given, dict) else ""
    raise BodyError(f"a body is text, bytes or a list of these, not {type(given).__name__}{hint}")


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
