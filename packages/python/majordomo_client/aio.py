"""A client for asyncio: the calls of Client, to be awaited."""

from __future__ import annotations

import asyncio
from typing import Any, AsyncIterator, Callable, Mapping, Optional, Sequence, Union

from . import jobs, schedules
from .client import ClientBase, Service, shown
from .contract import contract_in
from .engine import Ask, Pause, Result, Script
from .errors import MajordomoError
from .jobs import JobState
from .message import ProgressPart, Reply, StreamPart
from .options import USUAL, Body, cost, names_options, service_of
from .schedules import Schedule
from .threads import replaced_by
from .typed import Input, Output, TypedService


@names_options
class AsyncClient(ClientBase):
    """Client for asyncio: the same options, calls and errors; cancelling a task cancels its request.

        async with AsyncClient('tcp://127.0.0.1:5555') as client:
            print((await client.request('echo', 'hello')).text())
    """

    async def request(
        self,
        service: Service,
        body: Body,
        *,
        timeout_ms: Optional[int] = USUAL,
        headers: Optional[Mapping[str, str]] = None,
        once: bool = False,
        group: Optional[str] = None,
    ) -> Reply:
        """See ``Client.request``."""
        patience = self._engine.patience(timeout_ms)
        begin = lambda done: self._engine.call(service, body, patience, headers, done, None, once, group)
        return Reply(shown(service), await self._wait(begin))

    async def call(
        self,
        service: "TypedService[Input, Output]",
        value: "Union[Input, Mapping[str, Any]]",
        *,
        timeout_ms: Optional[int] = USUAL,
        headers: Optional[Mapping[str, str]] = None,
        once: bool = False,
        group: Optional[str] = None,
    ) -> Output:
        """See ``Client.call``."""
        body = service.encode("input", value)
        reply = await self.request(service.name, body, timeout_ms=timeout_ms, headers=headers, once=once, group=group)
        found: Output = service.decode("output", reply)
        return found

    async def stream(
        self,
        service: Service,
        body: Body,
        *,
        timeout_ms: Optional[int] = USUAL,
        headers: Optional[Mapping[str, str]] = None,
        once: bool = False,
        group: Optional[str] = None,
    ) -> AsyncIterator[StreamPart]:
        """See ``Client.stream``; read it with ``async for``."""
        loop = asyncio.get_running_loop()
        parts: asyncio.Queue[Union[StreamPart, MajordomoError]] = asyncio.Queue()
        name = shown(service)

        def put(part: Union[StreamPart, MajordomoError]) -> None:
            _on(loop, parts.put_nowait, part)

        patience = self._engine.patience(timeout_ms)
        call = self._engine.call(
            service, body, patience, headers,
            lambda _, error: put(error) if error is not None else None,
            lambda frames, final: put(StreamPart(name, frames, final)),
            once, group,
        )
        try:
            while True:
                self._engine.check(call)
                part = await parts.get()
                if isinstance(part, MajordomoError):
                    raise part
                call.read_bytes += cost(part.frames)
                yield part
                if part.final:
                    return
        finally:
            self._engine.cancel(call)

    async def enqueue(
        self,
        service: Service,
        body: Body,
        *,
        timeout_ms: Optional[int] = USUAL,
        **options: Any,
    ) -> "AsyncJob":
        """See ``Client.enqueue``, which has the options."""
        stored = jobs.stored_options(**options)
        patience = self._engine.patience(timeout_ms)
        found = await self._run(jobs.enqueue(self._engine, service, body, stored, patience))
        return AsyncJob(self, found.uuid, shown(service), found.existed, found.found)

    async def call_durable(
        self,
        service: Service,
        body: Body,
        *,
        timeout_ms: Optional[int] = USUAL,
        **options: Any,
    ) -> Reply:
        """See ``Client.call_durable``, which has the options."""
        stored = jobs.stored_options(**options)
        return await self._run(jobs.call_durable(self._engine, service, body, stored, timeout_ms))

    def job(self, uuid: str) -> "AsyncJob":
        """The durable request with this uuid, which another client may have stored."""
        return AsyncJob(self, jobs.checked_uuid(uuid), "")

    async def schedule(
        self,
        name: str,
        service: Service,
        body: Body,
        *,
        cron: str,
        time_zone: Optional[str] = None,
        timeout_ms: Optional[int] = USUAL,
        **options: Any,
    ) -> Schedule:
        """See ``Client.schedule``, which has the options."""
        stored = jobs.stored_options(**options)
        patience = self._engine.patience(timeout_ms)
        script = schedules.schedule(name, service, body, cron, time_zone, stored, patience)
        return await self._run(script)

    async def unschedule(self, name: str) -> bool:
        """Ends a schedule; False if there was none. Requests that are stored already stay."""
        return await self._run(schedules.unschedule(name))

    async def schedules(self) -> "list[Schedule]":
        """All schedules of this client's key."""
        return await self._run(schedules.schedules(self._engine.patience()))

    async def contract_of(
        self, service: Service, *, timeout_ms: Optional[int] = USUAL,
    ) -> "Optional[dict[str, Any]]":
        """See ``Client.contract_of``."""
        name = service_of(service)
        reply = await self.request("mmi.contract", name, timeout_ms=timeout_ms)
        return contract_in(reply.frames)

    async def close(self) -> None:
        """See ``Client.close``."""
        if replaced_by() is None:
            await asyncio.get_running_loop().run_in_executor(None, self._engine.close)
        else:  # an executor answers in a greenlet, which asyncio of Python 3.14 takes for the thread of the loop
            self._engine.close()

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.close()

    async def _wait(self, begin: Callable[[Any], Any]) -> Sequence[bytes]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Sequence[bytes]] = loop.create_future()

        def settle(body: Optional[Sequence[bytes]], error: Optional[MajordomoError]) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(body or ())

        call = begin(lambda body, error: _on(loop, settle, body, error))
        try:
            return await future
        except asyncio.CancelledError:
            self._engine.cancel(call)
            raise

    async def _run(self, script: "Script[Result]") -> Result:
        answer: Any = None
        error: Optional[MajordomoError] = None
        while True:
            try:
                step = script.send(answer) if error is None else script.throw(error)
            except StopIteration as end:
                result: Result = end.value
                return result
            answer, error = None, None
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                continue
            try:
                answer = await self._answer(step)
            except MajordomoError as raised:
                error = raised

    async def _answer(self, question: Ask) -> Sequence[bytes]:
        return await self._wait(lambda done: self._engine.ask(question, done))


