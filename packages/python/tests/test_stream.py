"""Publishers and subscribers, of both SDKs together."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import pathlib
import socket
import subprocess
import threading
import time
from typing import Any, Callable, Iterator

import pytest
import zmq

from majordomo_client import (
    AsyncSubscriber, ClosedError, Curve, EndpointError, EndpointInUseError, KeyRefusedError, OptionError, Publisher,
    PublisherCurve, StreamGapError, StreamHeaderError, StreamMessage, StreamTooSlowError, Subscriber, UsageError,
)
from majordomo_client.stream import HEADER, Lateness, header_of

from .conftest import PATIENCE, ROOT, free_port, node_program, output_of, start_program

LOCAL = "tcp://127.0.0.1:0"
MANY = 100_000


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def node(program: str, *arguments: str) -> "subprocess.Popen[str]":
    code = f"import {{ Publisher, Subscriber }} from 'majordomo-sdk';\nconst args = process.argv.slice(1);\n{program}"
    command = [node_program(), "--input-type=module", "-e", code, *arguments]
    return subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def publish_until_read(publisher: Publisher, messages: "Iterator[StreamMessage]", topic: str) -> StreamMessage:
    """The first message that somebody gets who connects again; each has its number as body."""
    found: "list[StreamMessage]" = []
    reader = threading.Thread(target=lambda: found.append(next(messages)))
    reader.start()
    end = time.monotonic() + PATIENCE
    while not found:
        assert time.monotonic() < end
        publisher.publish(topic, "again")
        time.sleep(0.01)
    reader.join()
    return found[0]


def test_a_subscriber_gets_its_topics_in_order_with_what_the_header_says() -> None:
    with Publisher([LOCAL, LOCAL]) as publisher, Subscriber(publisher.endpoints[1], topics=["a", b"bc"]) as subscriber:
        until(lambda: publisher.has_subscribers("a") and publisher.has_subscribers(b"bcd"))
        assert not publisher.has_subscribers("b")
        before = time.time() * 1000 - 1
        for topic in ("b", "alpha", "bc", "c", "a"):
            publisher.publish(topic, [topic.upper(), b"\0"])
        messages = iter(subscriber)
        first, second, third = (next(messages) for _ in range(3))
        assert [(each.topic, each.frames, each.number) for each in (first, second, third)] == [
            ("alpha", [b"ALPHA", b"\0"], 2), ("bc", [b"BC", b"\0"], 3), ("a", [b"A", b"\0"], 5)]
        assert first.publisher == second.publisher and len(first.publisher or "") == 16 and first.topic_bytes == b"alpha"
        assert first.endpoint == publisher.endpoints[1] and not first.after_gap and before < (first.sent_at_ms or 0) < before + 60_000
        assert publisher.counters == {"published": 5, "subscribers": 1, "closed": 0}
    assert list(subscriber) == []
    with pytest.raises(ClosedError):
        publisher.publish("a", "x")


def test_asyncio_reads_with_async_for_beside_other_tasks() -> None:
    async def program(publisher: Publisher) -> "list[str]":
        async with AsyncSubscriber(publisher.endpoints) as subscriber, AsyncSubscriber(publisher.endpoints) as closed:
            read: "list[str]" = []
            ended = asyncio.ensure_future(_all(closed))
            while not publisher.has_subscribers("") or publisher.counters["subscribers"] < 2:
                await asyncio.sleep(0.002)
            for number in range(500):
                publisher.publish("n", str(number))
            async for message in subscriber:
                read.append(message.text())
                if len(read) == 500:
                    break
            await closed.close()
            assert (await ended)[:1] in (["0"], [])
            return read

    with Publisher(LOCAL) as publisher:
        assert asyncio.run(program(publisher)) == [str(number) for number in range(500)]


async def _all(subscriber: AsyncSubscriber) -> "list[str]":
    return [message.text() async for message in subscriber]


def test_a_subscriber_comes_back_and_says_that_messages_may_be_missing() -> None:
    listen = f"tcp://127.0.0.1:{free_port()}"
    with contextlib.ExitStack() as stack:
        marks, fails = stack.enter_context(Subscriber(listen)), stack.enter_context(Subscriber(listen, on_gap="fail"))
        with Publisher(listen) as publisher:
            with pytest.raises(EndpointInUseError):
                Publisher(listen)
            messages = iter(marks)
            assert not publish_until_read(publisher, messages, "x").after_gap
        with pytest.raises(StreamGapError, match="was lost"):
            list(fails)
        assert list(fails) == []
        with Publisher(listen) as publisher:
            found = publish_until_read(publisher, messages, "y")
            while found.topic == "x":
                found = next(messages)
            assert found.after_gap and not publish_until_read(publisher, messages, "y").after_gap


def test_a_subscriber_that_does_not_read_is_closed_and_no_other() -> None:
    with Publisher(LOCAL, output_bytes=8_388_608) as publisher, Subscriber(publisher.endpoints, buffer_bytes=10_000_000) as reader:
        address = publisher.endpoints[0].rpartition(":")[2]
        with zmq.Context() as context, context.socket(zmq.SUB) as lazy:
            lazy.setsockopt(zmq.LINGER, 0)
            lazy.setsockopt(zmq.RCVHWM, 1)
            lazy.setsockopt(zmq.SUBSCRIBE, b"")
            lazy.connect(f"tcp://127.0.0.1:{address}".encode())  # type: ignore[arg-type]
            until(lambda: publisher.counters["subscribers"] == 2)
            until(lambda: publisher.has_subscribers("x"))
            count = 0
            numbers = (message.number for message in reader)
            while publisher.counters["closed"] == 0:
                publisher.publish("x", bytes(100_000))
                count += 1
                assert next(numbers) == count and count < 5000
            lazy.close()
        assert publisher.counters["closed"] == 1
        publisher.publish("x", "still")
        assert next(iter(reader)).after_gap is False


def test_a_reader_that_pauses_leaves_what_comes_at_the_publisher() -> None:
    with Publisher(LOCAL, output_bytes=2**30) as publisher, Subscriber(publisher.endpoints, buffer_bytes=1000) as subscriber:
        until(lambda: publisher.has_subscribers(""))
        for _ in range(2000):
            publisher.publish("x", bytes(50_000))
        until(lambda: subscriber._inbox._is_full)
        assert subscriber._inbox._bytes < 110 * 51_000
        assert [message.number for message in itertools.islice(subscriber, 2000)] == list(range(1, 2001))


def test_connections_above_the_limit_are_closed() -> None:
    with Publisher(LOCAL, max_connections=2) as publisher:
        host, port = "127.0.0.1", int(publisher.endpoints[0].rpartition(":")[2])
        with contextlib.ExitStack() as stack:
            peers = [stack.enter_context(socket.create_connection((host, port), PATIENCE)) for _ in range(3)]
            until(lambda: publisher.counters["closed"] == 1)
            assert publisher.counters["subscribers"] == 2
            while peers[2].recv(100):
                pass
        until(lambda: publisher.counters["subscribers"] == 0)


def test_keys_of_a_publisher() -> None:
    server, secret = zmq.curve_keypair()
    public, ours = zmq.curve_keypair()
    cases: "list[Any]" = [[public], "any"]
    for allow in cases:
        with Publisher(LOCAL, curve=PublisherCurve(secret, allow)) as publisher:
            with Subscriber(publisher.endpoints, curve=Curve(server, ours)) as subscriber:
                until(lambda: publisher.has_subscribers("x"))
                publisher.publish("x", "secret")
                assert next(iter(subscriber)).text() == "secret"
            if allow != "any":
                with Subscriber(publisher.endpoints, curve=Curve(server, zmq.curve_keypair()[1])) as subscriber:
                    with pytest.raises(KeyRefusedError):
                        list(subscriber)


def test_messages_of_other_programs_need_a_stamp() -> None:
    with zmq.Context() as context, context.socket(zmq.XPUB) as other:
        other.setsockopt(zmq.LINGER, 0)
        endpoint = f"tcp://127.0.0.1:{other.bind_to_random_port('tcp://127.0.0.1')}"
        with contextlib.ExitStack() as stack:
            def subscriber(**options: Any) -> "Iterator[StreamMessage]":
                made = iter(stack.enter_context(Subscriber(endpoint, **options)))
                if other.poll(PATIENCE * 1000):
                    other.recv()
                return made

            unread = subscriber(topics="a")
            plain, stamped, failing = subscriber(topics="b", stamp=False), subscriber(topics="c", stamp=lambda it: float(it[1])), \
                subscriber(topics="d", stamp=lambda it: float("x"))
            for topic in (b"a", b"b", b"c", b"d"):
                other.send_multipart([topic, b"1000"])
            with pytest.raises(StreamHeaderError):
                next(unread)
            assert [(each.topic, each.frames, each.sent_at_ms, each.number) for each in (next(plain), next(stamped))] == [
                ("b", [b"1000"], None, None), ("c", [b"1000"], 1000.0, None)]
            with pytest.raises(OptionError, match="stamp must return"):
                next(failing)
    for frames in ([b"t", bytes(24), b"x"], [b"t", HEADER.pack(bytes(8), 1, -1), b"x"], [b"t", HEADER.pack(bytes(8), 1, 1)]):
        assert header_of(frames) is None


def test_a_message_that_comes_late_ends_its_subscriber() -> None:
    with Publisher(LOCAL) as publisher, Subscriber(publisher.endpoints, max_delay_ms=50) as subscriber:
        until(lambda: publisher.has_subscribers(""))
        publisher.publish("x", "1")
        messages = iter(subscriber)
        next(messages)
        publisher.publish("x", "2")
        until(lambda: subscriber._inbox._error is not None)  # nobody reads it
        with pytest.raises(StreamTooSlowError, match="max_delay_ms is 50"):
            next(messages)
    lateness = Lateness()
    lateness.arrived(1000, 500.5)
    lateness.arrived(1001, 500)
    assert lateness.of(1002, 502) == 0.5
    lateness.arrived(1000 + 620, 500)
    assert lateness.of(1620, 500) == 0


@pytest.mark.parametrize(("wrong", "kind"), [
    ({"listen": "tcp://127.0.0.1"}, EndpointError), ({"listen": ""}, EndpointError), ({"listen": 5}, OptionError),
    ({"listen": LOCAL, "curve": 5}, OptionError), ({"listen": LOCAL, "output_bytes": 1}, OptionError),
    ({"listen": "tcp://192.0.2.1:5560"}, EndpointError),
])
def test_what_a_publisher_refuses(wrong: Any, kind: Any) -> None:
    with pytest.raises(kind):
        Publisher(**wrong)


@pytest.mark.parametrize("wrong", [
    {"topics": "x" * 256}, {"topics": []}, {"topics": 5}, {"on_gap": "no"}, {"stamp": 5}, {"stamp": False, "max_delay_ms": 5},
])
def test_what_a_subscriber_refuses(wrong: Any) -> None:
    with pytest.raises(OptionError):
        Subscriber("tcp://127.0.0.1:5560", **wrong)


FORKED = """
import os, sys
from majordomo_client import Publisher, Subscriber, UsageError

