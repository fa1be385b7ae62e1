"""What does the gateway cost, next to nginx and next to no proxy at all?

`make bench-gateway`, or `python bench/gateway.py [--rounds 5] [--seconds 2] [--only requests streams]`: needs `nginx`
and `wrk` (Debian packages). Model server and load on CPU 0, proxy alone on CPU 1; rounds are interleaved, medians are
printed, CPU is that of the whole proxy process, all threads, from schedstat. ClaraCore is the product as it is
installed and started: compiled (`make compiled`), command line, supervisor, API keys, activity in SQLite, metrics.
`not compiled` is the same from the checkout. The last table leaves parts out.
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
from contextlib import ExitStack, contextmanager
from pathlib import Path

HERE = Path(__file__).with_name("gateway")
COMPILED = Path(__file__).parents[1] / ".compiled" / "bin" / "python"
LOAD_CPU, PROXY_CPU = "0", "1"
WHAT = ("latency", "requests", "streams", "ollama", "large", "idle")
KEYS = "apiKeys: [secret]\n"
CONFIGURATION = """\
hooks: {on_startup: {preload: [smol]}}
models:
  smol:
    proxy: http://127.0.0.1:UPSTREAM
    checkEndpoint: none
"""
FILTERS = "    useModelName: other\n    filters: {stripParams: seed, setParams: {temperature: 0.7}}\n"
FEATURES = {
    "product": KEYS + CONFIGURATION,
    "without keys": CONFIGURATION,
    "with filters": KEYS + CONFIGURATION + FILTERS,
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
def running(cpu: str, *command: str, **environment: str) -> Iterator[int]:
    process = subprocess.Popen(["taskset", "-c", cpu, *command], env={**os.environ, **environment})  # noqa: S607 - the caller's PATH
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait()


@contextmanager
def product(port: int, upstream: int, configuration: str, python: str = str(COMPILED)) -> Iterator[int]:
    """`claracore` with an external model server, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        path.write_text(configuration.replace("UPSTREAM", str(upstream)))
        command = [python, "-m", "claracore", "--config", str(path), "--listen", f"127.0.0.1:{port}"]
        with running(PROXY_CPU, *command, "--log-level", "error", XDG_STATE_HOME=folder, XDG_RUNTIME_DIR=folder) as pid:
            wait_for(port)
            yield pid


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


def client_command(*arguments: str, port: int) -> list[str]:
    return ["taskset", "-c", LOAD_CPU, sys.executable, str(HERE / "client.py"), *arguments, "--port", str(port)]


