"""Which models do these folders hold?

Finds files (`walk`), reads headers or remembers them (`read`, `cache`), names models (`gguf.names`), pairs projectors
(`projectors`). What is found but not served is in `Library.left_out` with the reason. The result depends only on the
files (and on ids given before): same folders, same library, same order. Files with the same contents (`copies`) are one
model, which answers to the names of all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from claracore.core.gguf.abilities import RERANKER_WORDS, kind_by_name
from claracore.core.gguf.array_cache import ArrayCache
from claracore.core.gguf.model import Kind, ModelFacts
from claracore.core.gguf.names import Naming, aliases_of, naming_of, unique_ids
from claracore.core.units import gb
from claracore.host.library.cache import ReadingCache
from claracore.host.library.copies import Rival, same_contents
from claracore.host.library.found_files import FoundFiles, ModelFiles
from claracore.host.library.model import DraftHead, LeftOut, Library, LibraryModel, Projector
from claracore.host.library.projectors import LanguageModel, pair
from claracore.host.library.read import ModelReading, read
from claracore.host.library.walk import walk
from claracore.host.writers import being_written

BEING_WRITTEN = "still being written: served when the program that writes it has closed it"

Progress = Callable[[int, int, Path], None]
"""Called with (number of models looked at, number of all, path of this one)."""


class _Known(NamedTuple):
    """A model on its way into the library."""

    key: str
    files: ModelFiles
    facts: ModelFacts
    naming: Naming


@dataclass(slots=True)
class _Sorted:
    """What the files that were found turned out to be."""

    left_out: list[LeftOut]
    models: list[_Known] = field(default_factory=list)
    projectors: list[Projector] = field(default_factory=list)
    heads: list[DraftHead] = field(default_factory=list)
    adapters: dict[str, str] = field(default_factory=dict)
    """LoRA adapters by path, with what to say of one that no model has."""
    others: dict[str, list[_Known]] = field(default_factory=dict)
    """By the key of a model: what has the same contents."""

    def leave_out(self, path: str | Path, reason: str) -> None:
        """Note why a file is passed over."""
        self.left_out.append(LeftOut(Path(path), reason))


def scan(
    folders: Sequence[Path],
    *,
    cache: ReadingCache | None = None,
    on_progress: Progress | None = None,
    missing_ok: bool = False,
) -> Library:
    """Scan the folders recursively.

    Blocking; run it in a thread from async code. Raises `FolderMissing` for a folder that does not exist, unless
    `missing_ok`.
    """
    cache = cache if cache is not None else ReadingCache()
    library = _library(walk(folders, missing_ok=missing_ok), folders, cache, on_progress)
    cache.save()
    return library


def _library(found: FoundFiles, folders: Sequence[Path], cache: ReadingCache, on_progress: Progress | None) -> Library:
    readings = _read_all(found.models, cache, on_progress)
    sorted_out = _sort(found, readings, _first_paths(found, cache))
    _put_adapters(sorted_out)
    _find_copies(sorted_out, found, cache)
    library = _assemble(sorted_out, cache)
    tops = [os.path.abspath(os.path.expanduser(folder)) for folder in folders]  # noqa: PTH100, PTH111 - as walk does
    cache.forget_others({files.paths[0] for files in found.models}, tops)
    return library


def _sort(found: FoundFiles, readings: Sequence[ModelReading], first_path: Mapping[tuple[int, int], str]) -> _Sorted:
    """Tell models, projectors, adapters and what is none of these apart."""
    result = _Sorted([*found.left_out])
    for files, reading in zip(found.models, readings, strict=True):
        path, facts, naming = files.paths[0], reading.facts, reading.naming
        first = first_path[files.stamps[0].identity]
        if facts is None or naming is None or reading.problem is not None:
            if facts is not None and facts.kind is Kind.DRAFT_HEAD:
                result.heads.append(DraftHead(Path(path), facts))
            if facts is not None and facts.kind is Kind.LORA:
                result.adapters[path] = reading.problem or ""
            else:
                result.leave_out(path, reading.problem or "cannot be read")
            continue
        if files.called is not None:  # what a store calls it may change, when its contents do not
            naming = naming_of(files.called, facts)
        if first != path:
            result.leave_out(path, f"the same file as {first}")
            result.others.setdefault(first, []).append(_Known(path, files, facts, naming))
        elif facts.kind is Kind.MMPROJ:
            result.projectors.append(Projector(Path(path), facts, files.called))
        elif _cannot_rank(facts, naming):
            result.leave_out(path, "a reranker without its classifier head: llama-server cannot rank with it")
        else:
            result.models.append(_Known(path, files, facts, naming))
    return result


def _put_adapters(result: _Sorted) -> None:
    """Leave out adapters that no model has, and models whose adapters are none."""
    used: set[str] = set()
    for known in [*result.models]:
        useless = [path for path in known.files.adapters if path not in result.adapters]
        if useless:
            result.models.remove(known)
            result.leave_out(known.key, f"its adapter {useless[0]} is no LoRA adapter that llama-server can read")
        used.update(known.files.adapters)
    for path, reason in result.adapters.items():
        if path not in used:
            result.leave_out(path, reason)


def _find_copies(result: _Sorted, found: FoundFiles, cache: ReadingCache) -> None:
    """Keep one of the models with the same contents."""
    by_key = {known.key: known for known in result.models}
    ids = cache.ids()

    def order(path: str) -> tuple[bool, bool, bool, str]:
        """Sort the one that was served to the front, then one that says its name, then a real one."""
        return path not in ids, not path.lower().endswith(".gguf"), path in found.links, path

    for group in same_contents([Rival(known.files, known.facts) for known in result.models], cache):
        first, *rest = sorted((files.paths[0] for files in group), key=order)
        for path in rest:
            copy = by_key.pop(path)
            size = gb(copy.facts.file_bytes)
            result.leave_out(path, f"the same contents as {first} ({size} twice), which answers to its names, too")
            result.others.setdefault(first, []).extend([copy, *result.others.pop(path, ())])
    result.models = list(by_key.values())


def _cannot_rank(facts: ModelFacts, naming: Naming) -> bool:
    return facts.kind in {Kind.CHAT, Kind.BASE} and not RERANKER_WORDS.isdisjoint(naming.base.split("-"))


def _first_paths(found: FoundFiles, cache: ReadingCache) -> dict[tuple[int, int], str]:
    """Return for each file on disk the path under which it is served: that of before, a real one, the first."""
    ids = cache.ids()

    def order(files: ModelFiles) -> tuple[bool, bool, tuple[str, ...]]:
        return files.paths[0] not in ids, files.paths[0] in found.links, files.paths

    paths: dict[tuple[int, int], str] = {}
    for files in sorted(found.models, key=order):
        paths.setdefault(files.stamps[0].identity, files.paths[0])
    return paths


def _read_all(models: Sequence[ModelFiles], cache: ReadingCache, on_progress: Progress | None) -> list[ModelReading]:
    seen = ArrayCache()
    results: list[ModelReading] = []
    for number, files in enumerate(models, start=1):
        reading = cache.get(files)
        if reading is None:
            reading = read(files, seen)
            if reading.problem is None and not cache.grew(files) and _unfinished(files):
                reading = ModelReading(None, BEING_WRITTEN, transient=True)
            if not reading.transient:
                cache.put(files, reading)
        results.append(reading)
        if on_progress is not None:
            on_progress(number, len(models), Path(files.paths[0]))
    return results


def _unfinished(files: ModelFiles) -> bool:
    return any(being_written(path, stamp.mtime_ns) for path, stamp in zip(files.paths, files.stamps, strict=True))


def _assemble(found: _Sorted, cache: ReadingCache) -> Library:
    """Give ids, aliases and projectors to the models."""
    models, left_out = found.models, found.left_out
    ids = unique_ids([(known.key, known.naming) for known in models], cache.ids())
    cache.keep_ids(ids)
    aliases = _aliases(found, ids)
    eyes = _eyes(found)
    built = [
        _model(known, ids[known.key], aliases[known.key], eyes.get(known.key), found.others.get(known.key, ()))
        for known in models
    ]
    return Library(
        tuple(sorted(built, key=lambda model: model.id)),
        tuple(sorted(left_out, key=lambda left: (left.path, left.reason))),
        tuple(sorted(found.heads, key=lambda head: head.path)),
    )


def _aliases(found: _Sorted, ids: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return the aliases of each model, by key: its name without quantization, those of its store and of its copies."""
    plain = aliases_of({ids[known.key]: known.naming for known in found.models})
    taken = {*ids.values(), *(alias for each in plain.values() for alias in each)}
    result: dict[str, tuple[str, ...]] = {}
    for known in sorted(found.models, key=lambda known: ids[known.key]):
        copies = found.others.get(known.key, ())
        more = [*known.files.names, *(name for copy in copies for name in (copy.naming.id, *copy.files.names))]
        free = tuple(name for name in dict.fromkeys(more) if name not in taken)
        taken.update(free)
        result[known.key] = (*plain[ids[known.key]], *free)
    return result