publisher = Publisher("tcp://127.0.0.1:0")
subscriber = Subscriber(publisher.endpoints)
if os.fork() == 0:
    try:
        publisher.publish("x", "x")
    except UsageError as error:
        print(error.code)
    print(next(iter(subscriber)).text())
    subscriber.close()
    publisher.close()
    os._exit(0)
while publisher.counters["subscribers"] < 2:
    pass
import threading
import time
while True:
    publisher.publish("x", "both")
    time.sleep(0.01)
    if os.waitpid(-1, os.WNOHANG)[0]:
        break
print(next(iter(subscriber)).text())
subscriber.close()
publisher.close()
"""


def test_after_fork_a_subscriber_begins_anew_and_a_publisher_stays_with_its_process(tmp_path: pathlib.Path) -> None:
    process = start_program(tmp_path, FORKED)
    assert output_of(process) == ["ERR_MDP_USAGE", "both", "both"]


READS = """
const curve = args[1] ? { curve: { serverKey: args[1], publicKey: args[2], secretKey: args[3] } } : {};
const subscriber = new Subscriber({ endpoints: args[0], topics: 'n.', onGap: 'fail', ...curve });
let count = 0;
for await (const message of subscriber) {
  if (message.text() !== String(count) || message.number !== count + 1) throw new Error(message.text());
  if (++count === %d) break;
}
console.log(count);
""" % MANY
WRITES = """
const publisher = new Publisher({ listen: 'tcp://127.0.0.1:0', ...(args[0] ? { curve: { secretKey: args[0], allow: 'any' } } : {}) });
console.log((await publisher.open())[0]);
process.stdin.once('data', async () => {
  for (let at = 0; at < %d; at++) {
    publisher.publish('n.x', String(at));
    if (at %% 100 === 0) await new Promise(setImmediate);
  }
});
process.stdin.on('end', () => publisher.close());
""" % MANY


@pytest.mark.parametrize("is_secret", [False, True])
def test_node_reads_a_hundred_thousand_messages_of_a_publisher_in_python(is_secret: bool) -> None:
    server, secret = (key.decode() for key in zmq.curve_keypair())
    public, ours = (key.decode() for key in zmq.curve_keypair())
    with Publisher(LOCAL, curve=PublisherCurve(secret, [public]) if is_secret else None) as publisher:
        process = node(READS, publisher.endpoints[0], *([server, public, ours] if is_secret else []))
        until(lambda: publisher.has_subscribers("n."))
        for number in range(MANY):
            publisher.publish("n.x", str(number))
        assert output_of(process) == [str(MANY)]


@pytest.mark.parametrize("is_secret", [False, True])
def test_threads_and_asyncio_read_a_hundred_thousand_messages_of_a_publisher_in_node(is_secret: bool) -> None:
    server, secret = (key.decode() for key in zmq.curve_keypair())
    process = node(WRITES, *([secret] if is_secret else []))
    assert process.stdin is not None and process.stdout is not None
    endpoint = process.stdout.readline().strip()
    curve = Curve(server, zmq.curve_keypair()[1]) if is_secret else None
    expected = [(str(number), number + 1, False) for number in range(MANY)]

    def facts(message: StreamMessage) -> "tuple[str, object, bool]":
        return message.text(), message.number, message.after_gap

    async def read() -> "list[Any]":
        found: "list[Any]" = []
        async with AsyncSubscriber(endpoint, topics="n", curve=curve) as subscriber:
            async for message in subscriber:
                found.append(facts(message))
                if len(found) == MANY:
                    break
        return found

    awaited: "list[Any]" = []
    with Subscriber(endpoint, topics="n.", curve=curve) as subscriber:
        reader = threading.Thread(target=lambda: awaited.extend(asyncio.run(read())))
        reader.start()
        # Until both have subscribed, which Node alone knows.
        until(lambda: subscriber._inbox._feeds[0]._was_up)
        time.sleep(0.5)
        process.stdin.write("go\n")
        process.stdin.flush()
        assert [facts(message) for message in itertools.islice(subscriber, MANY)] == expected
        reader.join()
    assert awaited == expected
    assert output_of(process) == []
