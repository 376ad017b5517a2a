"""A worker's registration without a broker."""

from __future__ import annotations

import json
from typing import Optional, Sequence

from majordomo_client import wire
from majordomo_client.worker_core import Failure, Task, WorkerCore, WorkerSettings

ALL = ["credit", "ready-options", "headers", "fail"]


class Stage:
    """A core whose connection writes down what it is told."""

    def __init__(self, version: int = 2, concurrency: int = 1, contract: bytes = b"") -> None:
        self.sent: list[list[bytes]] = []
        self.late: list[list[bytes]] = []
        self.tasks: list[Task] = []
        self.others: list[Task] = []  # of other connections of the service
        self.events: list[str] = []
        self.reason: Optional[str] = None
        self.full = False
        settings = WorkerSettings(version, "me", concurrency, 1.0, 3, 100, 1000)
        self.core = WorkerCore(settings, b"echo", self, contract)

    def open(self) -> Optional[str]:
        self.events.append("open")
        return self.reason

    def close(self) -> None:
        self.events.append("close")

    def send(self, frames: Sequence[bytes]) -> None:
        self.sent.append(list(frames))

    def send_late(self, frames: Sequence[bytes]) -> None:
        self.late.append(list(frames))

    def is_full(self) -> bool:
        return self.full

    def running(self, all_sessions: bool) -> "list[Task]":
        return [*self.others, *self.tasks] if all_sessions else self.tasks

    def begin(self, task: Task) -> None:
        self.tasks.append(task)

    def cancel(self, token: bytes) -> None:
        self.events.append(f"cancel {token.decode()}")

    def confirmed(self) -> None:
        self.events.append("confirmed")

    def lost(self, reason: str) -> None:
        self.events.append(reason)

    def registered(self, extensions: Sequence[str] = ALL) -> "Stage":
        """Registered at 0 with a broker that has these extensions."""
        self.core.tick(0.0)
        self.registered_at(0.0, extensions)
        return self

    def registered_at(self, now: float, extensions: Sequence[str] = ALL) -> None:
        self.core.up(now)
        facts = json.dumps({"extensions": list(extensions)}).encode()
        self.core.received([b"?1", b"", b"MDPC02", b"\x03", b"mmi.broker", b"200", facts], now)

    def hear(self, *frames: bytes, now: float) -> None:
        assert self.core.received([b"MDPW02", *frames], now)

    def commands(self) -> "list[bytes]":
        return [frames[1] for frames in self.sent if frames[0] == b"MDPW02"]


def test_ready_says_what_the_broker_knows() -> None:
    (ready,) = [frames for frames in Stage(concurrency=4).registered().sent if frames[0] == b"MDPW02"]
    assert ready[:4] == [b"MDPW02", b"\x01", b"echo", b"4"] and json.loads(ready[4]) == {"name": "me", "headers": True}
    old = Stage(concurrency=4).registered([])
    assert [b"MDPW02", b"\x01", b"echo"] in old.sent


def test_a_broker_without_mmi_gets_ready_after_a_moment() -> None:
    stage = Stage()
    stage.core.tick(0.0)
    stage.core.up(0.0)
    assert stage.commands() == []
    stage.core.tick(stage.core.next_at())
    assert stage.sent[-1] == [b"MDPW02", b"\x01", b"echo"] and not stage.core.is_confirmed
    stage.hear(b"\x05", now=1.5)
    assert stage.core.is_confirmed


