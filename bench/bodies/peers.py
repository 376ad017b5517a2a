"""A client and a worker of the Python SDK with large bodies. A run prints what `bench/generator.ts` reads (`LoadResult`).

    peers.py serve ENDPOINT
    peers.py load ENDPOINT OUTSTANDING SECONDS WARMUP_SECONDS BROKER_PID BODY_BYTES
"""

from __future__ import annotations

import json
import os
import pathlib
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "packages" / "python"))

from majordomo_client import Client, Worker  # noqa: E402


def cpu_seconds(pid: int) -> float:
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    user, system = stat[stat.rindex(")") + 2 :].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def load(endpoint: str, outstanding: int, seconds: float, warm_up: float, pid: int, size: int) -> None:
    body = b"x" * size
    took: "list[float]" = []
    is_over = threading.Event()

    def loop(client: Client) -> None:
        while not is_over.is_set():
            since = time.perf_counter()
            client.request("echo", body)
            took.append(time.perf_counter() - since)

    with Client(endpoint, timeout_ms=60_000) as client:
        threads = [threading.Thread(target=loop, args=(client,)) for _ in range(outstanding)]
        for each in threads:
            each.start()
        time.sleep(warm_up)
        took.clear()
        since, cpu, own = time.perf_counter(), cpu_seconds(pid), time.process_time()
        time.sleep(seconds)
        times, elapsed = sorted(took), time.perf_counter() - since
        own, cpu = time.process_time() - own, cpu_seconds(pid) - cpu
        resident = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        is_over.set()
        for each in threads:
            each.join()

    def us(share: float) -> float:
        return times[min(int(len(times) * share), len(times) - 1)] * 1e6 if times else 0

    result = {
        "requests": len(times),
        "seconds": elapsed,
        "p50Us": us(0.5),
        "p99Us": us(0.99),
        "p999Us": us(0.999),
        "loadCpuSeconds": own,
        "brokerCpuSeconds": cpu,
        "brokerResidentBytes": resident,
    }
    print(json.dumps(result), flush=True)


def serve(endpoint: str) -> None:
    """Prints ``ready`` after the first request."""

    def ask() -> None:
        with Client(endpoint) as client:
            client.request("echo", "are you there?")
        print("ready", flush=True)

    threading.Thread(target=ask).start()
    Worker(endpoint, "echo", lambda request: request.value, concurrency=4).run()


if __name__ == "__main__":
    kind, at, *numbers = sys.argv[1:]
    if kind == "serve":
        serve(at)
    else:
        outstanding, seconds, warm_up, pid, size = map(float, numbers)
        load(at, int(outstanding), seconds, warm_up, int(pid), int(size))
