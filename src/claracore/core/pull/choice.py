"""Which files of a repository are one model, and which of its models is meant?

A *variant* is what llama-server can load: one `.gguf` file, or all shards of a split one. A quantization is looked for
without regard to case: as it is called, then without Unsloth's `UD-`, then as words of the path (`Q4`). Of several that
match, and when none is named, the first on `LADDER` is taken.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from claracore.core.gguf.names import SHARD_FILE, slug, stem_of
from claracore.core.gguf.quantization import PROJECTOR_ORDER, PROJECTOR_WORDS, names_in, without_quantization
from claracore.core.pull.listing import RemoteFile
from claracore.core.pull.reference import Reference
from claracore.errors import BadRequest, NotFound

LADDER: Final = (
    *("Q4_K_M", "UD-Q4_K_XL", "Q4_K_XL", "Q4_K_L", "Q4_K_S", "IQ4_XS", "IQ4_NL", "Q4_0", "Q4_1", "MXFP4", "NVFP4"),
    *("Q5_K_M", "UD-Q5_K_XL", "Q5_K_L", "Q5_K_S", "Q5_0", "Q5_1", "Q6_K", "UD-Q6_K_XL", "Q6_K_L", "Q8_0", "UD-Q8_K_XL"),
    *("Q3_K_M", "Q3_K_L", "UD-Q3_K_XL", "IQ3_M", "IQ3_S", "Q3_K_S", "IQ3_XS", "IQ3_XXS"),
    *("BF16", "F16", "F32"),
)
"""What is taken when nobody says which: four bits, the usual balance, then better, then smaller ones, then floats."""

_PROJECTOR: Final = re.compile(r"(?:^|[-_.])mm-?proj(?:ector)?(?:[-_.]|$)", re.IGNORECASE)
_IMATRIX: Final = re.compile(r"imatrix", re.IGNORECASE)
MOST_NAMED: Final = 8


class NoSuchFile(NotFound):
    """The repository is there, but what was asked for is not in it; 404 with what is."""

    code = "not_in_repository"
    cause = "The repository is there, but not the file or quantization that was asked for."
    way_out = "Take one of those that the message lists."


@dataclass(frozen=True, slots=True)
class Variant:
    """One model of a repository that can be loaded."""

    files: tuple[RemoteFile, ...]
    """All shards in order, or the one file."""
    quantization: str
    """Empty when the name tells none."""
    base: str
    """Name without folder, quantization and shard numbers, to tell apart several models of a repository."""
    missing: int = 0
    """Shards that are not there."""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def path(self) -> str:
        """Path of the first file."""
        return self.files[0].path

    @property
    def label(self) -> str:
        """What to call it among its neighbours."""
        return self.quantization or PurePosixPath(self.path).name


def variants_of(files: Iterable[RemoteFile]) -> list[Variant]:
    """Return the models of a repository, the smallest first."""
    groups: dict[tuple[str, int], dict[int, RemoteFile]] = {}
    for file in files:
        name = PurePosixPath(file.path)
        if not name.name.lower().endswith(".gguf") or is_projector(file) or _is_no_model(name.name):
            continue
        shard = SHARD_FILE.match(name.name)
        whole = shard is None or not 1 <= int(shard["number"]) <= int(shard["count"])
        key = (file.path, 1) if whole or shard is None else (str(name.with_name(shard["stem"])), int(shard["count"]))
        groups.setdefault(key, {})[1 if whole or shard is None else int(shard["number"])] = file
    found = [_variant([group[n] for n in sorted(group)], count) for (_stem, count), group in groups.items()]
    return sorted(found, key=lambda variant: (variant.size, variant.path))


def _variant(files: Sequence[RemoteFile], count: int) -> Variant:
    path = PurePosixPath(files[0].path)
    stem = stem_of(path)
    claims = names_in(stem) or names_in("/".join(path.parts[:-1]))
    base = slug(without_quantization(stem))
    return Variant(tuple(files), claims[-1] if claims else "", base, count - len(files))


def is_projector(file: RemoteFile) -> bool:
    """Whether a file is a projector (mmproj), by which a model takes images or sound, and not a model."""
    name = PurePosixPath(file.path).name
    return name.lower().endswith(".gguf") and _PROJECTOR.search(name[: -len(".gguf")]) is not None


def _is_no_model(name: str) -> bool:
    """Whether it is an importance matrix; a model that was made with one has a quantization in its name too."""
    return _IMATRIX.search(name) is not None and not names_in(name)


def choose(reference: Reference, files: Sequence[RemoteFile]) -> Variant:
    """Return the variant that a reference means.

    Raises NoSuchFile with what is there, BadRequest when it may mean several.
    """
    if reference.file is not None:
        return _by_file(reference, files)
    variants = variants_of(files)
    if not variants:
        raise NoSuchFile(f"{reference.repo} has no .gguf files", param="ref")
    if reference.quantization is None:
        return _usual(reference, variants)
    found = _matching(reference.quantization, variants)
    if not found:
        labels = list(dict.fromkeys(variant.label for variant in variants))
        near = difflib.get_close_matches(reference.quantization.upper(), labels, n=3, cutoff=0.6)
        hint = f"did you mean {_listed(near)}? In all " if near else ""
        raise NoSuchFile(
            f"{reference.repo} has no {reference.quantization}; {hint}it has {_listed(labels)}", param="ref"
        )
    return _complete(_only(reference, _best(found)))


def _usual(reference: Reference, variants: Sequence[Variant]) -> Variant:
    """Return the first rung of the ladder that is complete; what is on no rung comes last, the smallest first."""
    whole = [variant for variant in variants if not variant.missing] or list(variants)
    return _complete(_only(reference, _best(whole)))


def _rank(variant: Variant) -> int:
    return LADDER.index(variant.quantization) if variant.quantization in LADDER else len(LADDER)


def _best(variants: Sequence[Variant]) -> list[Variant]:
    """Return the variants of the best quantization; more than one means several models."""
    first = min(variants, key=_rank)
    if _rank(first) == len(LADDER):
        return [variant for variant in variants if variant.quantization == first.quantization]
    return [variant for variant in variants if _rank(variant) == _rank(first)]


def _matching(wanted: str, variants: Sequence[Variant]) -> list[Variant]:
    wanted = wanted.upper()
    part = re.compile(rf"(?<![A-Z0-9]){re.escape(wanted)}(?![A-Z0-9])", re.IGNORECASE)
    plain = {id(variant): variant.quantization.upper().removeprefix("UD-") for variant in variants}
    rules = (
        lambda variant: variant.quantization.upper() == wanted,
        lambda variant: plain[id(variant)] == wanted.removeprefix("UD-"),
        lambda variant: part.search(variant.path) is not None,
    )
    return next((found for rule in rules if (found := [variant for variant in variants if rule(variant)])), [])


def _only(reference: Reference, variants: Sequence[Variant]) -> Variant:
    bases = {variant.base for variant in variants}
    if len(variants) > 1 and len(bases) > 1:
        paths = [variant.path for variant in variants]
        raise BadRequest(
            f"{reference} may mean several models; name the file, as {reference.repo}/{paths[0]}: {_listed(paths)}",
            param="ref",
        )
    return min(variants, key=lambda variant: (bool(variant.missing), variant.path.count("/"), variant.path))


def _complete(variant: Variant) -> Variant:
    if variant.missing:
        raise NoSuchFile(
            f"{variant.path} is one of {len(variant.files) + variant.missing} shards, of which {variant.missing} are "
            "not in the repository: it is still being uploaded, or damaged",
            param="ref",
        )
    return variant


def _by_file(reference: Reference, files: Sequence[RemoteFile]) -> Variant:
    for file in files:
        if file.path == reference.file and is_projector(file):
            return _variant([file], 1)
    for variant in variants_of(files):
        if any(file.path == reference.file for file in variant.files):
            return _complete(variant)
    names = [file.path for file in files if file.path.lower().endswith(".gguf")]
    near = difflib.get_close_matches(reference.file or "", names, n=3, cutoff=0.5) or names
    hint = f"did you mean {_listed(near)}?" if near else "it has no .gguf files"
    raise NoSuchFile(f"{reference.repo} has no file {reference.file}; {hint}", param="ref")


def projector_for(variant: Variant, files: Sequence[RemoteFile]) -> RemoteFile | None:
    """Return the projector (mmproj) that belongs to a variant; of several precisions the first of PROJECTOR_ORDER.

    In a repository with several models it must carry the model's name, or none.
    """
    if is_projector(variant.files[0]):
        return None
    folder = PurePosixPath(variant.path).parent
    folders = {folder, *folder.parents}
    near = [file for file in files if is_projector(file) and PurePosixPath(file.path).parent in folders]
    several = len({other.base for other in variants_of(files)}) > 1
    fitting = [file for file in near if _belongs(file, variant, several=several)]
    return min(fitting, key=_precision, default=None)


def _belongs(projector: RemoteFile, variant: Variant, *, several: bool) -> bool:
    stem = without_quantization(stem_of(PurePosixPath(projector.path)))
    base = slug(PROJECTOR_WORDS.sub("-", stem))
    if not base or not several:
        return True
    return variant.base.startswith(base) or base.startswith(variant.base)


def _precision(projector: RemoteFile) -> tuple[int, str]:
    claims = names_in(stem_of(PurePosixPath(projector.path)))
    claim = claims[-1] if claims else ""
    rank = PROJECTOR_ORDER.index(claim) if claim in PROJECTOR_ORDER else len(PROJECTOR_ORDER)
    return rank, projector.path


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
