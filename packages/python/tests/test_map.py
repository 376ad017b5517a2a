"""The shared map: its core alone, and against the real broker."""

from __future__ import annotations

import pathlib
import threading
from typing import Mapping, Optional

import pytest

from majordomo_client import (
    BodyError,
    Change,
    ClosedError,
    KeyRefusedError,
    MajordomoError,
    MapLimitError,
    OptionError,
    RequestTimeoutError,
    SharedMap,
    UnreachableError,
)
from majordomo_client.map_core import MapCore, OwnChange, Record

from .conftest import PATIENCE, StartBroker, free_port, start_pair


class Stage:
    """A core whose sockets write down what it is told."""

    def __init__(self, max_bytes: int = 10_000) -> None:
        self.events: list[object] = []
        self.values: dict[bytes, bytes] = {}
        self.written: list[Record] = []
        self.has_taker = True
        self.core = MapCore(self, 2, max_bytes, 0.0)

    def ask(self, at: int) -> Optional[str]:
        self.events.append(("ask", at))
        return None

    def stop_asking(self) -> None:
        self.events.append("stop asking")

    def write(self, record: Record) -> bool:
        self.written.append(record)
        return self.has_taker

    def synced(self, values: Mapping[bytes, bytes]) -> None:
        self.values = dict(values)

    def changed(self, key: bytes, value: Optional[bytes]) -> None:
        if value is None:
            self.values.pop(key, None)
        else:
            self.values[key] = value

    def lost(self, reason: str) -> None:
        self.events.append(reason)

    def failed(self, error: MajordomoError) -> None:
        self.events.append(error)

    def update(self, key: bytes, number: int, value: bytes, uuid: bytes = b"", now: float = 0.0, at: int = 0) -> None:
        self.core.update(at, [key, number.to_bytes(8, "big"), uuid, b"", value], now)

    def snapshot(self, key: bytes, number: int, value: bytes) -> None:
        self.core.snapshot([key, number.to_bytes(8, "big"), b"", b"", value], 0.0)

    def synchronous(self) -> "Stage":
        self.update(b"HUGZ", 0, b"")
        self.snapshot(b"a", 3, b"1")
        self.snapshot(b"KTHXBAI", 5, b"")
        return self


def test_updates_that_the_snapshot_lacks_are_applied_and_others_are_not() -> None:
    stage = Stage()
    stage.update(b"a", 1, b"0")
    stage.update(b"HUGZ", 0, b"")
    assert stage.events == [("ask", 0)]
    stage.update(b"a", 4, b"old")
    stage.update(b"a", 9, b"of another", at=1)
    stage.update(b"b", 6, b"new")
    stage.snapshot(b"a", 5, b"1")
    stage.snapshot(b"KTHXBAI", 5, b"")
    assert stage.values == {b"a": b"1", b"b": b"new"}
    stage.update(b"a", 7, b"")
    assert stage.values == {b"b": b"new"}


def test_it_follows_the_first_node_that_serves_and_goes_on_with_one_that_said_so_lately() -> None:
    stage = Stage()
    stage.update(b"HUGZ", 0, b"", at=1)
    stage.snapshot(b"KTHXBAI", 5, b"")
    assert stage.events == [("ask", 1), "stop asking"] and stage.core.state == "following"
    stage.update(b"a", 6, b"1", at=1)
    stage.update(b"a", 7, b"2", at=0)
    stage.update(b"HUGZ", 0, b"", now=3.0, at=0)
    stage.core.tick(4.9)
    assert stage.core.state == "following"
    stage.core.tick(stage.core.next_at())
    assert stage.events[2:] == ["the node is silent", "stop asking", ("ask", 0)] and stage.values == {b"a": b"1"}


def test_a_snapshot_that_does_not_come_is_asked_for_again_although_updates_do() -> None:
    stage = Stage()
    stage.update(b"HUGZ", 0, b"")
    for second in range(1, 6):
        stage.update(b"HUGZ", 0, b"", now=second)
        stage.update(b"k", second, b"new", now=second)
        stage.core.tick(float(second))
    assert stage.events == [("ask", 0), "stop asking"] and stage.core.state == "seeking"


def test_while_no_node_serves_it_votes_for_one_after_the_other_after_the_lost_one_first() -> None:
    stage = Stage().synchronous()
    stage.core.down(0, "the connection was lost", 1.0)
    for at in (1, 0, 1):
        stage.core.tick(stage.core.next_at())
        assert stage.events[-1] == ("ask", at) and stage.core.state == "seeking"
    assert 1.0 + 0.25 + 2 * 1.0 < stage.core.next_at() < 1.0 + 0.5 + 3 * 1.5
    stage.core.not_asked("connection refused", 3.0)
    stage.snapshot(b"KTHXBAI", 9, b"")  # from before a subscription was in force
    assert stage.core.state == "seeking" and stage.values == {b"a": b"1"}
    stage.update(b"HUGZ", 0, b"", now=3.0, at=1)
    assert stage.events[-1] == ("ask", 1) and stage.core.state == "asking"
    stage.core.not_asked("connection refused", 3.0)
    assert stage.core.state == "seeking"


def test_a_new_map_votes_too() -> None:
    stage = Stage()
    stage.core.down(0, "connection refused", 0.5)
    stage.core.tick(stage.core.next_at())
    stage.core.tick(stage.core.next_at())
    assert stage.events == [("ask", 0), ("ask", 1)]