def test_a_broker_that_answers_after_ready_gets_another_one_when_the_worker_is_idle() -> None:
    facts = json.dumps({"extensions": [*ALL, "cancel"]}).encode()
    answer = [b"?1", b"", b"MDPC02", b"\x03", b"mmi.broker", b"200", facts]
    for is_busy, answers in ((False, True), (True, True), (False, False)):
        stage = Stage()
        stage.core.tick(0.0)
        stage.core.up(0.0)
        stage.core.tick(1.0)
        if is_busy:
            stage.hear(b"\x02", b"t1", b"", b"x", now=1.1)
        stage.core.received(answer, 1.2)
        if is_busy:
            stage.core.received(answer, 1.2)
            assert stage.commands() == [b"\x01"] and stage.core.state == "registered"
            stage.core.fail(stage.tasks[0], Failure("error", "E", ""))
            assert stage.commands().pop(1) == wire.FAIL
        assert stage.commands()[-1] == wire.DISCONNECT[2] and stage.sent[-1][-2] == b"mmi.broker"
        stage.core.tick(9.0)
        stage.hear(b"\x02", b"t2", b"", b"x", now=9.5)  # it crossed the DISCONNECT
        stage.core.tick(9.9)
        assert len(stage.tasks) == int(is_busy) and stage.commands()[-1] == wire.DISCONNECT[2]
        if answers:
            stage.core.received(answer, 9.9)
        else:
            stage.core.tick(10.0)
        stage.sent = [frames for frames in stage.sent if frames[0] == b"MDPW02"]
        assert stage.sent[-1][:4] == [b"MDPW02", b"\x01", b"echo", b"1"]
        assert json.loads(stage.sent[-1][4]) == {"name": "me", "headers": True, "cancel": True}
        assert stage.events == ["open"] + ["confirmed"] * int(is_busy)


def test_heartbeats_are_as_frequent_as_the_broker_wants() -> None:
    stage = Stage().registered()
    for now in (0.1, 0.2, 0.3):
        stage.hear(b"\x05", now=now)
    assert stage.commands().count(b"\x05") == 3
    slower = Stage().registered()
    slower.core.tick(1.0)
    slower.hear(b"\x05", now=1.1)
    assert slower.commands().count(b"\x05") == 1


def test_a_silent_broker_is_left_and_a_disconnect_is_followed_by_ready() -> None:
    stage = Stage().registered()
    stage.core.tick(2.9)
    stage.core.tick(3.1)
    assert stage.core.state == "away" and "the broker is silent" in stage.events
    dismissed = Stage().registered()
    dismissed.hear(b"\x06", now=0.5)
    dismissed.core.tick(dismissed.core.next_at())
    assert dismissed.commands().count(b"\x01") == 2 and dismissed.events.count("open") == 1


def test_an_answer_of_an_ended_registration_goes_over_the_next_connection_but_not_the_rest_of_a_stream() -> None:
    stage = Stage().registered()
    for token in (b"whole", b"parts", b"fails"):
        stage.hear(b"\x02", token, b"", b"x", now=0.1)
    whole, parts, fails = stage.tasks
    stage.core.partial(parts, [b"1"])
    stage.core.down("lost", 0.2)
    stage.core.final(whole, [b"y"])
    stage.core.partial(parts, [b"2"])
    stage.core.final(parts, [b"3"])
    stage.core.fail(fails, Failure("error", "E", ""))
    assert [b"MDPW02", b"\x03", b"parts", b"", b"2"] not in stage.sent
    stage.sent.clear()
    stage.core.tick(stage.core.next_at())
    stage.registered_at(1.0)
    final = [b"MDPW02", b"\x04", b"whole", b"", b"y"]
    assert stage.sent[0] == final and stage.commands() == [b"\x04", b"\x01"] and stage.late == []
    # Over a connection with a registration it would end that.
    stage.hear(b"\x02", b"again", b"", b"x", now=1.1)
    stage.core.down("lost", 1.2)
    stage.core.tick(stage.core.next_at())
    stage.registered_at(2.0)
    stage.core.final(stage.tasks[3], [b"z"])
    assert stage.late == [[b"MDPW02", b"\x04", b"again", b"", b"z"]]


