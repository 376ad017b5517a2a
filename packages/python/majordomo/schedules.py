"""Schedules as scripts of questions: neither threads nor sockets."""

from __future__ import annotations

import datetime
import json
import urllib.parse
from typing import Any, NamedTuple, Optional

from . import wire
from .engine import Ask, Patience, Script
from .errors import JobRefusedError, JobUnsupportedError
from .jobs import read_answer
from .options import body_of, service_of, wrong


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
    if not isinstance(cron, str) or not cron:
        raise wrong("cron", "must be a cron line")
    options = {**stored, "name": _name(name), "cron": cron}
    if time_zone is not None:
        options["timeZone"] = time_zone
    frames = [wire.compact(options), service_of(service), *body_of(body)]
    what = f"the schedule {name!r} was not stored"
    return _schedule((yield from _ask(Ask(b"titanic.schedule", frames, patience), what)))


def unschedule(name: object) -> Script[bool]:
    question = Ask(b"titanic.unschedule", [_name(name).encode()])
    answer = yield from _ask(question, f"the schedule {name!r} was not ended")
    return answer.get("removed") is True


def schedules(patience: Patience) -> "Script[list[Schedule]]":
    found: list[Schedule] = []
    after = ""
    while True:
        frame = wire.compact({"after": after}) if after else b""
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
    if not isinstance(name, str) or not 1 <= len(name.encode()) <= 128:
        raise wrong("name", "must be text of 1 to 128 bytes in UTF-8")
    return name


def _ask(question: Ask, what: str) -> "Script[dict[str, Any]]":
    answer = read_answer((yield question))
    if answer.status == 501:
        raise JobUnsupportedError("this broker does not support schedules")
    if answer.status != 200:
        raise answer.error(JobRefusedError, what)
    try:
        given = json.loads(answer.frames[0])
    except (IndexError, ValueError) as error:
        raise JobRefusedError(f"the answer is not understood: {error}") from error
    if not isinstance(given, dict):
        raise JobRefusedError("the answer is not understood: no object")
    return given


def _schedule(given: Any) -> Schedule:
    try:
        return Schedule(
            str(given["name"]),
            urllib.parse.unquote(str(given["service"])),
            str(given["cron"]),
            str(given["timeZone"]),
            _time(given["next"]),
            _time(given["since"]),
            int(given["firings"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise JobRefusedError(f"the answer is not understood: {error}") from error


def _time(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
