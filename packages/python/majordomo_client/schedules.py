"""Schedules as scripts of questions: neither threads nor sockets."""

from __future__ import annotations

import datetime
import urllib.parse
from typing import Any, NamedTuple, Optional

from . import wire
from .call import Patience
from .engine import Ask, Script
from .errors import JobRefusedError, JobUnsupportedError
from .jobs import read_answer
from .options import body_of, checked_text, service_of, wrong

# No broker takes more.
_BYTES_MAX = 65_536


class Schedule(NamedTuple):
    """A schedule: when ``next`` it is due, ``since`` when it exists, ``firings`` how often it was due."""

    name: str
    service: str
    cron: str
    time_zone: str
    next: datetime.datetime
    since: datetime.datetime
    firings: int


def schedule(name: object, service: object, body: object, cron: object, time_zone: Optional[str],
             stored: "dict[str, Any]", patience: Patience) -> Script[Schedule]:
    if "key" in stored:
        raise wrong("idempotency_key", "cannot be given: a schedule makes a key for each request")
    options = {**stored, "name": _name(name), "cron": checked_text("cron", cron, _BYTES_MAX)}
    if time_zone is not None:
        options["timeZone"] = checked_text("time_zone", time_zone, _BYTES_MAX)
    frames = [wire.compact(options), service_of(service), *body_of(body)]
    what = f"the schedule {options['name']!r}"
    return _schedule((yield from _ask(Ask(b"titanic.schedule", frames, patience), what, "stored")))


def unschedule(name: object) -> Script[bool]:
    known = _name(name)
    answer = yield from _ask(Ask(b"titanic.unschedule", [known.encode()]), f"the schedule {known!r}", "ended")
    return answer.get("removed") is True


def schedules(patience: Patience) -> "Script[list[Schedule]]":
    found: list[Schedule] = []
    after = ""
    while True:
        try:
            frame = wire.compact({"after": after}) if after else b""
        except ValueError as error:  # half a character
            raise JobRefusedError(f"the answer is not understood: {error}") from error
        answer = yield from _ask(Ask(b"titanic.schedules", [frame], patience), "no list of schedules")
        listed, following = answer.get("schedules"), answer.get("next")
        if not isinstance(listed, list):
            raise JobRefusedError("the answer is not understood: no list of schedules")
        found += [_schedule(each) for each in listed]
        # A page that does not go on would be asked for forever.
        if not isinstance(following, str) or following <= after:
            return found
        after = following


def _name(name: object) -> str:
    return checked_text("name", name, 128)


def _ask(question: Ask, what: str, done: Optional[str] = None) -> "Script[dict[str, Any]]":
    answer = read_answer((yield question))
    if answer.status == 501:
        raise JobUnsupportedError("this broker does not support schedules")
    if answer.status != 200:
        raise answer.error(JobRefusedError, what) if done is None else answer.undone(JobRefusedError, what, done)
    try:
        given = wire.parse_json(answer.frames[0])
    except (IndexError, ValueError) as error:
        raise JobRefusedError(f"the answer is not understood: {error}") from error
    if not isinstance(given, dict):
        raise JobRefusedError("the answer is not understood: no object")
    return given


def _schedule(given: Any) -> Schedule:
    try:
        texts = [given[key] for key in ("name", "service", "cron", "timeZone", "next", "since")]
        firings = given["firings"]
        if not all(isinstance(each, str) for each in texts) or not isinstance(firings, int):
            raise TypeError("not text, or not a number")
        name, service, cron, time_zone, due, since = texts
        return Schedule(name, urllib.parse.unquote(service), cron, time_zone, _time(due), _time(since), firings)
    except (KeyError, TypeError, ValueError) as error:
        raise JobRefusedError(f"the answer is not understood: {error}") from error


def _time(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
