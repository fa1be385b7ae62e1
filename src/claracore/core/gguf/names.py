"""What is a model called?

The rule for ids, in one place (docs/model-names.md tells it to users):

1. Begin with the file name, without `.gguf`, shard number and quantization. A file name that says nothing
   (`ggml-model`, `model`, only a quantization) is replaced by the metadata's name, or else the folder's.
2. A publisher before an underscore (`Qwen_Qwen3-8B`) is dropped when the metadata or the next word repeats it.
3. When no size (`14b`, `8x7b`, `e4b`, `270m`) is in it, add the metadata's size label, or else the counted parameters.
4. Add the quantization of the *contents* (`quantization.py`), refined by the file name.
5. Lower case; all but letters, digits and dots inside numbers becomes one `-`; underscores stay in quantizations.

Two files with the same id: the one that had it keeps it; another gets its folder's name before it; or else what its
file name claims about its quantization, if that is something else; or else six hex digits of a hash of its path. So ids
are unique and do not change when files come and go.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from pathlib import PurePath
from typing import Final

from claracore.core.gguf.model import Kind, ModelFacts
from claracore.core.gguf.quantization import names_in, refined, without_quantization

SHARD: Final = re.compile(r"-(\d{5})-of-(\d{5})$", re.IGNORECASE)
SHARD_FILE: Final = re.compile(r"^(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf$", re.IGNORECASE)
"""The name of one of several files that are one model."""
SIZE: Final = re.compile(
    r"(?<![a-z0-9.])(?:\d+x)?[ae]?\d+(?:[.p]\d+)?[kmbt](?![a-z0-9])",
    re.IGNORECASE,
)
"""`14b`, `8x7b`, `0.6B`, `1p5b`, `135M`, `A3B`, `E4B`, `1T`. Whether `128k` is a context is decided by `CONTEXT`."""
CONTEXT: Final = re.compile(r"\d+k", re.IGNORECASE)
GENERIC: Final = re.compile(
    r"(?:(?:ggml|gguf|model|models|weights|pytorch|consolidated|llm|merged|output|unnamed|untitled|new|test|file|main"
    r"|download|default|sha256|final|converted|snapshot|checkpoint|[a-f0-9]{16,})[-_. ]*)*\d*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Naming:
    """The names of one model."""

    id: str
    base: str
    """The id without quantization: an alias when no other model has the same."""
    name: str
    description: str
    quantization: str
    full: str = ""
    """For a file whose name claims another quantization than it has: an id with both, for when the id is taken."""
    folder: str = ""
    """Name of the folder that it is in, or of who its store has it from."""


def naming_of(path: PurePath, facts: ModelFacts) -> Naming:
    """Return the names of the model in the (first) file at `path`, before ids are made unique."""
    stem = stem_of(path)
    claims = names_in(stem)
    quantization = refined(facts.quantization, claims)
    readable = _with_size(_readable_base(stem, path, facts), facts)
    base = slug(readable) or "model"
    model_id = base if quantization == "unknown" else f"{base}-{quantization.lower()}"
    words = _SEPARATORS.sub(" ", readable).strip() or "Model"
    name = words if quantization == "unknown" else f"{words} ({quantization})"
    full = f"{slug(stem)}-{quantization.lower()}" if claims and quantization not in claims else ""
    return Naming(model_id, base, name, describe(facts, quantization), quantization, full, path.parent.name)


def stem_of(path: PurePath) -> str:
    """Return the file name without `.gguf` and shard number."""
    name = path.name[: -len(".gguf")] if path.name.lower().endswith(".gguf") else path.name
    return SHARD.sub("", name)


_SEPARATORS = re.compile(r"[-_ ]+")
_NOT_IN_IDS = re.compile(r"[^a-z0-9.]+")
_LONELY_DOT = re.compile(r"(?<!\d)\.|\.(?!\d)")
_DASHES = re.compile(r"-+")


@lru_cache(maxsize=4096)
def slug(text: str) -> str:
    """Return `text` as the part of an id before the quantization: `[a-z0-9.-]`, dots only between digits."""
    text = _NOT_IN_IDS.sub("-", text.lower())
    return _DASHES.sub("-", _LONELY_DOT.sub("-", text)).strip("-")


def _readable_base(stem: str, path: PurePath, facts: ModelFacts) -> str:
    """Return the name in its own spelling, without size and quantization rules applied."""
    base = without_quantization(stem)
    if not GENERIC.fullmatch(base) and slug(base):
        return _without_publisher(base, facts)
    given = facts.name or "-".join(part for part in (facts.basename, facts.finetune) if part)
    if given and slug(given):
        return without_quantization(given)
    folder = without_quantization(path.parent.name)
    return folder if slug(folder) else (base or facts.architecture or "model")


def _without_publisher(base: str, facts: ModelFacts) -> str:
    publisher, underscore, rest = base.partition("_")
    if not underscore or not slug(rest):
        return base
    named = slug(publisher)
    repeated = slug(rest).startswith(named) or (facts.organization is not None and slug(facts.organization) == named)
    return rest if named and repeated else base


def _with_size(base: str, facts: ModelFacts) -> str:
    if any(not CONTEXT.fullmatch(match[0]) for match in SIZE.finditer(base)):
        return base
    label = facts.size_label
    if label is None or not SIZE.search(label) or slug(label) in slug(base).split("-"):
        label = size_of(facts.parameters)
    return f"{base}-{label}" if label else base


def size_of(parameters: int) -> str:
    """Return a count of parameters as people write it: `135M`, `0.6B`, `14.8B`, `671B`, `1T`; "" for none."""
    if parameters <= 0:
        return ""
    if parameters < 950_000:
        return f"{max(1, round(parameters / 1e3))}K"
    if parameters < 950_000_000:
        return f"{round(parameters / 1e6)}M"
    if parameters < 999_500_000_000:
        billions = parameters / 1e9
        return f"{billions:.0f}B" if billions >= 99.95 else f"{round(billions, 1):g}B"
    return f"{round(parameters / 1e12, 1):g}T"


def describe(facts: ModelFacts, quantization: str) -> str:
    """Return one line for model lists: `qwen2 chat model, 14.8B parameters, Q5_K_M, 10.5 GB, context 32768`."""
    kind = {Kind.BASE: "base model", Kind.RERANKER: "reranker"}.get(facts.kind, f"{facts.kind} model")
    parts = [f"{facts.architecture} {kind}".strip()]
    if facts.parameters:
        active = f" ({size_of(facts.parameters_active)} active)" if facts.experts else ""
        parts.append(f"{size_of(facts.parameters)} parameters{active}")
    if quantization != "unknown":
        parts.append(quantization)
    parts.append(f"{facts.file_bytes / 1e9:.1f} GB" if facts.file_bytes >= 1e9 else f"{facts.file_bytes / 1e6:.0f} MB")
    if facts.context_trained:
        parts.append(f"context {facts.context_trained}")
    return ", ".join(parts)


def unique_ids(namings: Sequence[tuple[str, Naming]], known: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an id for each path of `(path, naming)`, unique without regard to case.

    `known` gives the ids of an earlier scan by path: a file keeps its id as long as its naming still leads to it.
    """
    known = known or {}
    ids: dict[str, str] = {}
    owners: dict[str, str] = {}
    folders = {path: str(PurePath(path).parent / naming.folder) for path, naming in namings}
    ordered = sorted(namings)
    for path, naming in ordered:
        earlier = known.get(path)
        if earlier is None or earlier in owners:
            continue
        if earlier == naming.id or earlier in _choices(path, naming):
            ids[path] = earlier
            owners[earlier] = path
    for path, naming in sorted(ordered, key=lambda item: (bool(item[1].full), item[0])):
        if path not in ids:
            rival = owners.get(naming.id)
            beside = rival is not None and folders[rival] == folders[path]
            choices = _choices(path, naming, beside=beside) if rival is not None else (naming.id,)
            ids[path] = next(choice for choice in choices if choice not in owners)
            owners[ids[path]] = path
    return ids