def test_a_change_is_sent_until_it_is_published() -> None:
    stage = Stage().synchronous()
    ends: list[Optional[MajordomoError]] = []
    change = OwnChange(b"k", b"", b"v", 9.0, ends.append)
    stage.core.change(change)
    stage.core.written()
    assert stage.written == [change.record] * 2 and ends == []
    stage.update(b"k", 8, b"v", change.record.uuid)
    assert ends == [None] and stage.values[b"k"] == b"v"
    stage.has_taker = False
    late = OwnChange(b"k", b"", b"w", 4.0, ends.append)
    stage.core.change(late)
    stage.core.tick(4.0)
    assert isinstance(ends[1], UnreachableError)


def test_the_uuids_of_its_changes_are_of_version_8_a_number_that_grows_and_then_the_writer() -> None:
    writers: list[bytes] = []
    for stage in (Stage(), Stage()):
        for _ in range(300):
            stage.core.change(OwnChange(b"k", b"", b"v", 9.0, lambda _: None))
        uuids = [record.uuid for record in stage.written]
        assert [int.from_bytes(uuid[:6], "big") for uuid in uuids] == list(range(1, 301))
        assert {(uuid[6:9], len(uuid)) for uuid in uuids} == {(b"\x8c\x12\x80", 16)}
        writers += {uuid[6:] for uuid in uuids}
    assert len(set(writers)) == len(writers) == 2


def test_a_map_that_is_too_large_ends() -> None:
    stage = Stage(max_bytes=300).synchronous()
    stage.update(b"b", 8, b"x" * 100)
    assert isinstance(stage.events[-1], MapLimitError) and b"b" not in stage.values
    assert stage.core.state == "ended"


def test_a_map_whose_nodes_all_refuse_the_key_ends() -> None:
    stage = Stage()
    for at in (0, 0, 1, 1):
        assert stage.core.state == "seeking"
        stage.core.down(at, "the key was refused", 0.0)
    assert isinstance(stage.events[-1], KeyRefusedError) and stage.core.state == "ended"


def test_what_one_program_sets_others_read_and_watch_also_after_a_killed_broker(start_broker: StartBroker) -> None:
    endpoint = f"tcp://127.0.0.1:{free_port(above=2)}"
    served = start_broker(f"map.listen={endpoint}")
    with SharedMap(endpoint) as writer, SharedMap(endpoint, subtree="/config/") as reader:
        writer.synced()
        reader.synced()
        changes = reader.changes()
        writer.set("/other", "not here")
        writer.set("/config/limit", "100")
        assert next(changes) == Change("/config/limit", b"100")
        assert reader.get("/config/limit") == b"100" and reader.keys() == ["/config/limit"] and len(reader) == 1
        reader.set("/config/brief", "x", ttl_ms=1)
        assert next(changes) == Change("/config/brief", b"x")
        assert next(changes) == Change("/config/brief", None)
        served.kill()
        again = served.again()
        try:
            # It waits for the node: a change is sent again.
            writer.set("/config/limit", "200")
            assert next(changes) == Change("/config/limit", b"200")
            writer.delete("/config/limit")
            assert next(changes) == Change("/config/limit", None)
            assert not reader.has("/config/limit") and writer.get("/other") == b"not here"
        finally:
            again.kill()


def test_a_map_alone_makes_the_other_node_of_a_pair_serve(tmp_path: pathlib.Path) -> None:
    endpoints = [f"tcp://127.0.0.1:{free_port(above=2)}" for _ in range(2)]
    nodes = start_pair(tmp_path, endpoints)
    try:
        with SharedMap([endpoints[1], endpoints[0]]) as shared:
            shared.set("/a", "1", timeout_ms=60_000)
            nodes[0].kill()
            shared.set("/a", "2", timeout_ms=60_000)
            assert shared.get("/a") == b"2"
    finally:
        for node in nodes:
            if node.process.poll() is None:
                node.kill()


def test_a_closed_map_ends_its_readers_and_refuses_changes() -> None:
    map_ = SharedMap(f"tcp://127.0.0.1:{free_port()}")
    seen: list[Change] = []
    reads = threading.Thread(target=lambda: seen.extend(map_.changes()), daemon=True)
    reads.start()
    with pytest.raises(UnreachableError, match="map.listen"):
        map_.set("/a", "b", timeout_ms=50)
    with pytest.raises(RequestTimeoutError, match="map.listen"):
        map_.synced(timeout_ms=1)
    map_.close()
    reads.join(PATIENCE)
    assert not reads.is_alive() and seen == []
    with pytest.raises(ClosedError):
        map_.set("/a", "b")


def test_keys_and_values_are_checked() -> None:
    with SharedMap(f"tcp://127.0.0.1:{free_port()}", subtree="/config/") as map_:
        for key in ("/other", "", "/config/" + "x" * 255, "/config/\0"):
            with pytest.raises(OptionError):
                map_.set(key, "x")
        with pytest.raises(BodyError):
            map_.set("/config/a", "")
    for subtree in ("config", "/config"):
        with pytest.raises(OptionError):
            SharedMap("tcp://127.0.0.1:1", subtree=subtree)