def test_a_request_that_has_its_answer_gets_nothing_more() -> None:
    stage = Stage(concurrency=2).registered()
    for token in (b"answered", b"failed"):
        stage.hear(b"\x02", token, b"", b"x", now=0.1)
    answered, failed = stage.tasks
    stage.core.final(answered, [b"y"])
    stage.core.fail(failed, Failure("error", "E", ""))
    sent = list(stage.sent)
    for task in stage.tasks:
        stage.core.partial(task, [wire.PROGRESS, b"90 %"])
        stage.core.partial(task, [b"more"])
        stage.core.give_back(task)
        stage.core.fail(task, Failure("error", "E", ""))
    assert stage.sent == sent  # the broker ends a registration for a token that it does not know


def test_a_worker_whose_handlers_still_run_registers_when_one_has_ended() -> None:
    stage = Stage().registered()
    stage.hear(b"\x02", b"token", b"", b"x", now=0.1)
    stage.core.down("lost", 0.2)
    stage.full = True
    stage.core.tick(stage.core.next_at())
    stage.sent.clear()
    stage.registered_at(1.0)
    assert stage.core.state == "full" and stage.commands() == [] and stage.core.next_at() == float("inf")
    stage.core.final(stage.tasks[0], [b"y"])
    stage.full = False
    stage.core.has_room(2.0)
    stage.hear(b"\x06", now=2.1)  # the answer to a reply without a registration
    assert stage.commands() == [b"\x04"] and stage.core.state == "asking"
    facts = [b"?1", b"", b"MDPC02", b"\x03", b"mmi.broker", b"200", b'{"extensions":["credit","fail"]}']
    stage.core.received(facts, 2.2)
    assert stage.commands() == [b"\x04", b"\x01"] and stage.core.state == "registered" and stage.late == []


def test_an_answer_without_a_connection_still_leaves_when_the_worker_ends() -> None:
    for has_waited in (False, True):
        stage = Stage().registered()
        stage.hear(b"\x02", b"token", b"", b"x", now=0.1)
        stage.core.down("lost", 0.2)
        assert not stage.core.has_unsent
        stage.core.final(stage.tasks[0], [b"y"])
        assert stage.core.has_unsent
        if has_waited:
            stage.core.tick(stage.core.next_at())
            stage.core.up(1.0)
        assert stage.core.has_unsent is not has_waited
        stage.core.end()
        final = [b"MDPW02", b"\x04", b"token", b"", b"y"]
        assert stage.late == ([] if has_waited else [final]) and stage.sent.count(final) == int(has_waited)


def test_a_failure_is_reported_or_given_back_in_the_way_that_the_broker_knows() -> None:
    cases: "list[tuple[list[str], bytes]]" = [(ALL, wire.FAIL), (["credit"], wire.RETURN), ([], wire.DISCONNECT[2])]
    for extensions, command in cases:
        stage = Stage(concurrency=2).registered(extensions)
        stage.hear(b"\x02", b"token", b"", b"x", now=0.1)
        stage.core.fail(stage.tasks[0], Failure("final", "bad", "It is bad", [b"{}"]))
        assert stage.commands()[-1] == command
    assert Stage().registered().core.state == "registered"


def test_a_worker_that_leaves_says_so_and_ends_when_the_broker_lets_it_go() -> None:
    stage = Stage(concurrency=2).registered([*ALL, "leave"])
    stage.hear(b"\x02", b"t1", b"", b"x", now=0.1)
    for _ in range(2):
        stage.core.leave()
    assert stage.sent[-1] == [b"MDPW02", b"\x07", b"", b""] and stage.commands().count(b"\x07") == 1
    stage.hear(b"\x02", b"t2", b"", b"x", now=0.2)  # it crossed that
    stage.core.give_back(stage.tasks[1], b"mdp.not-begun")
    assert stage.sent[-1] == [b"MDPW02", b"\x07", b"t2", b"", b"mdp.not-begun"]
    stage.core.final(stage.tasks[0], [b"done"])
    stage.hear(b"\x06", now=0.3)
    assert stage.core.state == "ended" and stage.commands()[-1] == b"\x04"
    assert stage.events == ["open", "confirmed", "close"]


