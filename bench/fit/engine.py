"""How do we ask llama.cpp what it would reserve, on devices that this machine does not have?

`build` compiles oracle.cpp against llama.cpp's source and its built libraries; an `Oracle` is that program, running.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

FOLDERS = ("include", "common", "ggml/include", "ggml/src", "src", "vendor", "tools/mtmd")
LIBRARIES = ("llama-common", "llama", "mtmd", "ggml", "ggml-cpu", "ggml-base")
SOURCE = Path(__file__).with_name("oracle.cpp")


class OracleError(Exception):
    """llama.cpp refuses a request, or ended while it answered."""


def build(source: Path, built: Path, program: Path) -> Path:
    """Compile the oracle, if it is older than its source. Raises subprocess.CalledProcessError."""
    if program.exists() and program.stat().st_mtime > SOURCE.stat().st_mtime:
        return program
    libraries = built / "bin"
    includes = [f"-I{source / name}" for name in FOLDERS]
    linked = [f"-L{libraries}", *(f"-l{name}" for name in LIBRARIES), f"-Wl,-rpath,{libraries}"]
    compiler = [os.environ.get("CXX", "g++"), "-std=c++17", "-O1"]
    subprocess.run([*compiler, "-o", str(program), str(SOURCE), *includes, *linked], check=True)
    return program


def build_number(source: Path) -> str:
    """Return llama.cpp's build number, `b11434`: a checkout's count of commits, or what a package of it is called."""
    found = re.search(r"-(\d{4,6})\.\d+\.\d+", str(source.resolve()))
    if found:
        return f"b{found[1]}"
    git = shutil.which("git") or "git"
    count = subprocess.run(
        [git, "-C", str(source), "rev-list", "--count", "HEAD"], capture_output=True, text=True, check=True
    )
    return f"b{count.stdout.strip()}"


class Oracle:
    """The running program: one request, one answer. Started anew when llama.cpp ends it."""

    def __init__(self, program: Path) -> None:
        self.program = program
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the program."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return llama.cpp's answer. Raises OracleError."""
        if self.process is None:
            self.process = subprocess.Popen(
                [str(self.program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            line = next((line for line in self.process.stdout if line.startswith("{")), "")
        except BrokenPipeError:
            line = ""
        if not line:
            errors = self.process.communicate()[1]
            self.process = None
            raise OracleError(f"llama.cpp ended: {request}\n{errors[-1000:]}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise OracleError(f"{answer['error']}: {request}")
        return answer
