"""Which models do these folders hold?

Finds files (`walk`), reads headers or remembers them (`read`, `cache`), names models (`gguf.names`), pairs projectors
(`projectors`). What is found but not served is in `Library.left_out` with the reason. The result depends only on the
files (and on ids given before): same folders, same library, same order.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from claracore.core.gguf.abilities import RERANKER_WORDS, kind_by_name
from claracore.core.gguf.model import Kind, ModelFacts
from claracore.core.gguf.names import Naming, aliases_of, unique_ids
from claracore.core.gguf.seen import SeenArrays
from claracore.host.library.cache import ReadingCache
from claracore.host.library.model import LeftOut, Library, LibraryModel, Projector
from claracore.host.library.projectors import LanguageModel, pair
from claracore.host.library.read import ModelReading, read
from claracore.host.library.walk import FoundFiles, ModelFiles, walk
from claracore.host.writers import being_written

BEING_WRITTEN = "still being written: served when the program that writes it has closed it"

Progress = Callable[[int, int, Path], None]
"""Called with (number of models looked at, number of all, path of this one)."""


class _Known(NamedTuple):
    """A model on its way into the library."""

    key: str
    path: Path
    files: ModelFiles
    facts: ModelFacts
    naming: Naming


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
    found = walk(folders, missing_ok=missing_ok)
    readings = _read_all(found.models, cache, on_progress)
    left_out = [*found.left_out]
    models: list[_Known] = []
    projectors: list[Projector] = []
    first_path = _first_paths(found)
    for files, reading in zip(found.models, readings, strict=True):
        path, facts, naming = files.paths[0], reading.facts, reading.naming
        identity = files.stamps[0].identity
        if facts is None or naming is None or reading.problem is not None:
            left_out.append(LeftOut(Path(path), reading.problem or "cannot be read"))
        elif first_path[identity] != path:
            left_out.append(LeftOut(Path(path), f"the same file as {first_path[identity]}"))
        elif facts.kind is Kind.MMPROJ:
            projectors.append(Projector(Path(path), facts))
        elif _cannot_rank(facts, naming):
            without_head = "a reranker without its classifier head: llama-server cannot rank with it"
            left_out.append(LeftOut(Path(path), without_head))
        else:
            models.append(_Known(path, Path(path), files, facts, naming))
    library = _assemble(models, projectors, left_out, cache)
    tops = [os.path.abspath(os.path.expanduser(folder)) for folder in folders]  # noqa: PTH100, PTH111 - as walk does
    cache.forget_others({files.paths[0] for files in found.models}, tops)
    cache.save()
    return library


def _cannot_rank(facts: ModelFacts, naming: Naming) -> bool:
    return facts.kind in {Kind.CHAT, Kind.BASE} and not RERANKER_WORDS.isdisjoint(naming.base.split("-"))


def _first_paths(found: FoundFiles) -> dict[tuple[int, int], str]:
    """Return for each file on disk the path under which it is served: a real one before a link, then the first."""
    paths: dict[tuple[int, int], str] = {}
    for files in sorted(found.models, key=lambda files: (files.paths[0] in found.links, files.paths)):
        paths.setdefault(files.stamps[0].identity, files.paths[0])
    return paths


def _read_all(models: Sequence[ModelFiles], cache: ReadingCache, on_progress: Progress | None) -> list[ModelReading]:
    seen = SeenArrays()
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


def _assemble(
    models: Sequence[_Known], projectors: Sequence[Projector], left_out: list[LeftOut], cache: ReadingCache
) -> Library:
    """Give ids, aliases and projectors to the models."""
    ids = unique_ids([(known.key, known.naming) for known in models], cache.ids())
    cache.keep_ids(ids)
    aliases = aliases_of({ids[known.key]: known.naming for known in models})
    paired: Mapping[str, Sequence[Projector]] = {}
    if projectors:
        language_models = [
            LanguageModel(known.key, str(known.path.parent), known.naming.base, known.facts) for known in models
        ]
        paired = pair(language_models, projectors)
        left_out.extend(_unpaired(projectors, paired.values()))
    built = [
        _model(known, ids[known.key], aliases[ids[known.key]], next(iter(paired.get(known.key, ())), None))
        for known in models
    ]
    return Library(
        tuple(sorted(built, key=lambda model: model.id)),
        tuple(sorted(left_out, key=lambda left: (left.path, left.reason))),
    )


def _model(known: _Known, model_id: str, aliases: tuple[str, ...], projector: Projector | None) -> LibraryModel:
    facts, naming = known.facts, known.naming
    kind = kind_by_name(facts.kind, naming.base.split("-"))
    description = naming.description
    if kind in {Kind.CHAT, Kind.BASE} and projector is not None:
        kind = Kind.VISION if projector.facts.vision else Kind.AUDIO
    elif kind is Kind.VISION and projector is None:
        description += ", text only: there is no mmproj file near it"
    return LibraryModel(
        id=model_id,
        paths=(known.path, *(Path(path) for path in known.files.paths[1:])),
        facts=facts if kind is facts.kind else replace(facts, kind=kind),
        kind=kind,
        quantization=naming.quantization,
        name=naming.name,
        description=description,
        aliases=aliases,
        projector=projector,
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
