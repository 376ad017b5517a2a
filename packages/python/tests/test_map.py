"""The shared map: its core alone, and against the real broker."""

from __future__ import annotations

import threading
from typing import Mapping, Optional

import pytest

from majordomo import (
    BodyError,
    Change,
    ClosedError,
    KeyRefusedError,
    MajordomoError,
    MapLimitError,
    OptionError,
    SharedMap,
    UnreachableError,
)
from majordomo.map_core import MapCore, OwnChange, Record

from .conftest import PATIENCE, StartBroker, free_port


class Stage:
    """A core whose sockets write down what it is told."""

    def __init__(self, max_bytes: int = 10_000) -> None:
        self.events: list[object] = []
        self.values: dict[bytes, bytes] = {}
        self.written: list[Record] = []
        self.has_taker = True
        self.core = MapCore(self, 2, max_bytes)

    def subscribe(self, at: int) -> Optional[str]:
        self.events.append(("subscribe", at))
        return None

    def ask(self, at: int) -> Optional[str]:
        self.events.append(("ask", at))
        return None

    def leave(self) -> None:
        self.events.append("leave")

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

    def update(self, key: bytes, number: int, value: bytes, uuid: bytes = b"", now: float = 0.0) -> None:
        self.core.update([key, number.to_bytes(8, "big"), uuid, b"", value], now)

    def snapshot(self, key: bytes, number: int, value: bytes) -> None:
        self.core.snapshot([key, number.to_bytes(8, "big"), b"", b"", value], 0.0)

    def synchronous(self) -> "Stage":
        self.core.tick(0.0)
        self.update(b"HUGZ", 0, b"")
        self.snapshot(b"a", 3, b"1")
        self.snapshot(b"KTHXBAI", 5, b"")
        return self


def test_updates_that_the_snapshot_lacks_are_applied_and_others_are_not() -> None:
    stage = Stage()
    stage.core.tick(0.0)
    stage.update(b"a", 1, b"0")
    stage.update(b"HUGZ", 0, b"")
    assert stage.events == [("subscribe", 0), ("ask", 0)]
    stage.update(b"a", 4, b"old")
    stage.update(b"b", 6, b"new")
    stage.snapshot(b"a", 5, b"1")
    stage.snapshot(b"KTHXBAI", 5, b"")
    assert stage.values == {b"a": b"1", b"b": b"new"}
    stage.update(b"a", 7, b"")
    assert stage.values == {b"b": b"new"}


def test_silence_and_a_lost_connection_lead_to_the_next_end_point() -> None:
    stage = Stage().synchronous()
    stage.core.tick(4.9)
    stage.core.tick(5.0)
    assert stage.events[-2:] == ["the node is silent", "leave"]
    stage.core.tick(stage.core.next_at())
    assert stage.events[-1] == ("subscribe", 1) and stage.values == {b"a": b"1"}


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


def test_a_map_that_is_too_large_ends() -> None:
    stage = Stage(max_bytes=300).synchronous()
    stage.update(b"b", 8, b"x" * 100)
    assert isinstance(stage.events[-1], MapLimitError) and b"b" not in stage.values
    assert stage.core.state == "ended"


def test_a_map_whose_nodes_all_refuse_the_key_ends() -> None:
    stage = Stage()
    for _ in range(4):
        assert stage.core.state == "away"
        stage.core.tick(stage.core.next_at())
        stage.core.down("the key was refused", stage.core.next_at())
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


def test_a_closed_map_ends_its_readers_and_refuses_changes() -> None:
    map_ = SharedMap(f"tcp://127.0.0.1:{free_port()}")
    seen: list[Change] = []
    reads = threading.Thread(target=lambda: seen.extend(map_.changes()), daemon=True)
    reads.start()
    with pytest.raises(UnreachableError):
        map_.set("/a", "b", timeout_ms=50)
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
