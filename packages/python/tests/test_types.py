"""Types from what is announced: a program in TypeScript for a worker in Python, and the other way round."""

from __future__ import annotations

import importlib.util
import pathlib
import subprocess
import sys
from typing import Any, Iterator

import pytest

from majordomo_client import Client, ServiceError, Worker

from .conftest import PATIENCE, PROGRAM, ROOT, StartBroker, need, node_program
from .test_typed import TAX, rate

CALLS = """
import { connect } from 'majordomo-sdk';
import { services } from './services.js';

const [endpoint = ''] = process.argv.slice(2);
const client = connect(endpoint, { contract: services });
const { rate, unit, of } = await client.call('typed.tax', { country: 'DE', tags: ['a'] });
const half: number = rate / 2;
console.log(half, unit, typeof of === 'object' ? of.country : of);
try {
  await client.call('typed.tax', { country: 'XX' });
} catch (error) {
  if (services.isError('typed.tax', error, 'unknown')) console.log(error.details.country);
}
// The compiler was told that it is right; the worker is not deceived.
const wrong = { country: 5 } as unknown as { country: string };
await client.call('typed.tax', wrong).catch((error: unknown) => console.log(String(error)));
await client.close();
"""

WRONG_CALLS = """
import { connect } from 'majordomo-sdk';
import { services } from './services.js';

const client = connect('tcp://127.0.0.1:1', { contract: services });
await client.call('typed.tax', { country: 5 });
await client.call('typed.tax', {});
await client.call('typed.other', {});
const { rate } = await client.call('typed.tax', { country: 'DE' });
const text: string = rate;
"""

OFFERS = """
import { defineService, Worker } from 'majordomo-sdk';
import { z } from 'zod';

const place = z.object({ country: z.string().length(2), zip: z.int().optional() });
const contract = defineService({ 'typed.node': {
  input: place,
  output: z.object({ rate: z.number(), unit: z.enum(['%', '']).nullable(), places: z.array(place) }),
  errors: { unknown: z.object({ country: z.string() }) },
} });
const [endpoint] = process.argv.slice(1);
const worker = new Worker({ endpoints: endpoint, contract, services: { 'typed.node': ({ value }) => {
  if (value.country !== 'XX') return { rate: 0.5, unit: null, places: [value] };
  throw contract.error('typed.node', 'unknown', 'no such country', { details: { country: 'XX' }, retry: false });
} } });
await worker.ready;
console.log('ready');
process.stdin.resume().on('end', () => worker.close());
"""

ASKS = """
from majordomo_client import Client
from services import TYPED_NODE, TypedNodeInput

with Client("tcp://127.0.0.1:1") as client:
    answer = client.call(TYPED_NODE, TypedNodeInput("DE", zip=5))
    half: float = answer.rate / 2
    country: str = answer.places[0].country
"""

WRONG_ASKS = """
from majordomo_client import Client
from services import TYPED_NODE, TypedNodeInput

with Client("tcp://127.0.0.1:1") as client:
    client.call(TYPED_NODE, TypedNodeInput(5))
    client.call(TYPED_NODE, TypedNodeInput())
    client.call(TYPED_NODE, "DE")
    text: str = client.call(TYPED_NODE, TypedNodeInput("DE")).rate
"""


def run(*command: object, cwd: pathlib.Path = ROOT) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(list(map(str, command)), cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=4 * PATIENCE, check=False)


def export(endpoint: str, language: str, file: pathlib.Path) -> None:
    done = run(node_program(), PROGRAM, "services", "export", f"--{language}", file, "--endpoint", endpoint)
    assert (done.returncode, done.stdout) == (0, "")


def compiled(folder: pathlib.Path, name: str) -> "subprocess.CompletedProcess[str]":
    options = ["--strict", "--exactOptionalPropertyTypes", "--module", "nodenext", "--target", "es2024", "--types", "node"]
    tsc = ROOT / "node_modules" / "@typescript" / "native" / "bin" / "tsc"
    return run(node_program(), tsc, *options, name, cwd=folder)