def _choices(path: str, naming: Naming, *, beside: bool = False) -> Sequence[str]:
    """Return the ids that this file may have, best first; the last one is as long as it takes to be unique.

    The folder says nothing when the file that has the id lies `beside` it.
    """
    quantization = naming.id[len(naming.base) :]
    digest = blake2b(path.encode(errors="surrogatepass"), digest_size=32).hexdigest()
    choices = [naming.id]
    tells = slug(naming.folder)
    if tells and tells not in naming.base and not beside:
        choices.append(f"{tells}-{naming.id}")
    if naming.full:
        choices.append(naming.full)
    return [*choices, *(f"{naming.base}-{digest[:length]}{quantization}" for length in (6, 12, 64))]


def aliases_of(namings: Mapping[str, Naming]) -> dict[str, tuple[str, ...]]:
    """Return the aliases for each id of `{id: naming}`: the name without quantization when only one model has it."""
    bases = Counter(naming.base for naming in namings.values())
    return {
        model_id: (naming.base,) if bases[naming.base] == 1 and naming.base not in namings else ()
        for model_id, naming in namings.items()
    }


def shard_names(shard: re.Match[str]) -> Iterator[str]:
    """Yield the names of all shards of a model, from what `SHARD_FILE` has found in one of them."""
    for number in range(1, int(shard["count"]) + 1):
        yield f"{shard['stem']}-{number:05d}-of-{shard['count']}.gguf"
