"""What does the gateway cost, next to nginx and next to no proxy at all?

`python bench/gateway.py [--rounds 3] [--seconds 3]`: needs `nginx` and `wrk` (Debian packages). Model server and load
on CPU 0, proxy alone on CPU 1; rounds are interleaved, medians are printed, CPU is that of the whole proxy process from
schedstat. The product runs with API keys, activity and metrics on; the last table switches them one by one.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).with_name("gateway")
LOAD_CPU, PROXY_CPU = "0", "1"
FEATURES = {
    "product": ["--keys", "--activity"],
    "bare": [],
    "keys": ["--keys"],
    "activity": ["--activity"],
    "filters": ["--filters"],
}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_for(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"nothing listens on {port}")


@contextmanager
def running(cpu: str, *command: str) -> Iterator[int]:
    process = subprocess.Popen(["taskset", "-c", cpu, *command])  # noqa: S607 - the caller's PATH
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def family(pid: int) -> list[int]:
    """The process and its children: nginx's worker is a child."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in family(int(child)))]


def cpu_seconds(pid: int) -> float:
    tasks = (task for each in family(pid) for task in Path(f"/proc/{each}/task").iterdir())
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def resident_mb(pid: int) -> float:
    sizes = (re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{each}/status").read_text()) for each in family(pid))
    return sum(int(size[1]) for size in sizes if size) / 1024


def load(*arguments: str, port: int) -> dict[str, float]:
    command = ["taskset", "-c", LOAD_CPU, sys.executable, str(HERE / "client.py"), *arguments, "--port", str(port)]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))


def wrk(port: int, seconds: int, spread: int) -> int:
    command = ["taskset", "-c", LOAD_CPU, "wrk", "-t1", "-c64", f"-d{seconds}", "-s", str(HERE / "chat.lua")]
    command.append(f"http://127.0.0.1:{port}/v1/chat/completions")
    environment = {**os.environ, "SPREAD": str(spread)}
    said = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    assert "Non-2xx" not in said, said
    found = re.search(r"(\d+) requests in", said)
    assert found, said
    return int(found[1])


class Subject:
    """One proxy (or none) under load."""

    def __init__(self, name: str, port: int, pid: int | None) -> None:
        self.name, self.port, self.pid = name, port, pid
        self.seen: dict[str, list[float]] = defaultdict(list)

    def measure_requests(self, seconds: int, spread: int) -> None:
        before = cpu_seconds(self.pid) if self.pid else 0
        count = wrk(self.port, seconds, spread)
        label = "same head" if spread == 1 else "different heads"
        if self.pid:
            self.seen[f"CPU us/request ({label})"].append((cpu_seconds(self.pid) - before) / count * 1e6)
        self.seen[f"requests/s ({label})"].append(count / seconds)

    def measure_streams(self, count: int, chunks: int, interval_ms: int) -> None:
        before = cpu_seconds(self.pid) if self.pid else 0
        arguments = ["--count", str(count), "--chunks", str(chunks), "--interval-ms", str(interval_ms)]
        seen = load("streams", *arguments, port=self.port)
        if self.pid:
            used = cpu_seconds(self.pid) - before
            self.seen[f"CPU us/chunk ({count} streams)"].append(used / seen["chunks"] * 1e6)
            self.seen[f"MB after {count} streams"].append(resident_mb(self.pid))

    def measure_latency(self) -> None:
        for name, value in load("one-by-one", port=self.port).items():
            self.seen[name].append(value)

    def measure_large(self) -> None:
        for name, value in load("large", "--count", "3", port=self.port).items():
            self.seen[f"20 MB, {name}"].append(value)

    def measure_idle(self) -> None:
        if self.pid:
            before = cpu_seconds(self.pid)
            time.sleep(2)
            self.seen["idle CPU ms/s"].append((cpu_seconds(self.pid) - before) / 2 * 1e3)


def table(subjects: list[Subject], peer: str) -> None:
    base = next((subject.seen for subject in subjects if subject.name == peer), {})
    rows = list(dict.fromkeys(row for subject in subjects for row in subject.seen))
    print(f"{'':38}" + "".join(f"{subject.name:>20}" for subject in subjects))
    for row in rows:
        cells = ""
        for subject in subjects:
            values = subject.seen.get(row)
            if not values:
                cells += f"{'-':>20}"
                continue
            value = statistics.median(values)
            reference = statistics.median(base[row]) if base.get(row) else 0
            ratio = f" {value / reference:5.2f}x" if reference and subject.name != peer else "       "
            cells += f"{value:>13.1f}{ratio}"
        print(f"{row:38}{cells}")


def nginx_configuration(folder: str, port: int, upstream: int) -> str:
    text = (HERE / "nginx.conf").read_text()
    for name, value in {"PIDFILE": f"{folder}/pid", "TEMPORARY": folder, "UPSTREAM": upstream, "PORT": port}.items():
        text = text.replace(name, str(value))
    path = Path(folder) / "nginx.conf"
    path.write_text(text)
    return str(path)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--streams", type=int, default=1000)
    given = parser.parse_args()
    for needed in ("nginx", "wrk"):
        if shutil.which(needed) is None:
            raise SystemExit(f"{needed} is missing: apt-get install nginx wrk")
    upstream = free_port()
    with (
        tempfile.TemporaryDirectory() as folder,
        running(LOAD_CPU, sys.executable, str(HERE / "upstream.py"), "--port", str(upstream)),
    ):
        wait_for(upstream)
        compare(folder, upstream, given)
        features(upstream, given)


def compare(folder: str, upstream: int, given: argparse.Namespace) -> None:
    ports = {"nginx": free_port(), "product": free_port()}
    configuration = nginx_configuration(folder, ports["nginx"], upstream)
    product = [str(HERE / "product.py"), "--port", str(ports["product"]), "--upstream", str(upstream)]
    with (
        running(PROXY_CPU, "nginx", "-c", configuration) as nginx,
        running(PROXY_CPU, sys.executable, *product, *FEATURES["product"]) as ours,
    ):
        for port in ports.values():
            wait_for(port)
        subjects = [
            Subject("direct", upstream, None),
            Subject("nginx", ports["nginx"], nginx),
            Subject("ClaraCore", ports["product"], ours),
        ]
        for _ in range(given.rounds):
            for subject in subjects:
                subject.measure_latency()
                subject.measure_requests(given.seconds, 1)
                subject.measure_requests(given.seconds, 3000)
                subject.measure_streams(given.streams, 20, 100)
                subject.measure_streams(given.streams // 2, 50, 20)
                subject.measure_large()
        for subject in subjects:
            subject.measure_idle()
        table(subjects, "nginx")


def features(upstream: int, given: argparse.Namespace) -> None:
    print("\nWhat each feature costs")
    subjects = []
    for name, flags in FEATURES.items():
        port = free_port()
        product = [str(HERE / "product.py"), "--port", str(port), "--upstream", str(upstream), *flags]
        with running(PROXY_CPU, sys.executable, *product) as pid:
            wait_for(port)
            subject = Subject(name, port, pid)
            for _ in range(given.rounds):
                subject.measure_requests(given.seconds, 1)
                subject.measure_streams(given.streams // 4, 20, 100)
            subjects.append(subject)
    table(subjects, "bare")


if __name__ == "__main__":
    main()
