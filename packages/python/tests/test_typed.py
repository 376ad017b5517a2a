"""Typed services: what is sent is checked at both ends, and announced; with workers and clients of both SDKs."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import json
import subprocess
from typing import Any, AsyncIterator, Dict, Iterator, List, Literal, Mapping, Optional, Union

import pytest

from majordomo_client import AsyncClient, Client, OptionError, Request, ServiceError, TypedService, Worker

from .conftest import PATIENCE, ROOT, Broker, node_program


class Unit(enum.Enum):
    PERCENT = "%"
    NONE = ""


@dataclasses.dataclass
class Place:
    country: str
    zip: Optional[int] = None
    tags: List[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Rate:
    rate: float
    unit: Unit = Unit.NONE
    of: Union[Place, Literal["all"]] = "all"
    more: Dict[str, bool] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.rate < 0:
            raise ValueError("rate must not be negative")


@dataclasses.dataclass
class Unknown:
    country: str


TAX = TypedService("typed.tax", Place, Rate, errors={"unknown": Unknown}, version="2", description="The rate of a country")


def rate(place: Place, request: Request) -> Any:
    assert isinstance(place, Place) and request.service == "typed.tax"
    if place.country == "XX":
        raise ServiceError("unknown", "no such country", retry=False, details={"country": "XX"})
    if place.country in ("undeclared", "unknown"):
        raise ServiceError(place.country, "why")
    return {"negative": {"rate": -1}, "text": "wrong", "set": {1}}.get(place.country, Rate(0.19, Unit.PERCENT, place, {"eu": True}))


async def rate_later(place: Place, request: Request) -> Any:
    await asyncio.sleep(0)
    return rate(place, request)


@pytest.mark.parametrize("handler", [rate, rate_later, lambda place, request: rate_later(place, request)])
def test_values_are_checked_at_both_ends(broker: Broker, handler: Any) -> None:
    asked = Place("DE", 10115, ["capital"])
    with Worker(broker.endpoint, TAX, handler).ready(), Client(broker.endpoint) as client:
        assert client.call(TAX, asked) == client.call(TAX, dataclasses.asdict(asked)) == Rate(0.19, Unit.PERCENT, asked, {"eu": True})
        with Client("tcp://127.0.0.1:9") as nowhere, pytest.raises(ServiceError, match="the input of 'typed.tax' is wrong: country: must be text") as wrong:
            nowhere.call(TAX, Place(5))  # type: ignore[arg-type]  # it is not sent
        assert (wrong.value.service_code, wrong.value.service, wrong.value.retry) == ("invalid_argument", "typed.tax", False)
        assert wrong.value.details == {"issues": [{"message": "must be text", "path": ["country"]}]}
        for body, text in ((b'{"zip":1.5}', r"country: is missing \(and 1 more\)"), (b"[]", "must be an object"), (b"{", "not JSON")):
            with pytest.raises(ServiceError, match=text) as refused:
                client.request("typed.tax", body)
            assert refused.value.service_code == "invalid_argument"
        for country, code, text in (
            ("XX", "unknown", "no such country"), ("undeclared", "invalid_error", "does not declare the error 'undeclared': why"),
            ("unknown", "invalid_error", "country: is missing"), ("negative", "invalid_reply", "must not be negative"),
            ("text", "invalid_reply", "must be an object"), ("set", "invalid_reply", "must be an object"),
        ):
            with pytest.raises(ServiceError, match=text) as failed:
                client.call(TAX, Place(country))
            assert failed.value.service_code == code
        (one,) = (client.contract_of("typed.tax") or {})["contracts"]
        assert one["contract"] == {**TAX.contract, "contentType": "application/json"}


def test_a_client_checks_what_an_untyped_worker_answers(broker: Broker) -> None:
    async def program() -> float:
        async with AsyncClient(broker.endpoint) as client:
            with pytest.raises(ServiceError, match="invalid_reply|the output of 'typed.echo' is wrong: must be a number"):
                await client.call(TypedService("typed.echo", str, float), "x")
            return await client.call(TypedService("typed.echo", int, float), 5)

    with Worker(broker.endpoint, "typed.echo", lambda request: request.value).ready():
        assert asyncio.run(program()) == 5.0


def numbers(most: int, _: Request) -> Iterator[int]:
    for number in range(most):
        yield number
    return most


async def numbers_later(most: int, _: Request) -> AsyncIterator[Any]:
    yield 0
    yield "wrong"


def test_parts_are_checked_and_processes_work(broker: Broker) -> None:
    services: Any = {TypedService("typed.numbers", int, int): numbers, TypedService("typed.later", int, int): numbers_later}
    with Worker(broker.endpoint, services=services, run_in="processes").ready(), Client(broker.endpoint) as client:
        assert [part.json() for part in client.stream("typed.numbers", "2")] == [0, 1, 2]
        parts = client.stream("typed.later", "2")
        assert next(parts).json() == 0
        with pytest.raises(ServiceError, match="must be a whole number"):
            next(parts)


SCHEMAS: Any = [
    (Place, {"type": "object", "required": ["country"], "properties": {
        "country": {"type": "string"}, "zip": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "tags": {"type": "array", "items": {"type": "string"}}}}),
    (Unit, {"enum": ["%", ""]}), (Any, True), (None, {"type": "null"}), (list, {"type": "array"}),
    (Mapping[str, float], {"type": "object", "additionalProperties": {"type": "number"}}),
]


@pytest.mark.parametrize(("kind", "schema"), SCHEMAS)
def test_types_have_json_schemas(kind: Any, schema: Any) -> None:
    assert TypedService("x", kind, kind).contract["input"] == schema


@dataclasses.dataclass
class Endless:
    again: List[Endless]


@dataclasses.dataclass
class Strange:
    what: Missing  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(("wrong", "text"), [
    ({"input": bytes}, "must be a dataclass"), ({"input": Dict[int, str]}, "must be a dataclass"), ({"input": Endless}, "contain itself"),
    ({"input": Strange}, "Strange has annotations"), ({"name": ""}, "service"), ({"errors": []}, "errors must be"), ({"version": 5}, "version"),
])
def test_what_a_typed_service_refuses(wrong: Any, text: str) -> None:
    given: "dict[str, Any]" = {"name": "x", "input": str, "output": str, **wrong}
    with pytest.raises(OptionError, match=text):
        TypedService(**given)


def test_a_typed_service_has_its_contract() -> None:
    for given in ({"service": TAX, "handler": rate, "contract": {}}, {"services": {TAX: rate}, "contract": {"typed.tax": {}}}):
        with pytest.raises(OptionError, match="TypedService"):
            Worker("tcp://127.0.0.1:5555", **given)  # type: ignore[arg-type]


def test_models_of_pydantic_are_types(broker: Broker) -> None:
    pydantic = pytest.importorskip("pydantic", minversion="2")

    class Size(pydantic.BaseModel):  # type: ignore[name-defined,misc]
        width: int = pydantic.Field(gt=0, alias="w")

    size: "TypedService[Any, Any]" = TypedService("typed.size", Size, List[Size])
    assert size.contract["input"]["properties"]["w"]["exclusiveMinimum"] == 0
    with Worker(broker.endpoint, size, lambda given, request: [given, given]).ready(), Client(broker.endpoint) as client:
        assert client.call(size, Size(w=5)) == [Size(w=5), Size(w=5)]
        with pytest.raises(ServiceError, match="the input of 'typed.size' is wrong: w: Input should be greater than 0"):
            client.call(size, {"w": 0})


NODE = """
import { connect, defineService, Worker } from 'majordomo-sdk';
const contract = defineService();
const [endpoint] = process.argv.slice(1);
const client = connect(endpoint, { contract });
const worker = new Worker({ endpoints: endpoint, contract, services: { 'typed.node': ({ value: { country } }) =>
  country === 'bad' ? { rate: 'x' } : { rate: 0.5, unit: '%', of: { country } } } });