def test_a_worker_that_declines_a_request_because_it_closes_says_first_that_it_leaves() -> None:
    stage = Stage(concurrency=2).registered([*ALL, "leave"])
    for token in (b"t1", b"t2"):
        stage.hear(b"\x02", token, b"", b"x", now=0.1)
        stage.core.decline(stage.tasks[-1], b"mdp.not-begun")
    given_back = [[b"MDPW02", b"\x07", token, b"", b"mdp.not-begun"] for token in (b"t1", b"t2")]
    assert stage.sent[-3:] == [[b"MDPW02", b"\x07", b"", b""], *given_back]
    old = Stage().registered()
    old.hear(b"\x02", b"t1", b"", b"x", now=0.1)
    old.core.decline(old.tasks[0], b"mdp.not-begun")
    assert b"\x07" not in old.commands()


def test_a_worker_does_not_leave_a_broker_that_does_not_know_how() -> None:
    for extensions in (ALL, ["leave", "fail"]):
        stage = Stage().registered(extensions)
        stage.core.leave()
        assert not stage.core.is_leaving and b"\x07" not in stage.commands()
    away = Stage()
    away.core.leave()
    assert away.sent == []


def test_a_worker_that_leaves_and_is_dismissed_before_it_has_answered_is_lost() -> None:
    stage = Stage(concurrency=2).registered([*ALL, "leave"])
    stage.hear(b"\x02", b"t1", b"", b"x", now=0.1)
    stage.core.leave()
    stage.hear(b"\x06", now=0.3)
    assert stage.core.state == "resting" and "DISCONNECT" in stage.events[-1]


def test_malformed_frames_are_told_apart() -> None:
    stage = Stage().registered()
    assert stage.core.received([b"MDPW02", b"\x02", b"token"], 0.1) is False
    assert stage.core.received([b"junk"], 0.1) is False
    assert stage.tasks == [] and stage.core.state == "registered"


def test_an_end_point_that_cannot_be_connected_is_tried_again_after_a_pause() -> None:
    stage = Stage()
    stage.reason = "no such address"
    stage.core.tick(0.0)
    assert stage.core.state == "away" and 0.05 <= stage.core.next_at() <= 0.1


def test_a_worker_asks_for_cancel_and_gives_back_what_was_cancelled() -> None:
    stage = Stage().registered([*ALL, "cancel"])
    (ready,) = [frames for frames in stage.sent if frames[:2] == [b"MDPW02", b"\x01"]]
    assert ready[3] == b"1" and json.loads(ready[4]) == {"name": "me", "headers": True, "cancel": True}
    stage.hear(b"\x02", b"token", b"", b"x", now=0.1)
    stage.hear(b"\x0a", b"token", b"", now=0.2)
    assert "cancel token" in stage.events and b"\x05" not in stage.commands()
    stage.core.give_back(stage.tasks[0], b"cancelled")
    assert stage.sent[-1] == [b"MDPW02", b"\x07", b"token", b"", b"cancelled"]
    assert stage.core.received([b"MDPW02", b"\x0a", b"token"], 0.3) is False


GROUPS = [*ALL, "group"]


def _runs(stage: Stage) -> "list[list[bytes]]":
    runs = [frames[2:] for frames in stage.sent if frames[:2] == [b"MDPW02", b"\x0c"]]
    stage.sent.clear()
    return runs


def _asks(stage: Stage, token: bytes, group: bytes, now: float) -> None:
    stage.hear(b"\x0b", token, b"", group, b"", b"", b"hi", now=now)


def test_a_request_with_a_group_has_it() -> None:
    stage = Stage(concurrency=5).registered(GROUPS)
    assert json.loads(stage.sent[1][4]) == {"name": "me", "headers": True, "group": True}
    _asks(stage, b"t1", b"tenant", 0.1)
    stage.hear(b"\x02", b"t2", b"", b"hi", now=0.1)
    assert [task.command.group for task in stage.tasks] == [b"tenant", b""]


