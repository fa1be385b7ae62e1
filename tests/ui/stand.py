"""What do the tests of the interface run against? A real ClaraCore with real models, in a folder of its own."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from e2e.instance import on_one_processor
from fakes import SCRIPT

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / ".models"
SMOLLM2 = MODELS / "smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf"
GEMMA = MODELS / "gemma" / "gemma-3-270m-q4_k_m.gguf"
STATIC = ROOT / "src" / "claracore" / "http" / "web" / "static" / "index.html"
AXE = ROOT / "ui" / "node_modules" / "axe-core" / "axe.min.js"
ARTEFACTS = ROOT / "artefacts" / "ui"

# One thread: on a machine with other work two that wait for each other are far slower than one.
ENGINE = f'"{sys.executable}" -P -m claracore engine --host 127.0.0.1 --port ${{PORT}} --reuse-port'
ENGINE += " --fit off --no-warmup"
FAKE = f'"{sys.executable}" -E -S "{SCRIPT}" --host 127.0.0.1 --port ${{PORT}} --reuse-port'
"""Ready at once, and it says nothing of its own: for what does not depend on the model."""


SMALL = """\
  embed:
    cmd: ${engine} --model "MODEL" --ctx-size 512 --threads 1 --embeddings --pooling mean
  rank:
    cmd: ${engine} --model "MODEL" --ctx-size 512 --threads 1 --reranking
""".replace("MODEL", str(SMOLLM2))
"""The small model as what else a model may be: its numbers mean little, but the engine's answers are the real ones."""

ODD = """\
  seer:
    cmd: ${engine}
    capabilities: {in: [text, image], out: [text]}
  slow:
    cmd: ${engine} --ready-after 600
"""
"""What neither small model is: one that sees, and one that takes long to load. For the fake engine."""


def config(*, start_port: int, models: str = "", more: str = "", engine: str = ENGINE) -> str:
    """Two models of which one is loaded at a time; `models` are more of them, `more` is YAML at the top level."""
    return f"""\
startPort: {start_port}
macros:
  engine: '{engine}'
models:
  smollm2:
    name: SmolLM2 135M
    cmd: |
      ${{engine}} --model "{SMOLLM2}"
      --ctx-size 2048 --threads 1 --jinja
    ttl: 600
    capabilities: {{in: [text], out: [text], context: 2048}}
  gemma:
    cmd: |
      ${{engine}} --model "{GEMMA}"
      --ctx-size 2048 --threads 1
    capabilities: {{in: [text], out: [text], context: 2048}}
{models}groups:
  one-at-a-time:
    swap: true
    members: [smollm2, gemma]
{more}"""


@dataclass
class Server:
    """One ClaraCore; may be stopped and started again on the same port."""

    folder: Path
    listen: str = "127.0.0.1:0"
    arguments: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    run_by: tuple[str, ...] = ()
    """A command that runs it."""
    named_config: bool = True
    """Otherwise it is started as by somebody who has none."""
    url: str = ""
    _process: subprocess.Popen[str] | None = None

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.folder / "config.yaml"

    def start(self) -> None:
        """Start it and wait until it accepts requests."""
        environ = {**os.environ, **self.environ, "XDG_STATE_HOME": str(self.folder / "state"), "PYTHONUNBUFFERED": "1"}
        config = ("--config", self.config) if self.named_config else ()
        with (self.folder / "stderr").open("a") as errors:
            self._process = subprocess.Popen(
                [*self.run_by, sys.executable, "-m", "claracore", *config, "--listen", self.listen, *self.arguments],
                cwd=self.folder,
                env=environ,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if found := re.search(r"ClaraCore .* serves .* on (http://\S+)", line):
                self.url = found[1]
                self.listen = self.url.removeprefix("http://")
                return
        raise AssertionError(f"it did not start: {(self.folder / 'stderr').read_text()}")

    def kill(self) -> None:
        """End it without a word, and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def stop(self) -> None:
        """End it and wait until it is gone."""
        if self._process is not None:
            self._process.terminate()
            self._process.communicate()
            self._process = None


@contextlib.contextmanager
def serving(folder: Path, text: str | None, *arguments: str) -> Iterator[Server]:
    """Serve a configuration, or begin without one, for the length of a block."""
    run_by = on_one_processor() if text is None else ()  # what is set up then has as many threads as it finds
    server = Server(folder, arguments=arguments, named_config=text is not None, run_by=run_by)
    if text is not None:
        server.config.write_text(text)
    with started(server):
        yield server


@contextlib.contextmanager
def from_nothing(folder: Path, *arguments: str, **environ: str) -> Iterator[Server]:
    """Serve as for somebody who has nothing yet, in a home of their own, for the length of a block."""
    own = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "config"), "XDG_DATA_HOME": str(folder / "data")}
    with started(Server(folder, arguments=arguments, environ={**own, **environ}, named_config=False)) as server:
        yield server


@contextlib.contextmanager
def started(server: Server) -> Iterator[Server]:
    """Have a server run for the length of a block."""
    server.start()
    try:
        yield server
    finally:
        server.stop()
