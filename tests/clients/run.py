"""Which clients work against this ClaraCore, unmodified, tools included?

    python tests/clients/run.py                  all that are small
    python tests/clients/run.py codex aider      these
    python tests/clients/run.py --record         and keep what was run for docs/clients

Installs them (`clients.toml`), starts a real ClaraCore in front of a model that plays a script (`engine.py`), and gives
each client its recipe. Where it may, it does so in a network of its own that has nothing but loopback.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from clients.cases import CASES, WITHOUT_TOOLS
from clients.install import PLACE, Client, clients, install
from clients.world import MODEL, Failed, World
from e2e.instance import Instance, configured, instance
from fakes.ports import free_run

HERE = Path(__file__).resolve().parent
RUNS = HERE / "runs.json"
ALONE = "CLARACORE_CLIENTS_ALONE"
"""Set where we are in a network of our own already."""


def main() -> int:
    """Run the clients; return 1 when one of them failed."""
    parser = argparse.ArgumentParser(description="Run clients against ClaraCore.")
    parser.add_argument("names", nargs="*", help="which clients; all that are small without one")
    parser.add_argument("--record", action="store_true", help="keep what was run in runs.json, for docs/clients")
    chosen = parser.parse_args()
    table = clients()
    if unknown := set(chosen.names) - table.keys():
        parser.error(f"no such client: {', '.join(sorted(unknown))}")
    wanted = [
        client
        for name, client in table.items()
        if name in CASES and (name in chosen.names or (not chosen.names and not client.big))
    ]
    if not os.environ.get(ALONE):
        failed = install(wanted)
        return alone(failed)
    not_installed = json.loads(os.environ[ALONE])
    results = run_all([client for client in wanted if client.name not in not_installed])
    report(table, results, not_installed, chosen.names)
    if chosen.record:
        record(table, results)
    return 1 if any(results.values()) or not_installed else 0


def alone(failed: dict[str, str]) -> int:
    """Run this program again where there is no network but loopback, if this machine lets us.

    What clients leave running (Cline starts a daemon) ends with it: it has its own process ids.
    """
    unshare = shutil.which("unshare")
    own = ("--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--map-root-user")
    apart = [unshare, *own, "bash", "-c", 'ip link set lo up && exec "$@"', "_"] if unshare else []
    if apart and subprocess.run([*apart, "true"], capture_output=True, check=False).returncode:
        apart = []
    if not apart:
        print("these clients could reach other machines: this one has no `unshare --net` for us")
    argv = [*apart, sys.executable, *sys.argv]
    return subprocess.run(argv, env={**os.environ, ALONE: json.dumps(failed)}, check=False).returncode


def run_all(wanted: list[Client]) -> dict[str, str]:
    """Run clients one after another; return what was wrong by name, empty for nothing."""
    results = {}
    for client in wanted:
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(prefix=f"claracore-{client.name}-", ignore_cleanup_errors=True) as folder:
            try:
                results[client.name] = run_one(client, Path(folder))
            except Failed as failure:
                results[client.name] = str(failure)
        verdict = results[client.name] or "works"
        print(f"{client.name:20} {time.monotonic() - begun:5.1f} s  {verdict}", flush=True)
    return results


def run_one(client: Client, folder: Path) -> str:
    """Run one client; return what was wrong, empty for nothing. Raises Failed."""
    word = f"pelican-{os.getpid()}{int(time.time()) % 1000}"
    home, work = folder / "home", folder / "work"
    home.mkdir()
    work.mkdir()
    (work / "note.txt").write_text(f"The word is {word}.\n")
    log = folder / "asked.jsonl"
    with server(folder, work, log) as running:
        world = World(running.url, work, home, log, PLACE / client.folder)
        said = CASES[client.name](world)
        looked_for = WITHOUT_TOOLS.get(client.name, word)
        if looked_for not in said:
            asked = [(row["path"], row["tools"][:3]) for row in world.asked()]
            return f"{looked_for!r} is not in what it said: {said.strip()[-600:]!r}; the engine was asked {asked}"
        if sizes := [row["bytes"] for row in world.asked() if row["bytes"] > 5000]:
            print(f"{client.name:20} sends {sizes[0]:,} bytes before it has done anything")
        if errors := [line for line in running.lines if "Traceback" in line]:
            return f"ClaraCore printed {errors}"
    return ""


@contextmanager
def server(folder: Path, work: Path, log: Path) -> Iterator[Instance]:
    """Run a ClaraCore with the scripted model."""
    words = [sys.executable, str(HERE / "engine.py"), "--port", "${PORT}", "--folder", str(work), "--log", str(log)]
    command = " ".join(f'"{word}"' for word in words)
    able = "{in: [text], out: [text], tools: true, context: 65536}"
    port = free_run(4).start
    configured(folder, f"startPort: {port}\nmodels:\n  {MODEL}:\n    cmd: '{command}'\n    capabilities: {able}\n")
    with instance(folder) as running:
        yield running


def report(table: dict[str, Client], results: dict[str, str], failed: dict[str, str], names: list[str]) -> None:
    """Print who was run and who was not, and why."""
    print()
    for name, client in table.items():
        why = failed.get(name) or client.not_run or ("big: name it" if client.big else "has no case yet")
        if name not in results and not names:
            print(f"not run: {client.title}: {why}")
    wrong = sum(bool(error) for error in results.values())
    print(f"{len(results) - wrong} passed, {wrong} failed")


def record(table: dict[str, Client], results: dict[str, str]) -> None:
    """Keep which version of which client worked when."""
    runs = json.loads(RUNS.read_text()) if RUNS.exists() else {}
    today = datetime.now(UTC).date().isoformat()
    for name, error in results.items():
        runs.pop(name, None)
        if not error:
            runs[name] = {"version": table[name].version or "as it is", "date": today}
    RUNS.write_text(json.dumps(runs, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    sys.exit(main())
