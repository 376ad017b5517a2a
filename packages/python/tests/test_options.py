"""Wrong options and arguments raise coded errors, before anything is sent."""

from __future__ import annotations

import asyncio
import inspect
import pathlib
import re
from typing import Any, Callable

import pytest
import zmq

from majordomo_client import (
    AsyncClient,
    BodyError,
    Client,
    Curve,
    EndpointError,
    MajordomoError,
    OptionError,
    ServiceError,
    SharedMap,
    Worker,
    connect,
)
from majordomo_client.engine import CLIENT_OPTIONS
from majordomo_client.jobs import STORED_OPTIONS
from majordomo_client.map import MAP_OPTIONS
from majordomo_client.options import endpoints_of
from majordomo_client.serving import WORKER_OPTIONS

NOBODY = "tcp://127.0.0.1:1"
HALF = "\ud800"  # half of a surrogate pair: a text that has no UTF-8


class Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError("no text")


def handler(_: object) -> str:
    return ""


MAKERS: "list[Callable[[Any], object]]" = [Client, SharedMap, lambda given: Worker(given, "echo", handler)]


WORKERS: "dict[str, dict[str, Any]]" = {
    "a name that is no text": {"name": 5},
    "a name that has no UTF-8": {"name": HALF},
    "a service that has no UTF-8": {"service": HALF},
    "services that are no dict": {"service": None, "handler": None, "services": 5},
    "a handler that is none": {"handler": 5},
    "a number that is too large to be shown": {"concurrency": 10**5000},
    "a number that cannot be shown": {"concurrency": Unshowable()},
    "a switch that is none": {"expose_errors": 1},
    "keys that are none": {"curve": "key"},
    "an unknown way to run": {"run_in": ["threads"]},
}


@pytest.mark.parametrize("options", WORKERS.values(), ids=WORKERS.keys())
def test_wrong_options_of_a_worker(options: "dict[str, Any]") -> None:
    whole: "dict[str, Any]" = {"service": "echo", "handler": handler, **options}
    with pytest.raises(OptionError) as wrong:
        Worker(NOBODY, **whole)
    assert wrong.value.details["option"]


@pytest.mark.parametrize("endpoints", [5, b"tcp://127.0.0.1:1", [5], [], [b"tcp://127.0.0.1:1"], Unshowable()])
def test_end_points_that_are_no_text(endpoints: Any) -> None:
    for make in MAKERS:
        with pytest.raises(OptionError):
            make(endpoints)


@pytest.mark.parametrize(
    "endpoint",
    ["tcp://127.0.0.1:99999", "tcp://127.0.0.1:0", "tcp://*:5555", "tcp://a\0b:5", "ipc://" + "x" * 108, f"ipc://{HALF}",
     f"tcp://{HALF}:5", "tcp://::1:5", "inproc://x"],
)
def test_end_points_that_nobody_can_connect_to(endpoint: str) -> None:
    for make in MAKERS:
        with pytest.raises(EndpointError):
            make(endpoint)


def test_end_points_that_are_ones() -> None:
    listed = ["tcp://127.0.0.1:65535", "tcp://[::1]:1", "tcp://a-b.example:5555", "ipc://@abstract", "ipc://" + "x" * 107]
    assert endpoints_of(tuple(listed)) == listed


