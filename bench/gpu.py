"""What does a model really take on a graphics device, beside what ClaraCore's estimate says?

For each shape of gpu_models.py ClaraCore plans as `claracore setup` does, on the machine as it is; a llama-server is
started with the command that was written, and looked at when it is ready and once more after a prompt. Then it is
ended, by SIGTERM and by SIGKILL, and NVML is asked every 5 ms until the device shows the memory back. Last comes one
that asks for more than there is. Weights are zeros.

    make bench-gpu LLAMA_SERVER=/path/to/llama-server [GPU_OUT=measured.json] [GPU_SECONDS=300]
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "bench"))

from gpu_memory import Devices, Peak, breakdown, buffers, ram, seconds_until_back
from gpu_models import SHAPES, Shape, write_models

from claracore.core.config.command import split
from claracore.core.config.load import load
from claracore.core.fit.case import EMBEDDERS
from claracore.core.fit.places import RAM
from claracore.core.units import MIB
from claracore.host.engines.find import Engine, find_engine
from claracore.host.setup.machine import machine_for
from claracore.host.setup.request import SetupOptions, SetupRequest
from claracore.host.setup.write import SetupReport, write_setup

LOAD_SECONDS = 180
PROMPT_TOKENS = 3000
TELLING = ("--verbosity", "4")
"""llama-server says how large its buffers are only when it is asked to be talkative."""
TOO_MUCH = re.compile(r"--ctx-size \d+")
PICTURE = base64.b64decode(
    b"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


class Server:
    """One llama-server, what it logs, and how to ask it."""

    def __init__(self, cmd: str, log: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.words = [word.replace("${PORT}", str(self.port)) for word in split(cmd)] + [*TELLING]
        self.log = log
        self.begun = time.perf_counter()
        with log.open("wb") as stream:
            environment = {**os.environ, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
            self.process = subprocess.Popen(
                self.words, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, env=environment
            )

    def ready(self) -> float | None:
        """Wait until it answers, and return how long that took in seconds; None when it has ended or takes too long."""
        while (passed := time.perf_counter() - self.begun) < LOAD_SECONDS and self.process.poll() is None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.ask("GET", "/health")[0] == 200:
                    return passed
            time.sleep(0.02)
        return None

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LOAD_SECONDS)
        with contextlib.closing(connection):
            connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")

    def use(self, shape: Shape, *, embeds: bool) -> str:
        """Have it work as hard as one request can; returns "" or what went wrong."""
        tokens = min(PROMPT_TOKENS, (shape.context or PROMPT_TOKENS) - 64)
        if embeds:
            asked = [("/v1/embeddings", {"input": "x" * min(tokens, 2000)})]
        else:
            asked = [("/completion", {"prompt": "x" * tokens, "n_predict": 16, "ignore_eos": True})]
        if shape.projector:
            url = {"url": f"data:image/png;base64,{base64.b64encode(PICTURE).decode()}"}
            parts = [{"type": "image_url", "image_url": url}, {"type": "text", "text": "x"}]
            asked.append(("/v1/chat/completions", {"messages": [{"role": "user", "content": parts}], "max_tokens": 2}))
        wrong = []
        for path, body in asked:
            try:
                status, text = self.ask("POST", path, body)
            except (OSError, http.client.HTTPException) as error:
                status, text = 0, repr(error)
            if status != 200:
                wrong.append(f"{path}: {status} {text[:200]}")
        return "; ".join(wrong)

    def end(self, number: signal.Signals, devices: Devices, before: list[int]) -> dict[str, Any]:
        """Signal it; return the seconds until it is gone, and those until all its memory on devices is free again."""
        begun = time.perf_counter()
        self.process.send_signal(number)
        code = self.process.wait(60)
        gone = time.perf_counter() - begun
        left = [used - old for used, old in zip(devices.used(), before, strict=True)]
        back = seconds_until_back(devices, before)
        return {
            "signal": number.name,
            "exit_code": code,
            "gone_seconds": round(gone, 3),
            "left_mib_when_gone": [size // MIB for size in left],
            "back_seconds_after_gone": None if back is None else round(back, 3),
        }


def measure(shape: Shape, engine: Engine, devices: Devices, folder: Path) -> dict[str, Any]:
    write_models(shape, folder / "models")
    report = set_up(shape, engine, folder)
    if not report.catalog.chosen:
        return {"shape": shape.name, "error": "not configured", "refused": str(report.catalog.refused)[:500]}
    (item,) = report.catalog.chosen
    cmd = command_of(report)
    before = devices.used()
    row: dict[str, Any] = {
        "shape": shape.name,
        "verdict": item.placement.verdict.value,
        "settings": asdict(item.placement.settings),
        "told": [
            {"what": told.what, "place": "ram" if told.place == RAM else f"gpu{told.place}", "bytes": told.bytes}
            for told in item.placement.loaded.rows
        ],
        "used_before": before,
    }
    server = Server(cmd, folder / "server.log")
    row["command"] = " ".join(server.words)
    try:
        row |= life(server, shape, devices, before, embeds=item.candidate.facts.kind in EMBEDDERS)
    except (RuntimeError, OSError) as error:
        row |= {"error": str(error), "last_lines": server.log.read_text(errors="replace").splitlines()[-12:]}
    finally:
        server.process.kill()
        server.process.wait()
    text = server.log.read_text(errors="replace")
    row["buffers"], row["breakdown"] = buffers(text), breakdown(text)
    if shape.killed and "error" not in row:
        row["ends"].append(killed(cmd, devices, folder))
    return row


def life(server: Server, shape: Shape, devices: Devices, before: list[int], *, embeds: bool) -> dict[str, Any]:
    """From the start of a server to its end by SIGTERM."""
    with Peak(devices) as loading:
        seconds = server.ready()
    if seconds is None:
        raise RuntimeError(f"it did not get ready: exit code {server.process.poll()}")
    ready = look(server, devices, before, loading)
    with Peak(devices) as working:
        wrong = server.use(shape, embeds=embeds)
    used = look(server, devices, before, working)
    ends = [server.end(signal.SIGTERM, devices, before)]
    return {"ready_seconds": seconds, "ready": ready, "wrong": wrong, "used": used, "ends": ends}


def set_up(shape: Shape, engine: Engine, folder: Path) -> SetupReport:
    options = SetupOptions(vram_gb=shape.vram_gb, context=shape.context)
    return write_setup(SetupRequest([folder / "models"], folder / "config.yaml", options, engine, schema_dir=folder))


def command_of(report: SetupReport) -> str:
    config = load(report.text, file="config.yaml", env=os.environ).config
    assert config is not None
    (model,) = config.models.values()
    return model.cmd


def look(server: Server, devices: Devices, before: list[int], peak: Peak) -> dict[str, Any]:
    return {
        "by_process": devices.of(server.process.pid),
        "by_device": [used - old for used, old in zip(devices.used(), before, strict=True)],
        "peak": [most - old for most, old in zip(peak.used, before, strict=True)],
        "ram": ram(server.process.pid),
    }


def killed(cmd: str, devices: Devices, folder: Path) -> dict[str, Any]:
    before = devices.used()
    server = Server(cmd, folder / "killed.log")
    again = server.ready()
    return {**server.end(signal.SIGKILL, devices, before), "ready_seconds": again}


def too_much(engine: Engine, devices: Devices, folder: Path) -> dict[str, Any]:
    """A context that no device holds: how does the engine say so?"""
    shape = SHAPES[0]
    write_models(shape, folder / "models")
    cmd = TOO_MUCH.sub("--ctx-size 16000000", command_of(set_up(shape, engine, folder)))
    before = devices.used()
    server = Server(cmd, folder / "server.log")
    ready = server.ready()
    seconds = round(time.perf_counter() - server.begun, 3)
    row = {"ready_seconds": ready, "exit_code": server.process.poll(), "after_seconds": seconds}
    if server.process.poll() is None:
        server.end(signal.SIGKILL, devices, before)
    lines = server.log.read_text(errors="replace").splitlines()
    return {**row, "lines": [line for line in lines if re.search(r" [EW] |error|fail|memory", line)][-12:]}


def told_by_place(row: dict[str, Any]) -> Counter[str]:
    sums: Counter[str] = Counter()
    for told in row["told"]:
        sums[told["place"]] += told["bytes"]
    return sums


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Lines: per shape and device, MiB told, of llama.cpp's buffers, of the process when ready and after a prompt."""
    yield f"{'':66}{'told':>8}{'buffers':>9}{'ready':>8}{'used':>8}{'rest':>6}  ready in, back after TERM, KILL"
    for row in rows:
        if "error" in row:
            yield f"{row['shape']:66} {row['error']}"
            continue
        told = told_by_place(row)
        times = f"{row['ready_seconds']:.1f} s, " + ", ".join(
            f"{end['gone_seconds']:.2f}+{end['back_seconds_after_gone']} s" for end in row["ends"]
        )
        for index, taken in enumerate(row["ready"]["by_process"]):
            own = sum(row["buffers"].get(f"CUDA{index}", {}).values())
            ready = (taken if taken is not None else row["ready"]["by_device"][index]) // MIB
            after = row["used"]["by_process"][index]
            used = (after if after is not None else row["used"]["by_device"][index]) // MIB
            label = f"{row['shape']} ({row['settings']['context']}): gpu{index}"
            yield f"{label:66}{told[f'gpu{index}'] // MIB:8}{own:9.0f}{ready:8}{used:8}{ready - own:6.0f}  {times}"
        host = sum(sum(sizes.values()) for name, sizes in row["buffers"].items() if not re.match(r"CUDA\d", name))
        pss, later = row["ready"]["ram"]["Pss"] // MIB, row["used"]["ram"]["Pss"] // MIB
        yield f"{'  RAM':66}{told['ram'] // MIB:8}{host:9.0f}{pss:8}{later:8}{pss - host:6.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--llama-server", required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--logs", type=Path, help="keep the servers' logs in this folder")
    parser.add_argument("--seconds", type=float, default=600, help="begin no further shape after so long")
    parser.add_argument("--only", default="", help="those whose name has this in it")
    args = parser.parse_args()
    engine, devices, begun = find_engine(args.llama_server), Devices(), time.monotonic()
    rows: list[dict[str, Any]] = []
    found: dict[str, Any] = {
        "devices": [asdict(gpu) for gpu in machine_for(engine, SetupOptions()).gpus],
        "driver": devices.driver(),
        "engine": engine.version,
        "total_bytes": devices.total(),
        "idle_used": devices.used(),
        "shapes": rows,
    }
    with tempfile.TemporaryDirectory() as temporary:
        jobs = [shape for shape in SHAPES if args.only in shape.name]
        for number, shape in enumerate(jobs):
            if time.monotonic() - begun > args.seconds:
                print(f"no time for {shape.name}", flush=True)
                continue
            folder = Path(temporary) / str(number)
            folder.mkdir()
            try:
                rows.append(measure(shape, engine, devices, folder))
            except Exception as error:  # noqa: BLE001 - one shape must not cost the others
                rows.append({"shape": shape.name, "error": repr(error)})
            print("\n".join(table(rows[-1:])), flush=True)
            if number == 1:
                (Path(temporary) / "much").mkdir()
                found["too_much"] = too_much(engine, devices, Path(temporary) / "much")
            if args.logs:
                args.logs.mkdir(parents=True, exist_ok=True)
                for log in folder.glob("*.log"):
                    log.rename(args.logs / f"{number}-{log.name}")
            for file in (folder / "models").glob("*.gguf"):
                file.unlink()
            if args.out:
                args.out.write_text(json.dumps(found, indent=1) + "\n")
    print("\n".join(table(rows)))


if __name__ == "__main__":
    main()