def test_a_broker_that_asks_is_told_what_others_gave_it_and_the_end_of_each() -> None:
    stage = Stage(concurrency=5).registered(GROUPS)
    stage.others = [Task(wire.Command(wire.REQUEST, b"o", [b"hi"], None, {}, group)) for group in (b"x", b"y", b"x")]
    _asks(stage, b"t1", b"x", 0.1)
    stage.hear(b"\x0c", now=0.1)
    assert _runs(stage) == [[b"echo", b"x", b"2", b"y", b"1"]]
    stage.hear(b"\x0c", now=0.2)
    assert _runs(stage) == []
    for task in [*stage.others, stage.tasks[0]]:
        stage.core.run_ended(task)
    assert _runs(stage) == [[b"echo", b"x", b"1"], [b"echo", b"y", b"0"], [b"echo", b"x", b"0"]]


def test_what_runs_of_an_earlier_registration_is_told_after_ready_or_where_there_is_no_room() -> None:
    stage = Stage(concurrency=5).registered(GROUPS)
    _asks(stage, b"t1", b"x", 0.1)
    stage.core.down("lost", 0.2)
    stage.core.tick(10.0)
    stage.sent.clear()
    stage.registered_at(10.0, GROUPS)
    assert _runs(stage) == [[b"echo", b"x", b"1"]]
    stage.core.down("lost", 10.1)
    stage.full = True
    stage.core.tick(20.0)
    stage.registered_at(20.0, GROUPS)
    assert stage.core.state == "full"
    assert _runs(stage) == [[b"echo", b"x", b"1"]]


def test_the_end_of_what_was_told_is_told_also_while_the_worker_asks_before_it_registers() -> None:
    stage = Stage(concurrency=2).registered(GROUPS)
    for token, group in ((b"t1", b"x"), (b"t2", b"y")):
        _asks(stage, token, group, 0.1)
    stage.core.down("lost", 0.2)
    stage.core.tick(10.0)
    stage.full = True
    stage.registered_at(10.0, GROUPS)
    assert _runs(stage) == [[b"echo", b"x", b"1", b"y", b"1"]]
    stage.full = False
    stage.core.run_ended(stage.tasks.pop(0))
    stage.core.has_room(10.1)
    assert stage.core.state == "asking" and _runs(stage) == [[b"echo", b"x", b"0"]]
    stage.core.run_ended(stage.tasks.pop(0))
    assert _runs(stage) == [[b"echo", b"y", b"0"]]


def test_what_was_told_of_others_is_told_over_the_next_connection_if_it_still_runs() -> None:
    stage = Stage(concurrency=5).registered(GROUPS)
    stage.others = [Task(wire.Command(wire.REQUEST, b"o", [b"hi"], None, {}, group)) for group in (b"x", b"x")]
    stage.hear(b"\x0c", now=0.1)
    assert _runs(stage) == [[b"echo", b"x", b"2"]]
    stage.core.run_ended(stage.others.pop())
    stage.core.down("lost", 0.2)
    stage.core.tick(10.0)
    stage.sent.clear()
    stage.registered_at(10.0, GROUPS)
    assert _runs(stage) == [[b"echo", b"x", b"1"]]
    stage.core.run_ended(stage.others.pop())
    assert _runs(stage) == [[b"echo", b"x", b"0"]]


def test_a_broker_without_groups_is_told_nothing() -> None:
    stage = Stage(concurrency=5).registered()
    stage.hear(b"\x02", b"t1", b"", b"hi", now=0.1)
    stage.core.down("lost", 0.2)
    stage.core.tick(10.0)
    stage.registered_at(10.0)
    assert _runs(stage) == []


def test_many_groups_are_told_in_messages_of_at_most_1_kib() -> None:
    stage = Stage(concurrency=100).registered(GROUPS)
    for number in range(100):
        _asks(stage, b"t%d" % number, b"%099d" % number, 0.1)
    stage.core.down("lost", 0.2)
    stage.core.tick(10.0)
    stage.registered_at(10.0, GROUPS)
    runs = _runs(stage)
    assert len(runs) == 10 and max(sum(map(len, each[1:])) for each in runs) <= 1024
