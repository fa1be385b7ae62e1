"""Logs of real servers that did not start (llama-server b11434, tests/loading/logs), and what is made of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from claracore.core.loading.explain import explain, not_started
from claracore.core.loading.failure_kinds import TELLING, FailureKind, plain_line
from claracore.core.loading.known_failures import KNOWN
from claracore.errors import Explained

LOGS = Path(__file__).parent / "logs"
SMOLLM2 = Path(__file__).resolve().parents[2] / ".models" / "smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf"
MEANINGS = {
    "architecture": (FailureKind.OLD_ENGINE, "the engine does not know models of the kind qwen9moe"),
    "closed": (FailureKind.CLOSED_FILE, "noread.gguf may not be read by the user whom ClaraCore runs as"),
    "cut": (FailureKind.CUT, "the file is cut off or damaged"),
    "device": (FailureKind.DEVICE, "the engine has no device CUDA0"),
    "draft": (FailureKind.NO_FILE, "nothere.gguf is not there"),
    "empty": (FailureKind.NOT_A_MODEL, "the file is empty, or a folder"),
    "flag": (FailureKind.FLAG, "the engine does not know the flag --no-such-flag"),
    "folder": (FailureKind.NOT_A_MODEL, "the file is empty, or a folder"),
    "head_cut": (FailureKind.CUT, "the file is cut off or damaged"),
    "later_part": (FailureKind.SHARD, "the command names a later part of a model that comes in several files"),
    "library": (FailureKind.LIBRARY, "the engine needs libllama-server-impl.so, which is not installed here"),
    "lora": (FailureKind.NO_FILE, "nothere.gguf is not there"),
    "no_file": (FailureKind.NO_FILE, "nothere.gguf is not there"),
    "no_gguf": (FailureKind.NOT_A_MODEL, "the file is no GGUF"),
    "no_projector": (
        FailureKind.PROJECTOR,
        "/models/SmolLM2-135M-Instruct.Q4_1.gguf is no projector that the engine can read",
    ),
    "no_tensor": (FailureKind.CUT, "the file lacks a part of the model, or the engine is too old for it"),
    "number": (FailureKind.VALUE, "the value of --ctx-size is no number"),
    "projector": (
        FailureKind.PROJECTOR,
        "the file is a projector, which lets a model see or hear, and no model",
    ),
    "renamed_part": (FailureKind.SHARD, "the command names a later part of a model that comes in several files"),
    "split": (FailureKind.SHARD, "a part of the model is missing: m-00002-of-00002.gguf"),
    "template": (FailureKind.NO_FILE, "nothere.jinja, which --chat-template-file names, is not there"),
    "tensor_type": (FailureKind.OLD_ENGINE, "the engine does not know how the file's numbers are stored"),
    "value": (
        FailureKind.VALUE,
        "the engine does not take the value of --cache-type-k (Unsupported cache type: q9)",
    ),
    "version": (FailureKind.OLD_ENGINE, "the file's format is newer than the engine"),
}
ELSEWHERE = {"memory", "port"}
"""What `core.memory.allocation_errors` and `core.ports.bindfail` read."""


def read(name: str) -> list[str]:
    return (LOGS / f"{name}.log").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("name", sorted(path.stem for path in LOGS.glob("*.log")))
def test_what_a_real_log_means(name: str) -> None:
    lines = [line for line in read(name) if TELLING.search(line)]  # as they are kept
    found = explain(lines)
    if name in ELSEWHERE:
        assert found is None
        return
    assert found is not None
    assert (found.kind, found.cause) == MEANINGS[name]
    assert any(found.evidence in line for line in read(name)), "evidence is a line of the log"
    assert plain_line(found.evidence) == found.evidence
    assert found.way_out[0].isupper()


@pytest.mark.parametrize(("name", "word"), [("cut", "its end is missing"), ("head_cut", "at its beginning")])
def test_what_is_damaged_is_told_where(name: str, word: str) -> None:
    found = explain(read(name))
    assert found is not None
    assert word in found.way_out


OTHERS = [
    ("error: unknown argument: --no-webui", FailureKind.FLAG, "--no-webui"),
    ("vllm: error: unrecognized arguments: --kv-cache 7", FailureKind.FLAG, "--kv-cache"),
    (
        "error: unknown flag --nope (see --help)",
        FailureKind.FLAG,
        "--nope",
    ),
    (
        "./llama-server: error while loading shared libraries: libcudart.so.12: cannot open shared object file",
        FailureKind.LIBRARY,
        "libcudart.so.12",
    ),
    ("Error loading shared library libgomp.so.1: No such file", FailureKind.LIBRARY, "libgomp.so.1"),
    ("dyld[77]: Library not loaded: @rpath/libggml.dylib", FailureKind.LIBRARY, "@rpath/libggml.dylib"),
    ("./llama-server: /lib/libc.so.6: version `GLIBC_2.38' not found", FailureKind.LIBRARY, "GLIBC_2.38"),
    ("llama_model_load: error loading model: unknown model architecture: 'clip'", FailureKind.PROJECTOR, "projector"),
    ("error loading model: unknown model architecture: clip", FailureKind.PROJECTOR, "projector"),
    ("error loading model: unknown model architecture: qwen99", FailureKind.OLD_ENGINE, "the kind qwen99"),
    ("error loading model: unknown model architecture: 'clipper'", FailureKind.OLD_ENGINE, "the kind clipper"),
    ("error loading model vocabulary: unknown pre-tokenizer type: 'kimi'", FailureKind.OLD_ENGINE, "kimi"),
    ("ggml_cuda_init: CUDA driver version is insufficient for CUDA runtime", FailureKind.DEVICE, "driver"),
    ("CUDA error: no kernel image is available for execution on the device", FailureKind.DEVICE, "card"),
    ("error: cannot read model file '/a b.gguf': No such file or directory", FailureKind.NO_FILE, "/a b.gguf"),
    ("error: cannot read model file '/a.gguf': Permission denied", FailureKind.CLOSED_FILE, "/a.gguf"),
    ("gguf_init_from_file: failed to open 'm.gguf': No such file or directory", FailureKind.NO_FILE, "m.gguf"),
]


@pytest.mark.parametrize(("line", "kind", "word"), OTHERS)
def test_what_others_say(line: str, kind: FailureKind, word: str) -> None:
    assert TELLING.search(line)
    found = explain(["a line before", line, "a line behind"])
    assert found is not None
    assert (found.kind, found.evidence) == (kind, line)
    assert word in found.cause


def test_what_is_not_known_is_not_made_up() -> None:
    assert explain(["error: something else went wrong", "Traceback"], "exit code 1") is None
    assert explain([]) is None


def test_a_processor_that_is_too_old_is_told_by_the_signal() -> None:
    found = explain([], "killed by SIGILL (this build uses instructions that this CPU does not have)")
    assert found is not None
    assert found.kind is FailureKind.PROCESSOR


def test_a_program_that_does_not_start_has_its_way_out_behind_it() -> None:
    assert not_started("cannot start 'x': not found on PATH (install it, or write its full path in cmd)") == Explained(
        FailureKind.PROGRAM,
        "cannot start 'x': not found on PATH",
        "",
        "Install it, or write its full path in cmd",
    )
    assert not_started("cannot start 'x': why", "; try y").way_out == "Try y"


def test_every_sentence_is_filled() -> None:
    words = {"what": "WHAT", "file": "FILE", "flag": "FLAG"}
    for known in KNOWN:
        assert "{" not in known.cause.format_map(words) + known.way_out.format_map(words)
        assert not known.way_out.endswith(".")


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"hello world", FailureKind.NOT_A_MODEL), (None, FailureKind.CUT)],
    ids=["no-gguf", "cut"],
)
def test_what_the_embedded_engine_says(content: bytes | None, kind: FailureKind, tmp_path: Path) -> None:
    if content is None:
        with SMOLLM2.open("rb") as whole:
            content = whole.read(3_000_000)
    file = tmp_path / "m.gguf"
    file.write_bytes(content)
    words = [sys.executable, "-m", "claracore", "engine", "--host", "127.0.0.1", "--port", "0", "-m", str(file)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    found = explain([line for line in done.stderr.splitlines() if TELLING.search(line)])
    assert found is not None, done.stderr
    assert found.kind is kind


def test_a_library_that_pythons_engine_lacks() -> None:
    line = "ImportError: libgomp.so.1: cannot open shared object file: No such file or directory"
    found = explain([line])
    assert TELLING.search(line)
    assert found is not None
    assert (found.kind, found.cause) == ("library", "the engine needs libgomp.so.1, which is not installed here")


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("Error: statfs /nothere: no such file or directory", "/nothere, which `mounts` names, is not there"),
        (
            'docker: invalid mount config for type "bind": bind source path does not exist: /a b.',
            "/a b, which `mounts` names, is not there",
        ),
        ("Error: unknown flag: --no-such", "the runtime does not know the option --no-such"),
        (
            "Error: setting up CDI devices: unresolvable CDI devices nvidia.com/gpu=all",
            "the runtime does not know NVIDIA's",
        ),
        ("Error: stat /dev/kfd: no such file or directory", "this machine has no /dev/kfd"),
        ("ERROR (catatonit:6): failed to exec pid1: No such file or directory", "the image has no such program"),
        (
            "docker: Error response from daemon: no matching manifest for linux/arm64 in the",
            "there is no such image for this",
        ),
        ("toomanyrequests: You have reached your pull rate limit.", "the registry of the image gives no more"),
        ('Error: short-name "nothere" did not resolve to an alias', "no registry gives out this image (nothere)"),
        (
            'pinging container registry ghcr.io: Get "https://ghcr.io/v2/": dial tcp: lookup ghcr.io: no such host',
            "the image is not here, and its registry cannot be reached",
        ),
        (
            "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock",
            "this user may not use Docker",
        ),
        (
            "permission denied while trying to connect to the docker API at unix:///var/run/docker.sock",
            "this user may not use Docker",
        ),
    ],
)
def test_what_container_runtimes_say(line: str, cause: str) -> None:
    found = explain([line])
    assert found is not None
    assert found.cause.startswith(cause)
    assert found.way_out
