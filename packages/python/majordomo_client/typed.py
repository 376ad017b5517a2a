"""Typed services: what requests and replies are, known to client and worker, and checked at both ends. No I/O."""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import inspect
import json
import types
import typing
from typing import Any, Callable, Generic, Iterator, Mapping, Optional, Sequence, Type, TypeVar, Union

from .contract import contract_frame
from .errors import BodyError, ServiceError
from .message import Message, Request
from .options import service_of, shown, wrong

Input = TypeVar("Input")
Output = TypeVar("Output")

# Each with the code of the error that a wrong value becomes.
_CODES = {"input": "invalid_argument", "output": "invalid_reply"}
_OWN_CODES = frozenset([*_CODES.values(), "invalid_error", "too-large"])
_ISSUES_MAX = 100
_LEVELS_MAX = 64
_UNIONS = (Union, getattr(types, "UnionType", Union))
_PLAIN: "dict[Any, tuple[str, str]]" = {
    str: ("string", "text"), bool: ("boolean", "true or false"), int: ("integer", "a whole number"), float: ("number", "a number"),
    type(None): ("null", "null"),
}


class TypedService(Generic[Input, Output]):
    """A service with the types of its requests and replies, which both ends check, and which a worker announces.

        @dataclass
        class Place:
            country: str

        TAX = TypedService('tax.rate', Place, float, errors={'unknown_country': Place})
        Worker('tcp://127.0.0.1:5555', TAX, lambda place, request: 0.19).run()
        client.call(TAX, Place('DE'))

    Types are dataclasses, models of pydantic 2, and what JSON has: ``str``, ``int``, ``float``, ``bool``, ``None``, ``Any``, ``Literal``,
    ``Enum``, ``Union``, and lists and dicts of these. The handler gets the value and the Request, and returns, or yields, values.
    A wrong input is a ServiceError ``invalid_argument``, at the client before it is sent, at the worker before the handler is
    called; a wrong output is ``invalid_reply``; an error that is not in ``errors`` (the types of details, by code), or
    has wrong details, is ``invalid_error``. ``details['issues']`` says what is wrong.

    Raises OptionError.
    """

    def __init__(self, name: str, input: "Type[Input]", output: "Type[Output]", *, errors: "Optional[Mapping[str, Any]]" = None,
                 progress: Any = None, version: Optional[str] = None, description: Optional[str] = None) -> None:
        service_of(name)
        if errors is not None and not isinstance(errors, Mapping):
            raise wrong("errors", f"must be a dict of types by code, not {shown(errors)}")
        self.name: str = name
        self.input: Any = input
        self.output: Any = output
        self.errors: "Optional[dict[str, Any]]" = None if errors is None else dict(errors)
        facts = {"version": version, "description": description, "input": schema_of(input), "output": schema_of(output)}
        if progress is not None:
            facts["progress"] = schema_of(progress)
        if errors is not None:
            facts["errors"] = {code: schema_of(kind) for code, kind in errors.items()}
        #: What a worker announces.
        self.contract: "dict[str, Any]" = {key: value for key, value in facts.items() if value is not None}
        contract_frame(self.contract)

    def encode(self, part: str, value: object) -> bytes:
        """A value of ``'input'`` or ``'output'`` as it is sent. Raises ServiceError."""
        plain = _plain(value)
        self._loaded(part, plain)
        try:
            return json.dumps(plain, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise self._error(part, [Issue(str(error), ())]) from None

    def decode(self, part: str, message: Message) -> Any:
        """A value of what was received. Raises ServiceError, and BodyError for a reply that is not JSON."""
        try:
            plain = message.json()
        except BodyError as error:
            if part == "output":
                raise
            raise self._error(part, [Issue(error.message, ())]) from None
        return self._loaded(part, plain)

    def declared(self, error: ServiceError) -> ServiceError:
        """The error itself, if the service declares it with such details; otherwise what is wrong with it."""
        code = error.service_code
        if self.errors is None or code in _OWN_CODES:
            return error
        if code not in self.errors:
            text = f"'{self.name}' does not declare the error '{code}': {error.message}"
            return ServiceError("invalid_error", text, retry=error.retry)
        issues: "list[Issue]" = []
        _load(self.errors[code], _plain(error.details), (), issues)
        return error if not issues else _issues_error("invalid_error", self.name, f"the error '{code}' of '{self.name}'", issues, error.retry)

    def _loaded(self, part: str, plain: object) -> Any:
        issues: "list[Issue]" = []
        value = _load(getattr(self, part), plain, (), issues)
        if issues:
            raise self._error(part, issues)
        return value

    def _error(self, part: str, issues: "Sequence[Issue]") -> ServiceError:
        # A wrong input stays wrong; a wrong output may be mended by the next version of the worker.
        return _issues_error(_CODES[part], self.name, f"the {part} of '{self.name}'", issues, part != "input")

    def __repr__(self) -> str:
        return f"TypedService({self.name!r})"


class Issue(typing.NamedTuple):
    """What is wrong with a value, and where."""

    message: str
    path: "tuple[str, ...]"


def _issues_error(code: str, service: str, what: str, issues: "Sequence[Issue]", retry: Union[bool, str]) -> ServiceError:
    first = issues[0]
    where = f"{'.'.join(first.path)}: " if first.path else ""
    more = f" (and {len(issues) - 1} more)" if len(issues) > 1 else ""
    listed = [{"message": each.message, "path": list(each.path)} for each in issues[:_ISSUES_MAX]]
    error = ServiceError(code, f"{what} is wrong: {where}{first.message}{more}", retry=retry, details={"issues": listed})
    error.service = service
    return error


def _is_model(kind: object) -> bool:
    return inspect.isclass(kind) and hasattr(kind, "model_validate") and hasattr(kind, "model_json_schema")


def _fields(kind: Any) -> "list[tuple[dataclasses.Field[Any], Any]]":
    hints = typing.get_type_hints(kind)
    return [(each, hints[each.name]) for each in dataclasses.fields(kind) if each.init]


def _is_needed(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def schema_of(kind: Any, levels: int = _LEVELS_MAX) -> "Union[bool, dict[str, Any]]":
    """The JSON Schema of a type. Raises OptionError for one that has none."""
    if levels == 0:
        raise wrong("type", "may not contain itself, unless it is a model of pydantic")
    origin, args = typing.get_origin(kind), typing.get_args(kind)

    def within(each: Any) -> "Union[bool, dict[str, Any]]":
        return schema_of(each, levels - 1)

    if kind is Any or kind is object:
        return True
    if kind is None or kind in _PLAIN:
        return {"type": _PLAIN[type(None) if kind is None else kind][0]}
    if _is_model(kind):
        found: "dict[str, Any]" = kind.model_json_schema()
        return found
    if dataclasses.is_dataclass(kind) and inspect.isclass(kind):
        try:
            fields = _fields(kind)
        except Exception as error:
            raise wrong("type", f"{kind.__name__} has annotations that cannot be read: {error}") from error
        schema = {"type": "object", "properties": {field.name: within(each) for field, each in fields}}
        needed = [field.name for field, _ in fields if _is_needed(field)]
        return {**schema, "required": needed} if needed else schema
    if inspect.isclass(kind) and issubclass(kind, enum.Enum):
        return {"enum": [each.value for each in kind]}
    if origin is typing.Literal:
        return {"enum": list(args)}
    if origin in _UNIONS:
        return {"anyOf": [within(each) for each in args]}
    if origin in (list, collections.abc.Sequence) or kind is list:
        return {"type": "array", "items": within(args[0])} if args else {"type": "array"}
    if (origin in (dict, collections.abc.Mapping) and args[0] is str) or kind is dict:
        return {"type": "object", "additionalProperties": within(args[1])} if args else {"type": "object"}
    raise wrong("type", f"must be a dataclass, a model of pydantic 2, or what JSON has, not {shown(kind)}")


def _load(kind: Any, value: Any, path: "tuple[str, ...]", issues: "list[Issue]") -> Any:
    """The value as this type; what is wrong is added to the issues."""
    if kind is Any or kind is object:
        return value
    kind = type(None) if kind is None else kind
    if kind in _PLAIN:
        return _load_plain(kind, value, path, issues)
    if _is_model(kind):
        try:
            return kind.model_validate(value)
        except ValueError as error:
            read: Any = getattr(error, "errors", lambda: [{"msg": str(error), "loc": ()}])
            found: "list[dict[str, Any]]" = read()
            issues += [Issue(str(each["msg"]), (*path, *map(str, each["loc"]))) for each in found]
            return None
    if dataclasses.is_dataclass(kind):
        return _load_dataclass(kind, value, path, issues)
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if inspect.isclass(kind) and issubclass(kind, enum.Enum):
        args = tuple(each.value for each in kind)
    if origin is typing.Literal or (inspect.isclass(kind) and issubclass(kind, enum.Enum)):
        if not any(type(each) is type(value) and each == value for each in args):
            issues.append(Issue(f"must be one of {', '.join(map(repr, args))}", path))
            return None
        made: Any = kind
        return value if origin is typing.Literal else made(value)
    if origin in _UNIONS:
        return _load_union(args, value, path, issues)
    if origin in (list, collections.abc.Sequence) or kind is list:
        if not isinstance(value, list):
            issues.append(Issue("must be a list", path))
            return None
        return [_load(args[0] if args else Any, each, (*path, str(at)), issues) for at, each in enumerate(value)]
    if not isinstance(value, dict):
        issues.append(Issue("must be an object", path))
        return None
    return {key: _load(args[1] if args else Any, each, (*path, key), issues) for key, each in value.items()}


def _load_plain(kind: Any, value: Any, path: "tuple[str, ...]", issues: "list[Issue]") -> Any:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is float and is_number:
        return float(value) if abs(value) < 1e308 else value
    if kind is int and is_number and (isinstance(value, int) or value.is_integer()):  # JSON has one kind of numbers
        return int(value)
    if kind not in (int, float) and isinstance(value, kind):
        return value
    issues.append(Issue(f"must be {_PLAIN[kind][1]}", path))
    return None


def _load_dataclass(kind: Any, value: Any, path: "tuple[str, ...]", issues: "list[Issue]") -> Any:
    if not isinstance(value, dict):
        issues.append(Issue("must be an object", path))
        return None
    before = len(issues)
    found: "dict[str, Any]" = {}
    for field, hint in _fields(kind):
        if field.name in value:
            found[field.name] = _load(hint, value[field.name], (*path, field.name), issues)
        elif _is_needed(field):
            issues.append(Issue("is missing", (*path, field.name)))
    if len(issues) > before:
        return None
    try:
        return kind(**found)
    except (TypeError, ValueError) as error:  # its __post_init__ checks, too
        issues.append(Issue(str(error), path))
        return None


def _load_union(kinds: "tuple[Any, ...]", value: Any, path: "tuple[str, ...]", issues: "list[Issue]") -> Any:
    closest: "Optional[list[Issue]]" = None
    for kind in kinds:
        found: "list[Issue]" = []
        loaded = _load(kind, value, path, found)
        if not found:
            return loaded
        # What is wrong further inside was meant.
        if closest is None or len(found[0].path) > len(closest[0].path):
            closest = found
    issues += closest or []
    return None


def _plain(value: Any) -> Any:
    """What JSON has, of what a program gives."""
    if dataclasses.is_dataclass(value) and not inspect.isclass(value):
        given = [(each, getattr(value, each.name)) for each in dataclasses.fields(value) if each.init]
        # Others may know the field as one that can be missing, and refuse null.
        return {each.name: _plain(found) for each, found in given if found is not None or each.default is not None}
    dump: Any = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json", by_alias=True)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def typed_handler(service: "TypedService[Any, Any]", handler: Callable[..., Any]) -> Callable[[Request], Any]:
    """A handler of requests that checks what the given one gets and returns."""
    is_later = any(inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each)
                   for each in (handler, getattr(handler, "__call__", None)))
    return (_AsyncHandler if is_later else _Handler)(service, handler)


class _Handler:
    def __init__(self, service: "TypedService[Any, Any]", handler: Callable[..., Any]) -> None:
        self._service = service
        self._handler = handler

    def _call(self, request: Request) -> Any:
        return self._handler(self._service.decode("input", request), request)

    def __call__(self, request: Request) -> Any:
        try:
            answer = self._call(request)
        except ServiceError as error:
            raise self._service.declared(error) from error
        if inspect.isgenerator(answer):
            return self._parts(answer)
        if inspect.isawaitable(answer) or inspect.isasyncgen(answer):  # of a function that does not look like one
            return self._later(answer)
        return self._service.encode("output", answer)

    def _parts(self, answer: Iterator[Any]) -> "Iterator[bytes]":
        try:
            while True:
                yield self._service.encode("output", next(answer))
        except StopIteration as end:
            return b"" if end.value is None else self._service.encode("output", end.value)
        except ServiceError as error:
            raise self._service.declared(error) from error

    async def _later(self, answer: Any) -> Any:
        try:
            while inspect.isawaitable(answer):
                answer = await answer
        except ServiceError as error:
            raise self._service.declared(error) from error
        return self._async_parts(answer) if inspect.isasyncgen(answer) else self._service.encode("output", answer)

    async def _async_parts(self, answer: Any) -> Any:
        try:
            async for part in answer:
                yield self._service.encode("output", part)
        except ServiceError as error:
            raise self._service.declared(error) from error


class _AsyncHandler(_Handler):
    async def __call__(self, request: Request) -> Any:
        return await self._later(self._call(request))
