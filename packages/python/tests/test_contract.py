"""Contracts that workers announce: their frames, and against the real broker."""

from __future__ import annotations

import asyncio
import json
import subprocess
from typing import Any

import pytest

from majordomo_client import AsyncClient, Client, OptionError, Request, Worker
from majordomo_client.contract import contract_frame

from .conftest import Broker, node_program
from .test_worker_core import Stage

TAX: "dict[str, Any]" = {
    "version": "2",
    "description": "The rate of a country",
    "input": {"type": "object", "required": ["country"], "properties": {"country": {"type": "string"}}},
    "output": {"type": "number", "minimum": 0.0},
    "errors": {"unknown": True},
}
# As the TypeScript SDK sorts (src/sdk/codec/announcement.ts).
SORTED = """
const sorted = (_, value) => typeof value !== 'object' || value === null || Array.isArray(value) ? value
  : Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)));
process.stdout.write(JSON.stringify(JSON.parse(require('fs').readFileSync(0, 'utf8')), sorted));
"""


def rate(request: Request) -> bytes:
    return b"0.19"


def nested(levels: int) -> "dict[str, Any]":
    schema: dict[str, Any] = {}
    for _ in range(levels - 1):
        schema = {"not": schema}
    return schema


def test_equal_contracts_have_equal_bytes_in_both_sdks() -> None:
    schema: dict[str, Any] = {
        "b": [1, 1.0, -0.0, 0.1, 1e-5, 1e-7, -1.5e-7, 1e16, 1e21, 1.25e300, 123456789.125, 5e-324],
        "a": None, "10": True, "9": False, "-1": "", "01": 'é\n\x01"\\/\x7f\u2028\U0001f600', "4294967295": 1,
        "\U0001f600": 1, "\uff5e": 2, "": {"z": {}, "y": []},
    }
    given = {"version": "1", "input": schema, "contentType": "application/json"}
    theirs = subprocess.run(
        [node_program(), "-e", SORTED], input=json.dumps(given).encode(), capture_output=True, check=True
    ).stdout
    assert contract_frame(given) == theirs
    assert contract_frame({"input": schema, "version": "1"}) == theirs
    assert contract_frame({}) == contract_frame(None) == b""


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ([], "must be a dict"),
        ({"inputs": {}}, "has the key 'inputs'"),
        ({"version": 2}, "as version text"),
        ({"version": "\U0001f600" * 33}, "as version text of at most 64"),
        ({"description": "x" * 1025}, "as description text"),
        ({"input": "string"}, "as input a JSON Schema"),
        ({"errors": [True]}, "as errors a dict"),
        ({"errors": {str(code): True for code in range(101)}}, "at most 100"),
        ({"errors": {"e": None}}, r"as errors\['e'\] a JSON Schema"),
        ({"input": {1: True}}, "only text as keys"),
        ({"input": {"default": float("nan")}}, "only numbers"),
        ({"input": {"default": b"x"}}, "not bytes"),
        ({"input": {"default": "\ud800"}}, "cannot be written as JSON"),
        ({"input": {"maximum": 10**5000}}, "cannot be written as JSON"),
        ({"input": nested(64)}, "64 levels"),
        ({"input": {"$comment": "x" * 65536}}, "at most 65536"),
    ],
)
def test_a_contract_that_brokers_refuse_is_an_option_error(given: Any, text: str) -> None:
    with pytest.raises(OptionError, match=text):
        Worker("tcp://127.0.0.1:5555", "tax", rate, contract=given)
    assert contract_frame({"version": "\U0001f600" * 32, "input": nested(63)})


def test_contracts_of_several_services_are_by_their_names() -> None:
    with pytest.raises(OptionError, match="'version', which is not one of the services"):
        Worker("tcp://127.0.0.1:5555", services={"tax": rate}, contract=TAX)


def test_ready_has_the_contract_after_its_options_if_the_broker_knows_it() -> None:
    cases: "list[tuple[list[str], list[bytes]]]" = [
        (["credit", "ready-options", "contract"], [b"1", b'{"name":"me"}', b"{}"]),
        (["credit"], []),
    ]
    for extensions, rest in cases:
        stage = Stage(contract=b"{}").registered(extensions)
        assert [b"MDPW02", b"\x01", b"echo", *rest] in stage.sent


def test_a_broker_tells_the_contract_of_a_service(broker: Broker) -> None:
    services = {"tax-rate": rate, "tax-bare": rate}

    async def program() -> None:
        async with AsyncClient(broker.endpoint) as client:
            assert (await client.contract_of("tax-rate")) == found
            assert (await client.contract_of("tax-bare")) is None

    with Worker(broker.endpoint, services=services, contract={"tax-rate": TAX}, name="one").ready():
        with Worker(broker.endpoint, "tax-rate", rate, contract=dict(reversed(TAX.items()))).ready():
            with Client(broker.endpoint) as client:
                found = client.contract_of("tax-rate")
                assert client.contract_of("nobody-serves-this") is None
            asyncio.run(program())
    assert found is not None
    (one,) = found["contracts"]
    assert one["workers"] == 2 and "one" in one["names"]
    assert one["contract"] == {**TAX, "contentType": "application/json"}