@names_options
class AsyncJob:
    """Job for asyncio."""

    def __init__(self, client: AsyncClient, uuid: str, service: str, existed: Optional[bool] = None,
                 found: Optional[str] = None) -> None:
        self._client = client
        self.uuid = uuid
        self.service = service
        self.existed = existed
        self.found = found

    async def result(self, timeout_ms: Optional[int] = None) -> Reply:
        """See ``Job.result``."""
        return await self._client._run(jobs.result(self._client._engine, self.uuid, self.service, timeout_ms))

    async def progress(self, timeout_ms: Optional[int] = None) -> AsyncIterator[ProgressPart]:
        """See ``Job.progress``; read it with ``async for``."""
        place = b""
        while True:
            script = jobs.progress(self._client._engine, self.uuid, self.service, timeout_ms, place)
            place, parts = await self._client._run(script)
            for part in parts:
                yield part
            if not place:
                return

    async def state(self) -> JobState:
        """Asks the broker once."""
        return await self._client._run(jobs.state(self._client._engine, self.uuid, self.service))

    async def close(self) -> None:
        """See ``Job.close``."""
        await self._client._run(jobs.close(self.uuid))

    async def cancel(self) -> None:
        """Does the same as ``close()``."""
        await self.close()


def _on(loop: asyncio.AbstractEventLoop, function: Callable[..., Any], *arguments: Any) -> None:
    """Calls a function in the loop, from the engine's thread."""
    try:
        loop.call_soon_threadsafe(function, *arguments)
    except RuntimeError:
        pass  # the loop has ended, and with it whoever waited
