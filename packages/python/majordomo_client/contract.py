"""What a worker announces of its services: JSON Schemas, and the version of their contract. No I/O."""

from __future__ import annotations

import decimal
import json
import math
import re
from typing import Any, Container, Mapping, Optional, Sequence

from .errors import BodyError
from .message import Reply
from .options import service_of, wrong

_BYTES_MAX = 65_536
_LEVELS_MAX = 64
_ERRORS_MAX = 100
# In UTF-16 code units, as the broker counts.
_TEXTS = {"version": 64, "description": 1024, "contentType": 1024}
_SCHEMAS = ("input", "output", "progress")
_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")


def contracts_of(given: object, services: Container[bytes]) -> "dict[bytes, bytes]":
    """The frames of the contracts of services, by their names. Raises OptionError."""
    if not isinstance(given, Mapping):
        raise wrong("contract", "must be a dict with the contract of each service, by its name")
    frames = {}
    for name, contract in given.items():
        if service_of(name) not in services:
            raise wrong("contract", f"is given for {name!r}, which is not one of the services")
        frames[service_of(name)] = contract_frame(contract)
    return frames


def contract_frame(given: object) -> bytes:
    """The bytes of a contract, equal for equal ones, also in the TypeScript SDK; empty: none. Raises OptionError."""
    if given is None or given == {}:
        return b""
    if not isinstance(given, Mapping):
        raise wrong("contract", "must be a dict")
    for key, value in given.items():
        _check(key, value)
    try:
        frame = _json({"contentType": "application/json", **given}, _LEVELS_MAX).encode()
    except ValueError as error:  # text that is not Unicode, or a number of thousands of digits
        raise wrong("contract", f"cannot be written as JSON: {error}") from error
    if len(frame) > _BYTES_MAX:
        raise wrong("contract", f"takes {len(frame)} bytes; at most {_BYTES_MAX} are allowed")
    return frame


def contract_in(frames: Sequence[bytes]) -> "Optional[dict[str, Any]]":
    """The JSON of an answer of mmi.contract; None: no worker announced one, or the broker does not know them."""
    if len(frames) < 2 or frames[0] != b"200":
        return None
    found = Reply("mmi.contract", frames[1:2]).json()
    if not isinstance(found, dict) or not isinstance(found.get("contracts"), list):
        raise BodyError("the answer of mmi.contract is not understood")
    return found


def _check(key: object, value: object) -> None:
    if key in _TEXTS:
        most = _TEXTS[str(key)]
        if not isinstance(value, str) or len(value.encode("utf-16-le", "surrogatepass")) > 2 * most:
            raise wrong("contract", f"must have as {key} text of at most {most} characters")
    elif key in _SCHEMAS:
        _check_schema(str(key), value)
    elif key == "errors":
        if not isinstance(value, Mapping) or len(value) > _ERRORS_MAX:
            raise wrong("contract", f"must have as errors a dict of at most {_ERRORS_MAX} JSON Schemas")
        for code, schema in value.items():
            _check_schema(f"errors[{code!r}]", schema)
    else:
        raise wrong("contract", f"has the key {key!r}; known are {', '.join([*_TEXTS, *_SCHEMAS, 'errors'])}")


def _check_schema(place: str, value: object) -> None:
    if not isinstance(value, (bool, Mapping)):
        raise wrong("contract", f"must have as {place} a JSON Schema: a dict or a bool")


def _json(value: object, levels: int) -> str:
    """The JSON of a value, as JSON.stringify writes objects with sorted keys."""
    if isinstance(value, (Mapping, list, tuple)) and levels == 0:
        raise wrong("contract", f"may be at most {_LEVELS_MAX} levels deep")
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise wrong("contract", "may have only text as keys")
        items = (f"{_json(key, 0)}:{_json(value[key], levels - 1)}" for key in sorted(value, key=_place))
        return "{" + ",".join(items) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(_json(each, levels - 1) for each in value) + "]"
    if isinstance(value, float):
        return _number(value)
    if value is None or isinstance(value, (str, bool, int)):
        return json.dumps(value, ensure_ascii=False)
    raise wrong("contract", f"may have only what JSON has, not {type(value).__name__}")


def _place(key: str) -> "tuple[int, bytes]":
    """JavaScript keeps whole numbers first, as numbers, and sorts others by their UTF-16 code units."""
    if _INDEX.fullmatch(key) and int(key) < 2**32 - 1:
        return int(key), b""
    return 2**32, key.encode("utf-16-be", "surrogatepass")


def _number(value: float) -> str:
    if not math.isfinite(value):
        raise wrong("contract", f"may have only numbers that JSON has, not {value}")
    if value == 0:
        return "0"
    if 1e-6 <= abs(value) < 1e21:
        return re.sub(r"\.0$", "", format(decimal.Decimal(repr(value)), "f"))
    return re.sub(r"e([+-])0", r"e\1", repr(value))