await worker.ready;
const { contracts } = await client.contractOf('typed.tax');
console.log(contracts[0].contract.version, JSON.stringify(await client.call('typed.tax', { country: 'DE' })));
await client.call('typed.tax', { country: 5 }).catch((error) => console.log(error.serviceCode, error.details.issues[0].path[0]));
process.stdin.resume().on('end', async () => { await worker.close(); await client.close(); });
"""


def test_node_calls_a_typed_service_in_python_and_the_other_way_round(broker: Broker) -> None:
    theirs = TypedService("typed.node", Place, Rate)
    with Worker(broker.endpoint, TAX, rate).ready(), Client(broker.endpoint) as client:
        command = [node_program(), "--input-type=module", "-e", NODE, broker.endpoint]
        process = subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdout is not None
        answer = {"rate": 0.19, "unit": "%", "of": {"country": "DE", "tags": []}, "more": {"eu": True}}
        version, _, printed = process.stdout.readline().partition(" ")
        assert version == "2" and json.loads(printed) == answer
        assert process.stdout.readline() == "invalid_argument country\n"
        assert client.call(theirs, Place("FR")) == Rate(0.5, Unit.PERCENT, Place("FR"))
        with pytest.raises(ServiceError, match="the output of 'typed.node' is wrong: rate: must be a number"):
            client.call(theirs, Place("bad"))
        process.communicate(timeout=PATIENCE)
