"""Errors of the package.

Each has a stable ``code``, the same as in the TypeScript SDK, and a class of its own. ``details`` are
facts for programs; the text is for people and may change.
"""

from __future__ import annotations

import re
from typing import Any, Mapping, Optional, Sequence, Union

from .wire import parse_json

__all__ = [
    "BodyError", "ClosedError", "EndpointError", "EndpointInUseError", "ForbiddenError", "JobDeadError",
    "JobKeyReusedError", "JobPendingError", "JobRefusedError", "JobUnknownError", "JobUnsupportedError",
    "KeyRefusedError", "LimitError", "MajordomoError", "MapLimitError", "NoWorkerError", "OptionError",
    "OutcomeUnknownError", "RefusedError", "RequestTimeoutError", "ServiceError", "StreamBrokenError",
    "StreamGapError", "StreamHeaderError", "StreamTooSlowError", "TooLargeError", "UnreachableError",
    "UnsupportedError", "UsageError",
]

_FAILURE_CODE = re.compile(r"[A-Za-z0-9._-]{1,64}")


class MajordomoError(Exception):
    """The base of all errors of this package."""

    code: str
    code = "ERR_MDP"

    def __init_subclass__(cls, *, code: str = "", **others: Any) -> None:
        super().__init_subclass__(**others)
        cls.code = code or cls.code

    def __init__(self, message: str, details: Optional[Mapping[str, Any]] = None) -> None:
        super().__init__(message)
        self.message = message
        self.details: Mapping[str, Any] = dict(details or {})


class BodyError(MajordomoError, ValueError, code="ERR_MDP_BODY"):
    """A body cannot be sent, or is not the JSON that the program asked for."""


class ClosedError(MajordomoError, code="ERR_MDP_CLOSED"):
    """The client or worker was closed."""


class EndpointError(MajordomoError, ValueError, code="ERR_MDP_ENDPOINT"):
    """An endpoint is not one: tcp://HOST:PORT or ipc://PATH."""


class EndpointInUseError(MajordomoError, code="ERR_MDP_ENDPOINT_IN_USE"):
    """Another program, or another publisher of this one, listens there."""


class ForbiddenError(MajordomoError, code="ERR_MDP_FORBIDDEN"):
    """The broker refused (403): the key, or the listener, gives no right to that service."""


class KeyRefusedError(MajordomoError, code="ERR_MDP_KEY_REFUSED"):
    """The broker does not admit the CURVE key of this client: two handshakes in a row were refused."""


class LimitError(MajordomoError, code="ERR_MDP_LIMIT"):
    """The client reached one of its limits, ``max_outstanding`` or ``stream_buffer_bytes``."""


class NoWorkerError(MajordomoError, code="ERR_MDP_NO_WORKER"):
    """Nobody serves the service now, and the client does not wait (``if_no_worker='fail'``)."""


class OptionError(MajordomoError, ValueError, code="ERR_MDP_OPTION"):
    """An option or argument is of the wrong type or out of range; ``details['option']`` names it."""


class OutcomeUnknownError(MajordomoError, code="ERR_MDP_OUTCOME_UNKNOWN"):
    """The request may have run, or not: its broker has neither it nor its answer any more after a lost connection.

    With ``once`` also: a delivery ended without an answer. The message says what is known.
    """


class RefusedError(MajordomoError, code="ERR_MDP_REFUSED"):
    """The broker refused: ``details`` has ``status``, ``service`` and ``reason``."""


class RequestTimeoutError(MajordomoError, TimeoutError, code="ERR_MDP_TIMEOUT"):
    """No answer arrived in time; ``details['sends']`` says how many times the request was sent."""


class StreamBrokenError(MajordomoError, code="ERR_MDP_STREAM_BROKEN"):
    """A stream ended after a part was delivered and before the last; at a worker: it cannot go on."""


class StreamGapError(MajordomoError, code="ERR_STREAM_GAP"):
    """The connection to a publisher was lost, so messages may be missing (``on_gap='fail'``)."""


class StreamHeaderError(MajordomoError, code="ERR_STREAM_HEADER"):
    """A message came without the header of a ``Publisher``; the option ``stamp`` reads those of other programs."""


class StreamTooSlowError(MajordomoError, code="ERR_STREAM_TOO_SLOW"):
    """A message reached its reader later than ``max_delay_ms``."""


class TooLargeError(MajordomoError, code="ERR_MDP_TOO_LARGE"):
    """The request is too large for the broker; ``details`` has ``bytes`` and ``bytes_max``, or the refusal."""