def load(*arguments: str, port: int) -> dict[str, float]:
    done = subprocess.run(client_command(*arguments, port=port), check=True, capture_output=True)
    return dict(json.loads(done.stdout))


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

    def measure_streams(self, count: int, seconds: int, interval_ms: int) -> None:
        us_per_chunk, most_mb = self._streams(count, seconds, interval_ms, "/v1/chat/completions")
        if self.pid:
            self.seen[f"CPU us/chunk ({count} streams, {1000 // interval_ms}/s)"].append(us_per_chunk)
            self.seen[f"MB with {count} streams"].append(most_mb)

    def measure_ollama(self, count: int, seconds: int, interval_ms: int) -> None:
        """The same streams, passed on as they are and as Ollama's clients get them."""
        rate = f"({count} streams, {1000 // interval_ms}/s)"
        passed, _ = self._streams(count, seconds, interval_ms, "/v1/chat/completions")
        lines, _ = self._streams(count, seconds, interval_ms, "/api/chat")
        self.seen[f"passed on, CPU us/chunk {rate}"].append(passed)
        self.seen[f"Ollama, CPU us/chunk {rate}"].append(lines)
        self.seen[f"Ollama, times passing on {rate}"].append(lines / passed)

    def _streams(self, count: int, seconds: int, interval_ms: int, path: str) -> tuple[float, float]:
        chunks = seconds * 1000 // interval_ms
        arguments = ["--count", str(count), "--chunks", str(chunks), "--interval-ms", str(interval_ms), "--path", path]
        client = subprocess.Popen(client_command("streams", *arguments, port=self.port), stdout=subprocess.PIPE)
        assert client.stdout is not None
        used, most_mb = [], 0.0
        for said in (b"begun\n", b"ending\n"):
            assert client.stdout.readline() == said
            if self.pid:
                used.append(cpu_seconds(self.pid))
                most_mb = max(most_mb, resident_mb(self.pid))
        seen = json.loads(client.stdout.read())
        client.wait()
        return (used[1] - used[0]) / seen["chunks"] * 1e6 if used else 0.0, most_mb

    def measure_latency(self) -> None:
        for name, value in load("one-by-one", port=self.port).items():
            self.seen[name].append(value)

    def measure_large(self) -> None:
        for name, value in load("large", "--count", "3", port=self.port).items():
            self.seen[f"20 MB, {name}"].append(value)

    def measure_idle(self) -> None:
        if self.pid:
            before = cpu_seconds(self.pid)
            time.sleep(5)
            self.seen["idle CPU ms/s"].append((cpu_seconds(self.pid) - before) / 5 * 1e3)


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
            cells += f"{value:>13.2f}{ratio}"
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
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--only", nargs="*", choices=WHAT, default=WHAT)
    parser.add_argument("--no-features", action="store_true", help="leave out the last table")
    given = parser.parse_args()
    for needed in ("nginx", "wrk"):
        if shutil.which(needed) is None:
            raise SystemExit(f"{needed} is missing: apt-get install nginx wrk")
    if not COMPILED.exists():
        raise SystemExit("ClaraCore is measured as it is installed: make compiled")
    upstream = free_port()
    with (
        tempfile.TemporaryDirectory() as folder,
        running(LOAD_CPU, sys.executable, str(HERE / "upstream.py"), "--port", str(upstream)),
    ):
        wait_for(upstream)
        compare(folder, upstream, given)
        if not given.no_features:
            features(upstream, given)


def compare(folder: str, upstream: int, given: argparse.Namespace) -> None:
    nginx_port = free_port()
    configuration = nginx_configuration(folder, nginx_port, upstream)
    with ExitStack() as stack:
        nginx = stack.enter_context(running(PROXY_CPU, "nginx", "-c", configuration))
        wait_for(nginx_port)
        subjects = [Subject("direct", upstream, None), Subject("nginx", nginx_port, nginx)]
        for name, python in (("ClaraCore", COMPILED), ("not compiled", Path(sys.executable))):
            port = free_port()
            ours = stack.enter_context(product(port, upstream, FEATURES["product"], str(python)))
            subjects.append(Subject(name, port, ours))
        for _ in range(given.rounds):
            for subject in subjects:
                measure(subject, given)
        if "idle" in given.only:
            time.sleep(10)  # The performance page's samples (every 5 s) belong to it; start-up and its ends do not.
            for subject in subjects:
                subject.measure_idle()
        table(subjects, "nginx")


def measure(subject: Subject, given: argparse.Namespace) -> None:
    if "latency" in given.only:
        subject.measure_latency()
    if "requests" in given.only:
        subject.measure_requests(given.seconds, 1)
        subject.measure_requests(given.seconds, 3000)
    if "streams" in given.only:
        subject.measure_streams(given.streams, 3, 100)
        subject.measure_streams(given.streams // 2, 3, 20)
    if "ollama" in given.only and subject.name not in {"direct", "nginx"}:
        subject.measure_ollama(given.streams // 2, 3, 20)
        subject.measure_ollama(given.streams // 10, 3, 20)
    if "large" in given.only:
        subject.measure_large()


def features(upstream: int, given: argparse.Namespace) -> None:
    print("\nWhat each part costs")
    alone_port = free_port()
    alone = [str(COMPILED), str(HERE / "product.py"), "--port", str(alone_port), "--upstream", str(upstream)]
    with ExitStack() as stack:
        subjects = [Subject("gateway alone", alone_port, stack.enter_context(running(PROXY_CPU, *alone)))]
        wait_for(alone_port)
        for name, configuration in FEATURES.items():
            port = free_port()
            subjects.append(Subject(name, port, stack.enter_context(product(port, upstream, configuration))))
        for _ in range(given.rounds):
            for subject in subjects:
                subject.measure_requests(given.seconds, 1)
                subject.measure_streams(given.streams // 4, 3, 100)
        table(subjects, "gateway alone")


if __name__ == "__main__":
    main()
