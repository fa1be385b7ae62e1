"""What does a person have who follows a page? A home with models and files, programs, and a server that runs.

`claracore` there is this one: what serves is started, ready and ended (`served.py`), what goes on until Ctrl-C is
interrupted (`lasting.py`). `make` is the real one, which prints what it would do (`--dry-run`).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from docs.fences import ROOT, Fence
from zoo.stores import OllamaFolder, filled

MODEL = ROOT / ".models" / "smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf"
SECONDS, LONG_SECONDS = 100, 900
"""For one fence."""
CLARACORE = f"""\
#!/bin/bash
case "$1" in
  --version|--help|-h|--install-completion|--show-completion) ;;
  serve|-*|"") exec {sys.executable} {ROOT}/tests/docs/served.py "$@" ;;
esac
case " $* " in
  " top "*|" engine -m "*|*" --follow "*|*" -f "*) exec {sys.executable} {ROOT}/tests/docs/lasting.py "$@" ;;
esac
{sys.executable} -m claracore "$@"
code=$?
case "$1 $2" in
  doctor*|"ports why") [ $code = 1 ] && code=0 ;; # an answer, as docs/reference/command-line.md says
esac
exit $code
"""
MAKE = f"""\
#!/bin/bash
exec /usr/bin/make --dry-run --directory {ROOT} "$@" >/dev/null
"""
CONFIG = """\
models:
  qwen:
    cmd: llama-server --port ${{PORT}} -m {model} -c 2048 -np 1 -t 1
    aliases: [smollm2-135m-instruct, qwen3-8b, chat]
  embed:
    cmd: llama-server --port ${{PORT}} -m {model} -c 512 -t 1 --embeddings --pooling last
  rerank:
    cmd: llama-server --port ${{PORT}} -m {model} -c 512 -t 1 --reranking
groups:
  search: {{members: [embed, rerank, qwen], swap: false}}
"""
OLD = """\
healthCheckTimeout: 300
logRequests: true
startPort: 5800
downloadDir: ./downloads
macros:
  "llama-server-base": >
    llama-server --host 127.0.0.1 --port ${{PORT}}
models:
  "qwen-q4":
    name: "Qwen"
    cmd: |
      ${{llama-server-base}}
      --model {model}
      --ctx-size 2048
    proxy: "http://127.0.0.1:${{PORT}}"
    ttl: 300
groups:
  "large": {{swap: true, exclusive: true, startPort: 8200, members: ["qwen-q4"]}}
"""
"""As the first ClaraCore wrote it."""
CONFIGS = (
    ".config/claracore/config.yaml",
    "llama-swap/config.yaml",
    "work/config.yaml",
    "work/my.yaml",
    "work/new.yaml",
)
MODELS = (
    "models/qwen.gguf",
    "models/qwen3-8b.gguf",
    ".lmstudio/models/qwen/Qwen3-8B-GGUF/Qwen3-8B-Q4_K_M.gguf",
    "work/model.gguf",
)


@dataclass(frozen=True)
class House:
    """A folder in which pages are followed, and the address of the server that runs."""

    folder: Path
    url: str

    @classmethod
    def furnished(cls, folder: Path, url: str, log: Path) -> House:
        """Make a home with programs, models and the files that pages name; `log` is the server's debug log."""
        programs, home = folder / "bin", folder / "home"
        for name, text in (("claracore", CLARACORE), ("make", MAKE)):
            programs.mkdir(parents=True, exist_ok=True)
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        for name in ("python", "python3"):
            (programs / name).symlink_to(sys.executable)
        for place in MODELS:
            (home / place).parent.mkdir(parents=True, exist_ok=True)
            (home / place).symlink_to(MODEL)
        OllamaFolder(home / ".ollama" / "models").pull("llama3.2:latest", model=filled())
        for place in CONFIGS:
            (home / place).parent.mkdir(parents=True, exist_ok=True)
            (home / place).write_text(CONFIG.format(model=home / MODELS[0]))
        (folder / "said").write_text("Say hello.\n")
        test = home / "work" / "tests" / "scheduler" / "test_recorded.py"
        test.parent.mkdir(parents=True)
        test.write_text("def test_what_was_recorded() -> None:\n    pass\n")
        (home / "old-claracore").mkdir()
        (home / "old-claracore" / "config.yaml").write_text(OLD.format(model=home / MODELS[0]))
        (home / "work" / ".venv").symlink_to(sys.prefix)
        (home / "work" / "debug.log").symlink_to(log)
        return cls(folder, url)

    def environment(self) -> dict[str, str]:
        """Return what programs there see; nothing of ours but what Python needs."""
        home = self.folder / "home"
        kept = {name: value for name, value in os.environ.items() if name in {"LANG", "LC_ALL", "TMPDIR", "PYTHONPATH"}}
        return {
            **kept,
            "HOME": str(home),
            "PATH": f"{self.folder / 'bin'}:/usr/sbin:/usr/bin:/sbin:/bin",
            "CLARACORE_URL": self.url,
            "XDG_RUNTIME_DIR": str(home),
            "NO_COLOR": "1",
        }

    def put(self, fence: Fence) -> None:
        """Write the file that a fence names, unless it belongs to the machine."""
        if fence.name.startswith("/"):
            return
        path = (self.folder / "home" / "work" / Path(fence.name.replace("~", str(self.folder / "home")))).resolve()
        assert path.is_relative_to(self.folder), f"{fence.place}: {fence.name} is not in a home"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.here(fence.text), encoding="utf-8")

    def follow(self, fence: Fence) -> None:
        """Do what a fence says. Raises AssertionError with what was printed."""
        program = ["bash", "-e", "-o", "pipefail"] if fence.is_shell else [sys.executable]
        with (
            (self.folder / "said").open() as said,
            subprocess.Popen(
                [*program, "-c", self.here(fence.commands)],
                cwd=self.folder / "home" / "work",
                env=self.environment(),
                stdin=said,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            ) as process,
        ):
            try:
                printed, _nothing = process.communicate(timeout=LONG_SECONDS if fence.is_long else SECONDS)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
        assert process.returncode == 0, f"{fence.place}: exit code {process.returncode}\n{fence.text}\n{printed}"

    def here(self, text: str) -> str:
        """Return a text with the address of the server that runs in the place of the usual one."""
        for usual in ("127.0.0.1:5800", "localhost:5800"):
            text = text.replace(usual, urlsplit(self.url).netloc)
        return text
