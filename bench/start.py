"""How long until ClaraCore listens and answers, what do verbs take, and how much memory does it take when idle?

`make bench-start`, or `python bench/start.py [--rounds 9] [CLARACORE ...]`: each program (by default this checkout's)
is started with two models and the web interface, in turns. Printed are the least and the median of each: until a
connection is taken, until the gateway answers, until the control plane does; verbs that ask the server, and that read
a configuration; memory a second after a page was fetched (smaps_rollup). `bare Python` does nothing: a measure of how
busy the machine is.
"""

from __future__ import annotations

import argparse
import http.client
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

CONFIG = """\
models:
  a: {cmd: 'llama-server --port ${PORT} -m /models/a.gguf'}
  b: {cmd: 'llama-server --port ${PORT} -m /models/b.gguf'}
"""
ASK = b'{"model":"nobody"}'
REQUEST = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(ASK), ASK)
)
VERBS = (["--version"], ["ps"], ["status"], ["config", "check", "config.yaml"], ["ports"])

Found = dict[str, list[float]]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def connected(port: int) -> socket.socket:
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except OSError:
            time.sleep(0.0005)


def get(port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", path)
    body = connection.getresponse().read()
    connection.close()
    return body


def memory_mb(pid: int) -> dict[str, float]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return {"resident": kilobytes["Rss"] / 1024, "of its own": kilobytes["Private_Dirty"] / 1024}


def once(program: str, folder: Path, found: Found) -> None:
    port = free_port()
    environ = {**os.environ, "XDG_STATE_HOME": str(folder / "state"), "HOME": str(folder)}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    begun = time.perf_counter()
    argv = [program, "--config", "config.yaml", "--listen", f"127.0.0.1:{port}"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen(argv, env=environ, cwd=folder, **quiet)
    with connected(port) as client:
        found["listens, ms"].append((time.perf_counter() - begun) * 1000)
        client.sendall(REQUEST)
        client.recv(100)
        found["gateway answers, ms"].append((time.perf_counter() - begun) * 1000)
    get(port, "/v1/models")
    found["control plane answers, ms"].append((time.perf_counter() - begun) * 1000)
    get(port, "/ui/")
    time.sleep(1.0)
    for what, megabytes in memory_mb(server.pid).items():
        found[f"memory {what}, MB"].append(megabytes)
    environ["CLARACORE_URL"] = f"http://127.0.0.1:{port}"
    for verb in VERBS:
        begun = time.perf_counter()
        subprocess.run([program, *verb], env=environ, cwd=folder, check=False, **quiet)
        found[f"{' '.join(verb)}, ms"].append((time.perf_counter() - begun) * 1000)
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    found["bare Python, ms"].append((time.perf_counter() - begun) * 1000)
    server.send_signal(signal.SIGTERM)
    server.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("programs", nargs="*", default=[str(Path(sys.executable).with_name("claracore"))])
    parser.add_argument("--rounds", type=int, default=9)
    chosen = parser.parse_args()
    programs = [str(Path(program).absolute()) for program in chosen.programs]
    found: dict[str, Found] = {program: defaultdict(list) for program in programs}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.yaml").write_text(CONFIG)
        for _ in range(chosen.rounds):
            for program in programs:
                once(program, Path(folder), found[program])
    for program, rows in found.items():
        print(f"{program:<34}    least   median")
        for what, values in rows.items():
            print(f"  {what:<32}{min(values):9.1f}{statistics.median(values):9.1f}")


if __name__ == "__main__":
    main()