def test_typescript_calls_a_worker_in_python_with_types_from_what_it_announces(
    start_broker: StartBroker, tmp_path: pathlib.Path
) -> None:
    broker = start_broker()
    (tmp_path / "node_modules").symlink_to(ROOT / "node_modules")
    (tmp_path / "package.json").write_text('{"type":"module"}')
    (tmp_path / "calls.ts").write_text(CALLS)
    (tmp_path / "wrong.ts").write_text(WRONG_CALLS)
    with Worker(broker.endpoint, TAX, rate).ready():
        export(broker.endpoint, "typescript", tmp_path / "services.ts")
        right = compiled(tmp_path, "calls.ts")
        assert (right.returncode, right.stdout) == (0, "")
        called = run(node_program(), "calls.js", broker.endpoint, cwd=tmp_path)
        assert called.stdout.splitlines() == [
            "0.095 % DE", "XX", "ServiceError: the input of 'typed.tax' is wrong: country: must be text",
        ]
    wrong = compiled(tmp_path, "wrong.ts")
    places = [line.partition(":")[0] for line in wrong.stdout.splitlines() if line.startswith("wrong.ts")]
    assert wrong.returncode != 0 and [each[9:].split(",")[0] for each in places] == ["6", "7", "8", "10"], wrong.stdout


@pytest.fixture
def types_of_node(start_broker: StartBroker, tmp_path: pathlib.Path) -> "Iterator[tuple[str, pathlib.Path]]":
    """A broker with a worker in TypeScript, and the folder of the module of its types."""
    endpoint = start_broker().endpoint
    command = [node_program(), "--input-type=module", "-e", OFFERS, endpoint]
    process = subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        export(endpoint, "python", tmp_path / "services.py")
        yield endpoint, tmp_path
        process.communicate(timeout=PATIENCE)
    finally:
        process.kill()


def test_python_calls_a_worker_in_typescript_with_types_from_what_it_announces(
    types_of_node: "tuple[str, pathlib.Path]", monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint, folder = types_of_node
    spec = importlib.util.spec_from_file_location("services_of_node", folder / "services.py")
    assert spec is not None and spec.loader is not None
    services: Any = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, services)
    spec.loader.exec_module(services)
    call, place = services.TYPED_NODE, services.TypedNodeInput
    with Client(endpoint) as client:
        answer = client.call(call, place("DE"))
        assert (answer.rate, answer.unit, [each.country for each in answer.places]) == (0.5, None, ["DE"])
        assert client.call(call, place("FR", zip=7)).places[0].zip == 7
        for country, code, text in ((5, "invalid_argument", "must be text"), ("XX", "unknown", "no such country"),
                                    ("DEU", "invalid_argument", "country")):
            with pytest.raises(ServiceError, match=text) as refused:
                client.call(call, place(country))
            assert refused.value.service_code == code
        with pytest.raises(ServiceError, match="country"):  # by the worker
            client.request("typed.node", '{"country":5}')


def test_a_type_checker_refuses_what_a_worker_in_typescript_does_not_take(
    types_of_node: "tuple[str, pathlib.Path]"
) -> None:
    need("mypy")
    _, folder = types_of_node
    (folder / "asks.py").write_text(ASKS)
    (folder / "wrong.py").write_text(WRONG_ASKS)
    (folder / "majordomo_client").symlink_to(ROOT / "packages" / "python" / "majordomo_client")
    mypy = [sys.executable, "-m", "mypy", "--strict", "--follow-imports", "silent", "--cache-dir", folder / "cache"]
    right = run(*mypy, "asks.py", "services.py", cwd=folder)
    assert right.returncode == 0, right.stdout
    wrong = run(*mypy, "wrong.py", cwd=folder)
    lines = [line.split(":")[1] for line in wrong.stdout.splitlines() if line.startswith("wrong.py")]
    assert wrong.returncode != 0 and lines == ["6", "7", "8", "9"], wrong.stdout