class UnreachableError(MajordomoError, ConnectionError, code="ERR_MDP_UNREACHABLE"):
    """No endpoint accepted a connection in time; nothing was sent."""


class UnsupportedError(MajordomoError, code="ERR_MDP_UNSUPPORTED"):
    """The request has headers or a group, or is to run ``once``, and the broker does not support that; it was not sent."""


class UsageError(MajordomoError, code="ERR_MDP_USAGE"):
    """A client of independent brokers was asked to store a request, or for a stored one.

    Also: a worker or a map in a program whose threads gevent or eventlet has replaced.
    """


class JobDeadError(MajordomoError, code="ERR_TITANIC_DEAD"):
    """The durable request is dead: no attempt was answered, and no worker said why."""


class JobKeyReusedError(MajordomoError, code="ERR_TITANIC_KEY_REUSED"):
    """The ``idempotency_key`` was used for a request with another body or other options; nothing was stored."""


class JobPendingError(MajordomoError, TimeoutError, code="ERR_TITANIC_PENDING"):
    """No reply to the durable request arrived within ``timeout_ms``; it may still arrive."""


class JobRefusedError(MajordomoError, code="ERR_TITANIC_REFUSED"):
    """Storing or closing a durable request, or a schedule, was refused: ``details`` has status and text.

    If the text begins with ``outcome unknown``, it may have been done.
    """


class JobUnknownError(MajordomoError, code="ERR_TITANIC_UNKNOWN"):
    """The durable request is unknown: closed, expired, or never stored."""


class JobUnsupportedError(MajordomoError, code="ERR_TITANIC_UNSUPPORTED"):
    """The broker does not support an option of ``enqueue``, or schedules, or progress."""


class MapLimitError(MajordomoError, code="ERR_MAP_LIMIT"):
    """The map of the broker is larger than ``max_bytes``."""


class ServiceError(MajordomoError, code="ERR_SERVICE_FAILED"):
    """A failure of a service. A handler raises it; the client's request raises an equal one.

    ``service_code`` is 1 to 64 characters of ``A-Z a-z 0-9 . _ -``, not beginning with ``mdp.``.
    ``retry``: True, a durable request is tried again after a pause; False, never; ``'elsewhere'``, for
    failures that the request did not cause: a plain request goes to another worker at once, a durable one is tried again
    after a pause. ``details`` are sent as JSON, at most 64 KiB.

        raise ServiceError('card_declined', 'The card was declined', retry=False)
    """

    def __init__(
        self,
        service_code: str,
        message: str,
        *,
        retry: Union[bool, str] = True,
        details: Optional[Mapping[str, Any]] = None,
    ) -> None:
        super().__init__(message, details)
        if not isinstance(service_code, str) or not is_failure_code(service_code):
            raise OptionError(
                "service_code must be 1 to 64 characters of A-Z a-z 0-9 . _ -, not beginning with mdp.",
                {"option": "service_code"},
            )
        if retry not in (True, False, "elsewhere"):
            raise OptionError("retry must be True, False or 'elsewhere'", {"option": "retry"})
        self.service_code = service_code
        self.retry = retry
        self.service = ""
        self.detail: Sequence[bytes] = ()

    def __reduce__(self) -> Any:  # not made anew: one that was received may have a code that none may be raised with
        return (_restored, (type(self), self.args, self.__dict__))


def _restored(kind: "type[ServiceError]", args: "tuple[Any, ...]", state: Mapping[str, Any]) -> ServiceError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


def is_failure_code(code: str) -> bool:
    return _FAILURE_CODE.fullmatch(code) is not None and not code.startswith("mdp.")


def received_service_error(body: Sequence[bytes]) -> ServiceError:
    """The error of a failure that the broker sent: service, code, text, detail frames."""
    service, code, text = (frame.decode("utf-8", "replace") for frame in body[:3])
    detail = tuple(body[3:])
    details: Mapping[str, Any] = {}
    if len(detail) == 1:
        try:
            given = parse_json(detail[0])
        except ValueError:
            given = None
        if isinstance(given, dict):
            details = given
    error = ServiceError("received", text or code, details=details)
    error.service, error.service_code, error.detail = service, code, detail
    return error


_STATUS_ERRORS = {403: ForbiddenError, 404: NoWorkerError, 413: TooLargeError}


def refusal(status: int, service: str, reason: str) -> MajordomoError:
    kind = _STATUS_ERRORS.get(status, RefusedError)
    details = {"status": status, "service": service, "reason": reason}
    return kind(f"{service}: the broker refused ({status}): {reason}", details)