CALLS: "dict[str, Callable[[Client], Any]]" = {
    "a service": lambda client: client.request(HALF, ""),
    "a header": lambda client: client.request("echo", "", headers={"a": HALF}),
    "a header's name": lambda client: client.request("echo", "", headers={HALF: "a"}),
    "a stream's service": lambda client: next(client.stream(HALF, "")),
    "a key": lambda client: client.enqueue("echo", "", idempotency_key=HALF),
    "a schedule's name": lambda client: client.schedule(HALF, "echo", "", cron="@daily"),
    "a cron line": lambda client: client.schedule("a", "echo", "", cron=HALF),
    "a time zone": lambda client: client.schedule("a", "echo", "", cron="@daily", time_zone=HALF),
    "the name of a schedule that ends": lambda client: client.unschedule(HALF),
    "a schedule's name that is no text": lambda client: client.unschedule(Unshowable()),  # type: ignore[arg-type]
    "pauses that are none": lambda client: client.enqueue("echo", "", backoff=5),  # type: ignore[arg-type]
    "three pauses": lambda client: client.enqueue("echo", "", backoff=(1, 2, 3)),  # type: ignore[arg-type]
    "a switch that is none": lambda client: client.enqueue("echo", "", shared=1),  # type: ignore[arg-type]
    "headers that are none": lambda client: client.request("echo", "", headers=5),  # type: ignore[arg-type]
    "a webhook that is no URL": lambda client: client.enqueue("echo", "", webhook="https://a b"),
    "a webhook that is too long": lambda client: client.schedule("a", "echo", "", cron="@daily", webhook="x" * 2049),
    "a uuid": lambda client: client.job(HALF),
    "a contract's service": lambda client: client.contract_of(HALF),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_wrong_arguments_of_a_client(call: "Callable[[Client], Any]") -> None:
    with Client(NOBODY, timeout_ms=100) as client:
        with pytest.raises(OptionError):
            call(client)


def test_every_option_of_a_stored_request_is_one_of_enqueue_and_of_schedule() -> None:
    names = {option.name for option in STORED_OPTIONS}
    own = {"timeout_ms", "headers"}
    methods: "list[tuple[Any, set[str]]]" = [(Client.enqueue, own), (Client.schedule, own | {"cron", "time_zone"})]
    for method, others in methods:
        options = {
            name for name, each in inspect.signature(method).parameters.items() if each.kind is each.KEYWORD_ONLY
        }
        left = {"idempotency_key"} - options
        assert options == (names - left) | others


def test_the_end_points_of_programs_are_those_of_the_variable_that_are_not_for_commands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MAJORDOMO_URL", "tcp://a:5555,http://a:5580 unix:/run/m.sock")
    assert endpoints_of(None) == ["tcp://a:5555"]
    monkeypatch.setenv("MAJORDOMO_URL", "http://a:5580")
    with pytest.raises(EndpointError):
        endpoints_of(None)


def test_a_map_has_end_points_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAJORDOMO_URL", NOBODY)
    with pytest.raises(OptionError, match="endpoints must be given"):
        SharedMap(None)  # type: ignore[arg-type]


@pytest.mark.parametrize("option", ["hedge_ms", "ping_interval_ms"])
def test_options_of_independent_brokers_need_the_strategy(option: str) -> None:
    given: "dict[str, Any]" = {option: 1000}
    with pytest.raises(OptionError, match=f"{option} needs strategy='freelance'"):
        Client(NOBODY, **given)
    Client([NOBODY], strategy="freelance", **given).close()


SIGNATURES: "list[tuple[Any, Any, set[str]]]" = [
    (Client, CLIENT_OPTIONS, set()),
    (SharedMap, MAP_OPTIONS, set()),
    (Worker, WORKER_OPTIONS, {"services", "contract"}),  # what several arguments say together
]


@pytest.mark.parametrize(("kind", "table", "others"), SIGNATURES)
def test_the_table_of_a_class_has_every_option_of_its_signature(kind: Any, table: Any, others: "set[str]") -> None:
    options = {name for name, each in inspect.signature(kind).parameters.items() if each.kind is each.KEYWORD_ONLY}
    assert options == {*table, *others}


def test_an_unknown_option_is_told_with_the_nearest_name() -> None:
    with pytest.raises(TypeError, match="there is no option 'timout_ms'; .*; did you mean timeout_ms"):
        connect(NOBODY, timout_ms=5)


async def _async_request() -> None:
    async with AsyncClient(NOBODY) as client:
        await client.request("echo", "x", timeout=5)  # type: ignore[call-arg]


@pytest.mark.parametrize("use", [
    lambda: Client(NOBODY, timeout=5),  # type: ignore[call-arg]
    lambda: Client(NOBODY).enqueue("echo", "x", timeout=5),  # type: ignore[call-arg]
    lambda: Client(NOBODY).job("0" * 32).result(timeout=5),  # type: ignore[call-arg]
    lambda: SharedMap(NOBODY, timeout=5),  # type: ignore[call-arg]
    lambda: asyncio.run(_async_request()),
])
def test_an_argument_that_is_meant_is_named(use: Callable[[], object]) -> None:
    with pytest.raises(TypeError, match="(?i)did you mean '?timeout_ms"):
        use()


@pytest.mark.parametrize("option", ["max_bytes", "stream_buffer_bytes"])
def test_sizes_have_the_bounds_of_the_other_sdk(option: str) -> None:
    kind: Any = SharedMap if option == "max_bytes" else Client
    kind(NOBODY, **{option: 2**32}).close()
    with pytest.raises(OptionError, match=option):
        kind(NOBODY, **{option: 2**32 + 1})


def test_the_options_are_those_of_the_documents() -> None:
    docs = pathlib.Path(__file__).parents[3] / "docs"
    _, _, below = (docs / "protocol.md").read_text().partition("\n### Options of a durable request\n")
    names = re.findall(r"`(\w+)`", below.partition("\n#")[0])
    assert ["key", *names] == [option.json for option in STORED_OPTIONS]
    page = (docs / "python.md").read_text()
    assert [option.name for option in STORED_OPTIONS if f"`{option.name}`" not in page] == []


LIKE_OPTIONS = {
    "webhook": "webhook", "Web_Hook": "webhook", "ttlMs": "ttl_ms", "ttl-ms": "ttl_ms", "DELAYMS": "delay_ms",
    "max-attempts": "max_attempts", "idempotency-key": "idempotency_key", "timeout-ms": "timeout_ms", "cron": "cron",
}


@pytest.mark.parametrize(("header", "option"), LIKE_OPTIONS.items())
def test_headers_that_look_like_an_option_are_refused_with_its_name(header: str, option: str) -> None:
    said = f"headers have one that looks like the option {option}: use the option"
    with Client(NOBODY, timeout_ms=100) as client:
        with pytest.raises(OptionError, match=said):
            client.enqueue("echo", "", headers={header: "x"})
        with pytest.raises(OptionError, match=said):
            client.schedule("n", "echo", "", cron="@daily", headers={header: "x"})


def test_async_clients_have_the_same_table() -> None:
    async def asked() -> None:
        async with AsyncClient(NOBODY, timeout_ms=100) as client:
            with pytest.raises(OptionError, match="webhook must be a URL"):
                await client.enqueue("echo", "", webhook="")
            with pytest.raises(OptionError, match="looks like the option ttl_ms"):
                await client.enqueue("echo", "", headers={"ttl-ms": "5"})
            with pytest.raises(TypeError, match="there is no option 'web_hook'; there are idempotency_key, "):
                await client.enqueue("echo", "", web_hook="https://a")
            with pytest.raises(OptionError, match="idempotency_key cannot be given"):
                await client.schedule("n", "echo", "", cron="@daily", idempotency_key="x")

    asyncio.run(asked())


@pytest.mark.parametrize("body", [HALF, ["a", HALF], 5, None, [], [5]])
def test_bodies_that_cannot_be_sent(body: Any) -> None:
    with Client(NOBODY, timeout_ms=100) as client:
        with pytest.raises(BodyError):
            client.request("echo", body)


def test_wrong_arguments_of_a_map() -> None:
    for subtree in (5, "/a", "a/", f"/{HALF}/"):
        with pytest.raises(OptionError):
            SharedMap(NOBODY, subtree=subtree)  # type: ignore[arg-type]
    with pytest.raises(EndpointError):
        SharedMap("tcp://127.0.0.1:65534")
    with SharedMap(NOBODY) as shared:
        for key in (HALF, 5, None):
            with pytest.raises(OptionError):
                shared.get(key)  # type: ignore[arg-type]
            with pytest.raises(OptionError):
                shared.set(key, "x")  # type: ignore[arg-type]
        for value in (HALF, "", ["a", "b"]):
            with pytest.raises(BodyError):
                shared.set("/a", value)  # type: ignore[arg-type]
        with pytest.raises(OptionError):
            shared.synced(timeout_ms="1")  # type: ignore[arg-type]


def test_independent_brokers_are_named_once() -> None:
    with pytest.raises(OptionError):
        Client([NOBODY, NOBODY], strategy="freelance")
    with pytest.raises(OptionError):
        Client(NOBODY, curve="key")  # type: ignore[arg-type]


@pytest.mark.parametrize("key", [5, None, HALF * 40, "x" * 39, "é" * 40, "%" * 40, b"#" * 40], ids=range(7))
def test_keys_that_are_none(key: Any) -> None:
    public, secret = zmq.curve_keypair()
    with pytest.raises(OptionError):
        Curve(key, secret)
    with pytest.raises(OptionError):
        Curve(public, key)
    if key is not None:
        with pytest.raises(OptionError):
            Curve(public, secret, key)


CERTIFICATE = """#   ****  Generated by CZMQ  ****
metadata
    name = "worker"
    secret-key = "no key at all, but a text of its owner   "
curve   # the keys
    public-key = "{public}"   # of the worker
    secret-key = '{secret}' # keep it to yourself
"""


def test_a_certificate_has_comments_after_its_keys(tmp_path: pathlib.Path) -> None:
    public, secret = (key.decode() for key in zmq.curve_keypair())
    with_value = CERTIFICATE.replace("curve ", "curve = x")
    for text in (CERTIFICATE, CERTIFICATE.replace("\n", "\r\n"), with_value):
        file = tmp_path / "worker.key_secret"
        file.write_text(text.format(public=public, secret=secret))
        curve = Curve.from_file(file, server_key=public)
        assert (curve.secret_key, curve.public_key, curve.server_key) == (secret.encode(), public.encode(), public.encode())


@pytest.mark.parametrize("text", ["", "curve\n", "curve\n    secret-key = \"short\"\n", "x" * 40 + " # no comments here"])
def test_files_without_a_key(tmp_path: pathlib.Path, text: str) -> None:
    file = tmp_path / "none.key"
    file.write_text(text)
    for given in (file, str(file), str(file).encode(), tmp_path, "/nowhere", "a\0b", 5):
        with pytest.raises(OptionError):
            Curve.from_file(given, server_key="x" * 40)  # type: ignore[arg-type]


def test_a_service_error_is_checked_where_it_is_made() -> None:
    wrong: "list[Any]" = [HALF, "mdp.x", "", 5, Unshowable()]
    for code in wrong:
        with pytest.raises(MajordomoError) as raised:
            ServiceError(code, "text")
        assert raised.value.code == "ERR_MDP_OPTION"
