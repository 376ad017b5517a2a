"""CURVE with both kinds of key files, and a pair whose active node is killed."""

from __future__ import annotations

import pathlib
import subprocess

import pytest
import zmq
import zmq.auth

from majordomo_client import Client, Curve, KeyRefusedError, OptionError, RequestTimeoutError, UnreachableError, Worker

from .conftest import PROGRAM, Broker, free_port, node_program, start_pair


def test_keys_of_keygen_and_certificates(tmp_path: pathlib.Path) -> None:
    server, ours = tmp_path / "server.key", tmp_path / "ours.key"
    for file in (server, ours):
        subprocess.run([node_program(), PROGRAM, "keygen", str(file)], check=True, capture_output=True)
    public = tmp_path / "ours.key.pub"
    _, secret_file = zmq.auth.create_certificates(tmp_path, "certificate")
    certified, _ = zmq.auth.load_certificate(secret_file)
    keys = tmp_path / "keys.yaml"
    lines = [("ours", public.read_text().strip()), ("certified", certified.decode())]
    keys.write_text("".join(f"- name: {name}\n  publicKey: '{key}'\n" for name, key in lines))
    keys.chmod(0o600)
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    curve = f"{{secretKeyFile: {server}, keysFile: {keys}}}"
    broker = Broker(tmp_path / "data", endpoint, f'broker.listen=[{{endpoint: "{endpoint}", curve: {curve}}}]')
    try:
        mine = Curve.from_file(ours, server_key=tmp_path / "server.key.pub")
        certificate = Curve.from_file(secret_file, server_key=(tmp_path / "server.key.pub").read_text().strip())
        with Worker(endpoint, "echo", lambda request: request.value, curve=certificate).ready():
            with Client(endpoint, curve=mine) as client:
                assert client.request("echo", "secret").text() == "secret"
        for secret, beside in ((server, "server.key.pub"), (pathlib.Path(secret_file), "certificate.key")):
            with pytest.raises(OptionError, match=f"has a secret key: give the broker's public one, .*/{beside}$"):
                Curve.from_file(ours, server_key=secret)
        strange = Curve(mine.server_key, zmq.curve_keypair()[1])
        with Client(endpoint, curve=strange) as stranger:
            with pytest.raises(KeyRefusedError) as refused:
                stranger.request("echo", "x")
            assert refused.value.code == "ERR_MDP_KEY_REFUSED" and refused.value.details == {"service": "echo"}
        with Client([endpoint, endpoint.replace("127.0.0.1", "localhost")], curve=strange, strategy="freelance") as stranger:
            with pytest.raises(KeyRefusedError):
                stranger.request("echo", "x")
        with Worker(endpoint, "echo", lambda request: "", curve=strange) as worker:
            with pytest.raises(RequestTimeoutError, match="^'echo' is not registered.*the key was refused"):
                worker.ready(timeout_ms=2000)
        # One that expects another broker cannot tell more than that nobody answers it.
        other = Curve(zmq.curve_keypair()[0], mine.secret_key)
        with Client(endpoint, curve=other, timeout_ms=500) as stranger:
            with pytest.raises(UnreachableError, match="this broker's, and does the broker admit the key of this client"):
                stranger.request("echo", "x")
    finally:
        broker.kill()


def test_wrong_keys() -> None:
    with pytest.raises(OptionError):
        Curve("short", "short")
    with pytest.raises(OptionError):
        Curve.from_file("/nowhere", "x" * 40)


def test_client_and_worker_go_over_to_the_other_node(tmp_path: pathlib.Path) -> None:
    nodes = start_pair(tmp_path)
    endpoints = [node.endpoint for node in nodes]
    try:
        with Worker(endpoints, "echo", lambda request: request.value, retry_max_ms=200).ready():
            with Client(endpoints, timeout_ms=10_000, retry_max_ms=200) as client:
                assert client.request("echo", "before").text() == "before"
                job = client.enqueue("echo", "stored")
                assert job.result(timeout_ms=60_000).text() == "stored"
                nodes[0].kill()
                assert client.request("echo", "after").text() == "after"
                assert job.result(timeout_ms=60_000).text() == "stored"
    finally:
        for node in nodes:
            if node.process.poll() is None:
                node.kill()
