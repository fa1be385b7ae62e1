"""What is in this file, and if it cannot be served, why?"""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from claracore.core.gguf.array_cache import ArrayCache
from claracore.core.gguf.errors import GGUFError, HeaderTruncated, NotGGUF
from claracore.core.gguf.facts import facts_of
from claracore.core.gguf.header import Header, read_header
from claracore.core.gguf.model import Kind, ModelFacts
from claracore.core.gguf.names import Naming, naming_of
from claracore.host.library.found_files import ModelFiles, Stamp

NOT_SERVED: Final[dict[Kind, str]] = {
    Kind.LORA: "a LoRA adapter, not a model: use it with --lora in the command of its base model",
    Kind.CONTROL_VECTOR: "a control vector, not a model: use it with --control-vector",
    Kind.IMATRIX: "an importance matrix for quantizing, not a model",
    Kind.VOCAB_ONLY: "a vocabulary without weights",
    Kind.IMAGE: "an image or video model, which llama-server cannot serve",
    Kind.DRAFT_HEAD: "a head that only drafts (--model-draft): `claracore setup --auto-draft` uses it where it fits",
    Kind.DIFFUSION: "a diffusion language model, which llama-server cannot serve",
    Kind.SPEECH: "a speech model, which llama-server cannot serve",
    Kind.OTHER: "not a language model that llama-server can serve",
}
NOT_ASKED_FOR: Final = ("v.", "mm.", "mtp.")
"""What the names of tensors begin with that llama.cpp expects in a file of their own, or under other names."""
OLLAMAS_OWN: Final = frozenset({"gptoss", "mllama", "qwen25vl"})
"""Architectures of Ollama's engine that llama.cpp has under another name, or not at all."""
ONLY_OLLAMA: Final = (
    "as Ollama's own engine has it: llama-server cannot read that; Ollama serves it, or get the model's GGUF"
)


@dataclass(frozen=True, slots=True)
class ModelReading:
    """What reading the files of a model gave: facts, a problem, or both (recognised, but not to be served)."""

    facts: ModelFacts | None
    problem: str | None
    transient: bool = False
    """The disk refused: not to be remembered, since size and mtime do not change when it is mended."""
    naming: Naming | None = None
    """Of a model with facts. Here, because it follows from path and facts and takes as long as all else of a rescan."""


def read(files: ModelFiles, seen: ArrayCache) -> ModelReading:
    """Read the headers of a model's files."""
    if files.missing:
        names = ", ".join(files.missing)
        return ModelReading(None, f"{'shards are' if len(files.missing) > 1 else 'a shard is'} missing: {names}")
    headers: list[Header] = []
    problems: list[str] = []
    transient = False
    for path, stamp in zip(files.paths, files.stamps, strict=True):
        try:
            headers.append(_read_file(path, stamp, seen))
        except (UnusableFile, OSError) as error:
            problem = str(error) if isinstance(error, UnusableFile) else f"cannot be read: {error.strerror}"
            transient = transient or isinstance(error, OSError)
            problems.append(f"{Path(path).name}: {problem}" if len(files.paths) > 1 else problem)
    if problems:
        return ModelReading(None, "; ".join(problems), transient)
    facts = facts_of(headers[0], *headers[1:])
    unusable = _shards_disagree(files, headers) or NOT_SERVED.get(facts.kind) or _only_ollama(facts, headers)
    return ModelReading(facts, unusable, naming=naming_of(files.place, facts))


class UnusableFile(Exception):
    """Why a file cannot be served, in words for its owner."""


def _read_file(path: str, stamp: Stamp, seen: ArrayCache) -> Header:
    """Read one header. Raises `UnusableFile` or `OSError`."""
    if stamp.size == 0:
        raise UnusableFile("an empty file")
    try:
        with open(path, "rb", buffering=0) as stream:  # noqa: PTH123 - hot
            without_readahead(stream.fileno())
            header = read_header(stream, size=stamp.size, seen=seen)
    except NotGGUF as error:
        named_so = path.lower().endswith(".gguf")
        raise UnusableFile("not a GGUF file in spite of its name" if named_so else "not a GGUF file") from error
    except HeaderTruncated as error:
        raise UnusableFile(f"truncated inside its header, like an unfinished download ({error})") from error
    except GGUFError as error:
        raise UnusableFile(f"a damaged GGUF file: {error}") from error
    if header.byte_order != sys.byteorder:
        raise UnusableFile(f"a {header.byte_order}-endian file, for another kind of machine")
    if header.missing_bytes:
        raise UnusableFile(f"truncated: {header.missing_bytes:,} bytes are missing at its end, as in a download")
    return header


def without_readahead(descriptor: int) -> None:
    """Ask the kernel for what is read and nothing behind it.

    Else it takes the reader of a header for a reader of the file and fetches the first megabytes of weights, 8 MB where
    `read_ahead_kb` says so: 1,000 files then cost 10 s of kernel time when they are not in memory yet.
    """
    if hasattr(os, "posix_fadvise"):
        with contextlib.suppress(OSError):  # advice is not understood by every file system
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)


def _shards_disagree(files: ModelFiles, headers: list[Header]) -> str | None:
    """Return what is wrong with how the shards describe themselves."""
    counts = [header.metadata.get("split.count", 0) for header in headers]
    if len(headers) == 1 and files.shards_expected == 1:
        count = counts[0]
        if isinstance(count, int) and count > 1:
            number = headers[0].metadata.get("split.no", 0)
            return f"shard {number + 1 if isinstance(number, int) else '?'} of {count} under another name"
        return None
    for number, (header, count) in enumerate(zip(headers, counts, strict=True)):
        if count != files.shards_expected or header.metadata.get("split.no", 0) != number:
            name = Path(files.paths[number]).name
            return f"{name} is not shard {number + 1} of {files.shards_expected} by its own account"
    promised = headers[0].metadata.get("split.tensors.count")
    there = sum(len(header.tensors) for header in headers)
    return None if promised in {None, there} else f"the shards have {there} tensors, but {promised} were promised"


def _only_ollama(facts: ModelFacts, headers: list[Header]) -> str | None:
    """Say when a file is of the form that only Ollama loads.

    llama.cpp refuses files with tensors that it does not ask for ("wrong number of tensors", ggml-org/llama.cpp#27349).
    """
    if facts.architecture in OLLAMAS_OWN:
        return f"a model ({facts.architecture}) {ONLY_OLLAMA}"
    if facts.kind is Kind.MMPROJ or facts.architecture == "clip":
        return None
    fused = any(tensor.name.startswith(NOT_ASKED_FOR) for header in headers for tensor in header.tensors)
    return f"a model with more in its file (a projector, say), {ONLY_OLLAMA}" if fused else None
