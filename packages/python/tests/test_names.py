"""End points with the name of a host: each of its addresses is tried, and they are looked up at each connection."""

from __future__ import annotations

import socket
import threading
from typing import Any, Iterator

import pytest

from majordomo_client import Client, SharedMap, UnreachableError, Worker

from .conftest import PATIENCE, Broker, StartBroker, free_port


class Hosts:
    """What the name ``broker.test`` stands for; ``asked`` counts how often that was looked up."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.asked = threading.Semaphore(0)
        self._real = socket.getaddrinfo

    def getaddrinfo(self, host: Any, port: Any, *others: Any, **named: Any) -> "list[Any]":
        if host != "broker.test":
            return self._real(host, port, *others, **named)
        self.asked.release()
        if not self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [each for address in self.addresses for each in self._real(address, port, type=socket.SOCK_STREAM)]


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Hosts:
    hosts = Hosts()
    monkeypatch.setattr(socket, "getaddrinfo", hosts.getaddrinfo)
    return hosts


@pytest.fixture
def silent(broker: Broker) -> Iterator[str]:
    """An address at which nothing is answered on the broker's port: no connection is accepted, and none refused."""
    port = int(broker.endpoint.rpartition(":")[2])
    with socket.socket() as listener:
        listener.bind(("127.0.0.2", port))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.2", port))
        yield "127.0.0.2"
        for each in waiting:
            each.close()


def named(broker: Broker) -> str:
    return broker.endpoint.replace("127.0.0.1", "broker.test")


@pytest.mark.parametrize("strategy", ["failover", "freelance"])
def test_a_broker_that_listens_at_the_second_address_of_a_name_is_reached(
    broker: Broker, hosts: Hosts, strategy: str
) -> None:
    hosts.addresses = ["::1", "127.0.0.1"]
    with Worker(named(broker), "named", lambda request: request.value).ready():
        with Client(named(broker), strategy=strategy) as client:
            assert client.request("named", "x").text() == "x"


def test_an_address_that_does_not_answer_is_left_for_the_next(broker: Broker, hosts: Hosts, silent: str) -> None:
    hosts.addresses = [silent, "127.0.0.1"]
    with Client(named(broker), timeout_ms=10_000) as client:
        assert client.request("mmi.service", "mmi.broker").text() == "200"


def test_a_name_is_looked_up_again_after_it_was_not_found(broker: Broker, hosts: Hosts) -> None:
    with Client(named(broker), timeout_ms=200) as client:
        with pytest.raises(UnreachableError, match="name not found"):
            client.request("mmi.service", "mmi.broker")
        hosts.addresses = ["127.0.0.1"]
        assert client.request("mmi.service", "mmi.broker", timeout_ms=10_000).text() == "200"


def test_a_name_is_looked_up_again_when_its_broker_is_lost(start_broker: StartBroker, hosts: Hosts) -> None:
    broker = start_broker()
    hosts.addresses = ["127.0.0.1"]
    with Worker(named(broker), "named", lambda request: request.value, retry_max_ms=200).ready():
        with Client(named(broker), timeout_ms=10_000, retry_max_ms=200) as client:
            assert client.request("named", "x").text() == "x"
            broker.kill()
            hosts.addresses = ["::1"]
            moved = Broker(broker.directory, broker.endpoint.replace("127.0.0.1", "[::1]"))
            try:
                assert client.request("named", "y").text() == "y"
            finally:
                moved.kill()


def test_a_client_can_be_closed_while_a_name_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, released = threading.Event(), threading.Event()

    def slow(*_: Any, **__: Any) -> "list[Any]":
        begun.set()
        released.wait(PATIENCE)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    client = Client("tcp://broker.test:5555", timeout_ms=100)
    with pytest.raises(UnreachableError):
        client.request("echo", "x")
    assert begun.is_set()
    client.close()
    released.set()


def test_a_map_is_followed_and_changed_by_the_second_address_of_a_name(start_broker: StartBroker, hosts: Hosts) -> None:
    hosts.addresses = ["::1", "127.0.0.1"]
    port = free_port(above=2)
    start_broker(f"map.listen=tcp://127.0.0.1:{port}")
    with SharedMap(f"tcp://broker.test:{port}").synced() as shared:
        shared.set("/a", "1")
        assert shared.get("/a") == b"1"
