"""What a program receives: a reply at a client, a request at a worker."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any, Callable, Mapping, NoReturn, Optional, Sequence

from .errors import BodyError, StreamBrokenError, UsageError
from .options import Body, body_of
from .wire import PROGRESS, is_progress, parse_json


class Message:
    """A received body: ``frames`` (bytes, at least one) of ``service``."""

    def __init__(self, service: str, frames: Sequence[bytes]) -> None:
        self.service = service
        self.frames: list[bytes] = list(frames)

    @property
    def value(self) -> bytes:
        """The bytes of all frames."""
        return self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)

    def text(self) -> str:
        """All frames, joined, as UTF-8; what is not UTF-8 is replaced."""
        return self.value.decode("utf-8", "replace")

    def json(self) -> Any:
        """All frames, joined and parsed as JSON. Raises BodyError."""
        try:
            return parse_json(self.value)
        except ValueError as error:
            raise BodyError(f"the body is not JSON: {error}") from error

    def __repr__(self) -> str:
        return f"{type(self).__name__}(service={self.service!r}, frames={self.frames!r})"


class Reply(Message):
    """The reply to a request."""


class StreamPart(Message):
    """A part of a streamed reply; ``final`` is true for the last.

    ``progress`` is true for what the handler told with ``request.progress``, which is no part of the reply.
    """

    def __init__(self, service: str, frames: Sequence[bytes], final: bool) -> None:
        self.progress: bool = not final and is_progress(frames)
        super().__init__(service, frames[1:] if self.progress else frames)
        self.final = final


class ProgressPart(Message):
    """What a worker sent while it works on a durable request.

    ``progress`` is true for what it told with ``request.progress``; otherwise it is a part of the reply.
    ``attempt`` counts from 1; ``index``, its place among the parts of this attempt, from 0.
    """

    def __init__(self, service: str, frames: Sequence[bytes], attempt: int, index: int) -> None:
        self.progress: bool = is_progress(frames)
        super().__init__(service, frames[1:] if self.progress else frames)
        self.attempt = attempt
        self.index = index


def no_more_parts(_: object) -> NoReturn:
    """What the handler's thread or task still sends when the handler has returned."""
    raise StreamBrokenError("the handler has returned, so there are no more parts")


class Request(Message):
    """A request at a worker.

    ``headers`` are what the client sent beside the body, ``group`` is the group that it named, such as a tenant (empty: none,
    or the broker knows no groups). ``aborted`` is set when the request is cancelled, and
    when the grace of the worker's ``close()`` is over; ``is_aborted()`` is true then, and after the deadline. A
    handler that runs in a process hears of the deadline, and of the others only when it sends a part or tells progress.
    """

    def __init__(
        self,
        service: str,
        frames: Sequence[bytes],
        headers: Mapping[str, str],
        deadline_ms: Optional[int],
    ) -> None:
        super().__init__(service, frames)
        self.headers = headers
        self.group: str = ""
        self.deadline: Optional[float] = None if deadline_ms is None else time.monotonic() + deadline_ms / 1000
        self._is_over = False
        self._is_cancelled = False
        self._stop: Optional[Callable[[], object]] = None  # ends the task of an asynchronous handler
        self._event: Optional[threading.Event] = None  # made when it is asked for, which few do
        self._emit: Optional[Callable[[list[bytes]], None]] = None

    def partial(self, body: Body) -> None:
        """Sends a part of the answer; what the handler returns is the last part.

        Raises StreamBrokenError if the registration has ended, so that the stream cannot go on, the request
        was cancelled, or the handler has returned; UsageError if no worker got the request.
        """
        self._send(body_of(body))

    def progress(self, body: Body) -> None:
        """Tells how far it is: to ``Client.stream`` and ``Job.progress``; it is no part of the answer.

        Does nothing if ``partial`` would raise StreamBrokenError, or with protocol 0.1. Raises UsageError if no worker got the request.
        """
        with contextlib.suppress(StreamBrokenError):
            self._send([PROGRESS, *body_of(body)])

    def _send(self, frames: "list[bytes]") -> None:
        if self._emit is None:
            raise UsageError("no worker got this request, so it has no parts and no progress")
        self._emit(frames)

    def remaining_ms(self) -> Optional[float]:
        """How long the client still waits, in milliseconds; None: it did not say."""
        return None if self.deadline is None else max(0.0, (self.deadline - time.monotonic()) * 1000)

    def plain(self) -> tuple[str, list[bytes], Mapping[str, str], Optional[int]]:
        """What another process makes the same request of."""
        left = self.remaining_ms()
        return (self.service, self.frames, self.headers, None if left is None else int(left))

    @property
    def aborted(self) -> threading.Event:
        if self._event is None:
            self._event = threading.Event()
            if self._is_over:
                self._event.set()
        return self._event

    def _abort(self) -> None:
        self._is_over = True
        if self._event is not None:
            self._event.set()

    def _cancel(self) -> None:
        self._is_cancelled = True
        self._abort()
        if self._stop is not None:
            self._stop()

    def _end(self) -> None:
        """The grace of the worker is over."""
        self._abort()
        if self._stop is not None and not self._is_cancelled:
            self._stop()

    def is_aborted(self) -> bool:
        return self._is_over or self.remaining_ms() == 0
