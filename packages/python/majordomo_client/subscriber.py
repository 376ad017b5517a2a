"""Receives what publishers publish, for threads and for asyncio."""

from __future__ import annotations

import asyncio
import collections
import logging
import threading
import time
import warnings
from typing import Any, AsyncIterator, Callable, Iterator, Optional, Sequence, Union

import zmq

from .curve import Curve, checked_curve
from .errors import ClosedError, KeyRefusedError, MajordomoError, StreamGapError, StreamHeaderError, StreamTooSlowError
from .exchange import KEY_REFUSED
from .link import Wake, ZmqLink
from .options import (
    DAY_MS, Endpoints, Read, cost, endpoints_of, names_options, one_of, or_none, read_options, seconds, whole, wrong,
)
from .stream import Header, Lateness, StreamMessage, Topic, header_of, topic_of
from .threads import Thread, here, is_here, need_threads, say

log: logging.Logger = logging.getLogger("majordomo.subscriber")

Stamp = Callable[["list[bytes]"], float]
_TOPICS_MAX = 10_000
# Messages that are read at once, and that libzmq keeps for each connection; others wait at the publisher.
_TURN = 100
# Before a lost connection is made anew, in seconds.
_PAUSE = 0.2
_KEY_REFUSALS_MAX = 2
# An asynchronous reader lets others run after so many messages that it did not wait for.
_AWAITED_EVERY = 100


def _topics(option: str, given: Any) -> "list[bytes]":
    listed = given if isinstance(given, (list, tuple)) else [given]
    topics = dict.fromkeys(topic_of(option, each) for each in listed)
    if not 1 <= len(topics) <= _TOPICS_MAX:
        raise wrong(option, f"must be 1 to {_TOPICS_MAX} topics")
    return list(topics)


def _stamp(option: str, given: Any) -> Any:
    if given is None or given is False or callable(given):
        return given
    raise wrong(option, "must be a function of the frames, or False")


SUBSCRIBER_OPTIONS: "dict[str, Read]" = {
    "topics": _topics,
    "max_delay_ms": or_none(seconds()),
    "stamp": _stamp,
    "on_gap": one_of("mark", "fail"),
    "buffer_bytes": whole(1, 2**32),
    "curve": checked_curve,
}


class SubscriberBase:
    """What both subscribers have: their options, and their end."""

    def __init__(
        self,
        endpoints: Endpoints,
        *,
        topics: "Union[Topic, Sequence[Topic]]" = "",
        max_delay_ms: Optional[int] = None,
        stamp: "Union[Stamp, bool, None]" = None,
        on_gap: str = "mark",
        buffer_bytes: int = 1_048_576,
        curve: Optional[Curve] = None,
    ) -> None:
        if endpoints is None:
            raise wrong("endpoints", "must be given, for example tcp://127.0.0.1:5560")
        options = read_options(SUBSCRIBER_OPTIONS, locals())
        if options.stamp is False and options.max_delay_ms is not None:
            raise wrong("max_delay_ms", "needs the time of each message: it cannot be with stamp=False")
        self._inbox: _Inbox = _Inbox(endpoints_of(endpoints), options)

    def __del__(self, warn: Callable[..., None] = warnings.warn) -> None:
        inbox: Optional[_Inbox] = getattr(self, "_inbox", None)  # None: its options were wrong
        if inbox is not None and inbox.end_if_left_open():
            warn("a subscriber was never closed", ResourceWarning, source=self)


@names_options
class Subscriber(SubscriberBase):
    """Receives from ``Publisher`` of both SDKs, and with ``stamp`` from PUB sockets of any ZeroMQ library.

        with Subscriber('tcp://127.0.0.1:5560', topics='price.') as subscriber:
            for message in subscriber:
                print(message.topic, message.json())

    It connects at once, and again by itself. ``topics``: the beginnings of the topics to receive; default: all. No message is
    missing between two others unless the connection was lost, and then the first one after that has ``after_gap``; with
    ``on_gap='fail'`` the loop raises StreamGapError instead. ``max_delay_ms``: a message that reaches its reader later raises
    StreamTooSlowError. ``stamp``, for other publishers: a function that returns the milliseconds, by the publisher's clock, when a
    message was sent, of its frames, the topic first; False: they do not say it. When ``buffer_bytes`` wait for the reader, it reads
    no more, and messages wait at the publisher. Several loops share the messages.

    Raises OptionError, EndpointError; UsageError where gevent or eventlet has replaced threads. The loop also raises
    StreamHeaderError and KeyRefusedError, and ends after ``close()``.
    """

    def __iter__(self) -> Iterator[StreamMessage]:
        while True:
            message = self._inbox.next()
            if message is None:
                return
            yield message

    def close(self) -> None:
        """Ends it; what was not read is dropped. Closing twice does nothing."""
        self._inbox.close()

    def __enter__(self) -> "Subscriber":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