def _eyes(found: _Sorted) -> dict[str, Projector]:
    """Return the projector of each model that has one, by key: as its store says, else the one that fits."""
    by_path = {str(projector.path): projector for projector in found.projectors}
    each = [(known.key, one) for known in found.models for one in (known, *found.others.get(known.key, ()))]
    named = {key: one.files.projector for key, one in each if one.files.projector in by_path}
    chosen = {key: by_path[path] for key, path in named.items() if path is not None}
    free = [projector for path, projector in by_path.items() if path not in named.values()]
    if free:
        language_models = [
            LanguageModel(key, str(one.files.place.parent), one.naming.base, one.facts)
            for key, one in each
            if key not in chosen
        ]
        paired = pair(language_models, free)
        found.left_out.extend(_unpaired(free, paired.values()))
        chosen |= {key: choices[0] for key, choices in paired.items()}
    return chosen


def _model(
    known: _Known,
    model_id: str,
    aliases: tuple[str, ...],
    projector: Projector | None,
    copies: Sequence[_Known],
) -> LibraryModel:
    facts, naming = known.facts, known.naming
    kind = kind_by_name(facts.kind, naming.base.split("-"))
    description = naming.description
    if kind in {Kind.CHAT, Kind.BASE} and projector is not None:
        kind = Kind.VISION if projector.facts.vision else Kind.AUDIO
    elif kind is Kind.VISION and projector is None:
        description += ", text only: there is no mmproj file near it"
    return LibraryModel(
        id=model_id,
        paths=tuple(Path(path) for path in known.files.paths),
        facts=facts if kind is facts.kind else replace(facts, kind=kind),
        kind=kind,
        quantization=naming.quantization,
        name=naming.name,
        description=description,
        aliases=aliases,
        projector=projector,
        adapters=tuple(Path(path) for path in known.files.adapters),
        copies=tuple(Path(copy.key) for copy in copies),
    )


def _unpaired(projectors: Sequence[Projector], paired: Collection[Sequence[Projector]]) -> Iterable[LeftOut]:
    chosen = {choices[0].path for choices in paired}
    better = {other.path: choices[0].path for choices in paired for other in choices[1:]}
    for projector in projectors:
        if projector.path in chosen:
            continue
        if projector.path in better:
            reason = f"a projector (mmproj) whose models use {better[projector.path].name} instead"
        else:
            reason = "a projector (mmproj), but no model near it that it certainly belongs to"
        yield LeftOut(projector.path, reason)