@names_options
class AsyncSubscriber(SubscriberBase):
    """Subscriber for asyncio: the same options and errors, read with ``async for``.

        async with AsyncSubscriber('tcp://127.0.0.1:5560', topics='price.') as subscriber:
            async for message in subscriber:
                print(message.topic, message.json())
    """

    async def __aiter__(self) -> AsyncIterator[StreamMessage]:
        loop = asyncio.get_running_loop()
        unawaited = 0
        while True:
            wakes: "asyncio.Future[None]" = loop.create_future()
            found = self._inbox.take(lambda: _wake(loop, wakes))
            if found is _WAIT or unawaited == _AWAITED_EVERY:
                unawaited = 0
                await (wakes if found is _WAIT else asyncio.sleep(0))
            if found is None:
                return
            if isinstance(found, StreamMessage):
                unawaited += 1
                yield found

    async def close(self) -> None:
        """See ``Subscriber.close``."""
        await asyncio.get_running_loop().run_in_executor(None, self._inbox.close)

    async def __aenter__(self) -> "AsyncSubscriber":
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.close()


def _wake(loop: asyncio.AbstractEventLoop, future: "asyncio.Future[None]") -> None:
    def settle() -> None:
        if not future.done():
            future.set_result(None)

    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:
        pass  # the loop has ended, and with it who waited


_WAIT = object()


class _Inbox:
    """What has arrived and was not read, and the thread that fills it."""

    def __init__(self, endpoints: Sequence[str], options: Any) -> None:
        need_threads("a subscriber")
        self._endpoints = endpoints
        self.options = options
        self._closed = False
        self._pid = 0
        here(self)

    def _begin_here(self) -> None:
        self._changed = threading.Condition()
        self._messages: "collections.deque[tuple[StreamMessage, _Feed, int]]" = collections.deque()
        self._bytes = 0
        self._is_full = False
        self._error: Optional[MajordomoError] = None
        self._readers: "list[Callable[[], None]]" = []
        self._poller = zmq.Poller()
        self._wake = Wake(self._poller)
        self._feeds = [_Feed(self, self._poller, each) for each in self._endpoints]
        self._thread = Thread(self._run, "majordomo-subscriber")

    # What readers call.

    def next(self) -> Optional[StreamMessage]:
        """Waits for a message; None: the subscriber was closed, or its error was raised before."""
        here(self)
        with self._changed:
            self._changed.wait_for(lambda: self._messages or self._error is not None)
            return self._taken()

    def take(self, wake: Callable[[], None]) -> Any:
        """A message that is there; else ``_WAIT``: ``wake`` is called, in another thread, when to ask again."""
        here(self)
        with self._changed:
            if self._messages or self._error is not None:
                return self._taken()
            self._readers.append(wake)
            return _WAIT

    def _taken(self) -> Optional[StreamMessage]:
        self._check_delay()
        if not self._messages:
            error, self._error = self._error, ClosedError("the subscriber has ended")
            if error is None or isinstance(error, ClosedError):
                return None
            raise error
        message, _, size = self._messages.popleft()
        self._bytes -= size
        if self._is_full and 2 * self._bytes <= self.options.buffer_bytes:
            self._is_full = False
            self._changed.notify_all()
        return message

    def close(self) -> None:
        self._closed = True
        if is_here(self):
            self._end(ClosedError("the subscriber was closed"), True)
            self._thread.join()

    def end_if_left_open(self) -> bool:
        if self._closed or not is_here(self) or self._error is not None:
            return False
        self._closed = True
        self._end(ClosedError("the subscriber was closed"), True)
        return True

    # What its thread does.

    def _run(self) -> None:
        error = ClosedError("the subscriber was closed")
        try:
            while self._error is None:
                self._turn()
        except BaseException as raised:
            say(log, logging.ERROR, "the subscriber's thread ended", exc_info=raised)
            error = ClosedError(f"the subscriber's thread ended: {raised}")
        finally:
            self._end(error, False)
            for each in self._feeds:
                each.link.close()
            self._wake.close()

    def _turn(self) -> None:
        delay = self.options.max_delay_ms
        with self._changed:
            look = delay / 4 if delay is not None and self._messages else None
            self._check_delay()
            if self._is_full and self._error is None:
                self._changed.wait(look)
            if self._is_full or self._error is not None:
                return
        at = min(each.open_at for each in self._feeds) - time.monotonic()
        wait = min(max(0.0, at), DAY_MS / 1000 if look is None else look)
        ready = dict(self._poller.poll(int(wait * 1000) + 1))
        self._wake.clear(ready)
        for each in self._feeds:
            each.link.read(ready)
            each.tick()

    def _check_delay(self) -> None:
        most = self.options.max_delay_ms
        if most is None or not self._messages or self._error is not None:
            return
        message, feed, _ = self._messages[0]
        late = feed.lateness.of(time.monotonic(), (message.sent_at_ms or 0) / 1000)
        if late > most:
            text = f"a message came {late * 1000:.0f} ms late to its reader (max_delay_ms is {most * 1000:.0f}); " \
                f"{len(self._messages)} are waiting"
            details = {"delay_ms": late * 1000, "behind": len(self._messages), "endpoint": message.endpoint, "topic": message.topic}
            self._end(StreamTooSlowError(text, details), True)

    def put(self, feed: "_Feed", message: StreamMessage) -> None:
        size = cost(message.frames)
        with self._changed:
            if self._error is not None:
                return
            self._messages.append((message, feed, size))
            self._bytes += size
            self._is_full = self._is_full or self._bytes > self.options.buffer_bytes
            self._tell()

    def fail(self, error: MajordomoError) -> None:
        """Ends it; what came before is read first."""
        self._end(error, False)

    def _end(self, error: MajordomoError, drop: bool) -> None:
        with self._changed:
            self._error = self._error or error
            if drop:
                self._messages.clear()
            self._tell()
        self._wake.set()  # only now: its thread looks whether it has ended

    def _tell(self) -> None:
        self._changed.notify_all()
        readers, self._readers = self._readers, []
        for wake in readers:
            wake()


class _Feed:
    """The connection to one publisher, which is made anew whenever it is lost."""

    def __init__(self, inbox: _Inbox, poller: zmq.Poller, endpoint: str) -> None:
        options = inbox.options
        self._inbox = inbox
        self._endpoint = endpoint
        self._stamp = options.stamp
        self.open_at = 0.0
        self.lateness = Lateness()
        self._is_gap = self._was_up = False
        self._refusals = 0
        self.link = link = ZmqLink(zmq.Context.instance(), poller, options.curve, zmq.SUB, options.topics, _TURN)
        link.on_up = self._up
        link.on_down = self._down
        link.on_message = self._received

    def tick(self) -> None:
        if time.monotonic() < self.open_at:
            return
        self.open_at = float("inf")
        reason = self.link.open(self._endpoint)
        if reason is not None:
            self._down(reason)

    def _up(self) -> None:
        self._was_up = True
        self._refusals = 0
        self.lateness = Lateness()

    def _down(self, reason: str) -> None:
        self.link.close()
        self.open_at = time.monotonic() + _PAUSE
        details = {"endpoint": self._endpoint}
        if reason == KEY_REFUSED:
            self._refusals += 1
            if self._refusals == _KEY_REFUSALS_MAX:
                text = f"the publisher at {self._endpoint} does not admit the key of this subscriber"
                self._inbox.fail(KeyRefusedError(text, details))
        elif self._was_up:
            self._was_up, self._is_gap = False, True
            if self._inbox.options.on_gap == "fail":
                text = f"the connection to {self._endpoint} was lost: messages may be missing"
                self._inbox.fail(StreamGapError(text, details))

    def _received(self, frames: "list[bytes]") -> None:
        header: Optional[Header] = None
        sent_at_ms: Optional[float] = None
        if self._stamp is None:
            header = header_of(frames)
            if header is None:
                text = f"a message from {self._endpoint} has no header of a Publisher: read it with the option stamp"
                self._inbox.fail(StreamHeaderError(text, {"endpoint": self._endpoint}))
                return
            sent_at_ms = header.sent_at_ms
        elif self._stamp is not False:
            try:
                sent_at_ms = float(self._stamp(list(frames)))
            except Exception as error:
                self._inbox.fail(wrong("stamp", f"must return the milliseconds of a message: {type(error).__name__}: {error}"))
                return
        if sent_at_ms is not None and self._inbox.options.max_delay_ms is not None:
            self.lateness.arrived(time.monotonic(), sent_at_ms / 1000)
        body = frames[2:] if header is not None else frames[1:]
        self._inbox.put(self, StreamMessage(frames[0], body, self._endpoint, self._is_gap, header, sent_at_ms))
        self._is_gap = False
