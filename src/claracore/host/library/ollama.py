"""Which models does a folder of Ollama's hold, under which names?

`manifests/HOST/NAMESPACE/MODEL/TAG` is JSON that names layers by their digest; `blobs/sha256-DIGEST` has their bytes.
The layer of kind `model` is a GGUF file, which llama-server reads where it is; so are those of kind `projector` and
`adapter`. Several names may lead to the same bytes. Newer versions keep manifests as blobs, with links in
`manifests-v2`, and lists of manifests by engine. A download is `blobs/sha256-DIGEST-partial` until it is whole.

Read in Ollama's own source: `manifest/manifest.go`, `manifest/paths.go`, `server/download.go`, `types/model/name.go`
(https://github.com/ollama/ollama), and its FAQ, "Where are models stored?".
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

import msgspec

from claracore.core.pull.ollama import OllamaManifest, OllamaName, why_without_weights
from claracore.host.library.found_files import FoundFiles, ModelFiles, Stamp

BLOBS: Final = "blobs"
MANIFESTS: Final = ("manifests-v2", "manifests")
"""In the order in which Ollama looks: a name in the first hides the same in the second."""
OWN_FOLDERS: Final = frozenset({BLOBS, *MANIFESTS})
MOST_BYTES: Final = 1 << 20
"""Of a manifest; the largest have some 100 KiB."""
DIGEST: Final = re.compile(r"sha256[:-]([0-9a-f]{64})", re.IGNORECASE)
PARTIAL: Final = "-partial"
ENGINES: Final = ("llamacpp", "ollama", "")
"""Whose weights llama-server can read, the best first; `mlx` has other ones."""
LEAST_ORPHAN: Final = 1 << 24
"""Bytes from which on a blob without a name is worth a word: templates and licences are smaller."""


@dataclass(frozen=True, slots=True)
class _Named:
    """A name, its manifest, and the layers that matter."""

    name: OllamaName
    manifest: Path
    weights: str
    projector: str | None
    adapters: tuple[str, ...]
    instructed: bool
    """Whether Ollama puts a system prompt or messages before each conversation."""


def is_store(names: AbstractSet[str]) -> bool:
    """Tell by the names in a folder whether it is one where Ollama keeps models."""
    return BLOBS in names and not names.isdisjoint(MANIFESTS)


def find(folder: str, found: FoundFiles) -> None:
    """Note all models of a store."""
    _Store(Path(folder), found).find()


class _Store:
    """One store that is looked at."""

    def __init__(self, folder: Path, found: FoundFiles) -> None:
        self.folder = folder
        self.found = found
        self.mentioned: set[str] = set()
        """Digests that some manifest names."""
        self.emitted: set[str] = set()

    def find(self) -> None:
        by_weights: dict[str, list[_Named]] = {}
        for name, path in self.names():
            named = self.named(name, path)
            if named is not None:
                by_weights.setdefault(named.weights, []).append(named)
        for sharing in by_weights.values():
            self.model(sorted(sharing, key=lambda named: named.name.rank))
        self.blobs()

    def names(self) -> Iterator[tuple[OllamaName, Path]]:
        """Give all names with their manifests."""
        seen: set[str] = set()
        for root in MANIFESTS:
            for host, namespace, model, tag in self.tree(self.folder / root, 4):
                name = OllamaName(host, namespace, model, tag)
                if str(name).lower() not in seen:
                    seen.add(str(name).lower())
                    yield name, self.folder.joinpath(root, *name)

    def tree(self, folder: Path, depth: int) -> Iterator[tuple[str, ...]]:
        """Give the names on the way to everything that lies so many folders deep."""
        try:
            entries = sorted(os.listdir(folder))  # noqa: PTH208 - names are all we need
        except NotADirectoryError:
            return
        except FileNotFoundError:
            return
        except OSError as error:
            self.found.leave_out(folder, f"the folder cannot be read: {error.strerror}")
            return
        for entry in entries:
            if entry.startswith("."):
                continue
            if depth == 1:
                yield (entry,)
            else:
                yield from ((entry, *rest) for rest in self.tree(folder / entry, depth - 1))

    def named(self, name: OllamaName, path: Path) -> _Named | None:
        """Read a manifest; what cannot be served of it is left out."""
        try:
            manifest = self.chosen(_read(path))
        except OSError as error:
            self.found.leave_out(path, f"{name}: its manifest cannot be read: {error.strerror}")
            return None
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.found.leave_out(path, f"{name}: its manifest is damaged")
            return None
        weights = manifest.digests("model")
        if not weights:
            self.found.leave_out(path, f"{name}: {why_without_weights(manifest)}")
            return None
        return _Named(
            name,
            path,
            weights[-1],  # Ollama takes the last one, too
            next(reversed(manifest.digests("projector")), None),
            manifest.digests("adapter"),
            bool(manifest.digests("system") or manifest.digests("messages")),
        )

    def chosen(self, manifest: OllamaManifest) -> OllamaManifest:
        """Return the manifest for an engine like ours out of a list, any other as it is. Raises as `_read`."""
        self.mention(manifest)
        children = manifest.manifests
        if not children:
            return manifest
        for child in children:
            self.mention(child)
        ranked = sorted(children, key=lambda child: ENGINES.index(child.runner) if child.runner in ENGINES else 9)
        best = ranked[0]
        if best.layers or (blob := self.blob(best.digest)) is None:
            return best
        read = _read(blob)
        self.mention(read)
        return read

    def mention(self, manifest: OllamaManifest) -> None:
        """Remember which blobs have a name."""
        layers = [*(manifest.layers or ()), *((manifest.config,) if manifest.config else ())]
        self.mentioned |= {digest.lower() for layer in layers if (digest := _hex(layer.digest))}
        self.mentioned |= {digest.lower() for digest in [_hex(manifest.digest)] if digest}

    def model(self, sharing: Sequence[_Named]) -> None:
        """Note the weights that some names share; `sharing` has the best name first."""
        plain = [named for named in sharing if not named.adapters]
        served = plain or [named for named in sharing if named.adapters == sharing[0].adapters]
        best = served[0]
        path = self.blob(best.weights)
        if path is None:
            for named in sharing:
                self.found.leave_out(named.manifest, f"{named.name}: {self.why_missing(named.weights)}")
            return
        for named in sharing:
            if named not in served:
                flags = " ".join(f"--lora {self.blob(digest) or digest}" for digest in named.adapters)
                self.found.leave_out(
                    named.manifest, f"{named.name}: adapters on {best.name}, which is served as it is; add {flags}"
                )
            elif named.instructed:
                self.found.leave_out(
                    named.manifest, f"{named.name}: the weights are served, without the system prompt that Ollama adds"
                )
        projector = next((named.projector for named in served if named.projector), None)
        names = tuple(dict.fromkeys(spelling for named in served for spelling in named.name.spellings))
        called = best.name.called
        eyes = self.part(projector, called.with_name(f"{called.stem}-mmproj.gguf")) if projector else None
        adapters = [self.part(digest, called.with_name(f"{called.stem}-lora.gguf")) for digest in best.adapters]
        stamp = self.stamp(path)
        if stamp is not None and None not in adapters:
            files = ModelFiles(
                (str(path),),
                (stamp,),
                called=called,
                names=names,
                projector=eyes,
                adapters=tuple(filter(None, adapters)),
            )
            self.found.models.append(files)
        elif None in adapters:
            self.found.leave_out(best.manifest, f"{best.name}: its adapter is missing")

    def part(self, digest: str, called: PurePath) -> str | None:
        """Note a projector or an adapter, once; return its path."""
        path = self.blob(digest)
        stamp = self.stamp(path) if path is not None else None
        if path is None or stamp is None:
            return None
        if digest not in self.emitted:
            self.emitted.add(digest)
            self.found.models.append(ModelFiles((str(path),), (stamp,), called=called))
        return str(path)

    def stamp(self, path: Path) -> Stamp | None:
        try:
            status = path.stat()
        except OSError as error:
            self.found.leave_out(path, f"cannot be looked at: {error.strerror}")
            return None
        if path.is_symlink():
            self.found.links.add(str(path))
        return Stamp.of(status)

    def blob(self, digest: str) -> Path | None:
        """Return where the bytes with a digest are; None when they are not there."""
        name = _hex(digest)
        # Versions before 0.1.20 wrote the colon of the digest.
        paths = [self.folder / BLOBS / f"sha256{mark}{name}" for mark in "-:"] if name else []
        return next((path for path in paths if os.path.exists(path)), None)  # noqa: PTH110 - Path's may raise

    def why_missing(self, digest: str) -> str:
        if os.path.exists(self.folder / BLOBS / f"sha256-{_hex(digest)}{PARTIAL}"):  # noqa: PTH110 - as above
            return "an unfinished download"
        return "its weights are missing, or this user may not see them"

    def blobs(self) -> None:
        """Note downloads under way, and weights without a name."""
        try:
            entries = sorted(os.scandir(self.folder / BLOBS), key=lambda entry: entry.name)
        except OSError as error:
            self.found.leave_out(self.folder / BLOBS, f"the folder cannot be read: {error.strerror}")
            return
        for entry in entries:
            name = _hex(entry.name)
            if entry.name.endswith(PARTIAL):
                self.found.leave_out(entry.path, "an unfinished download of Ollama's")
            elif name and name.lower() not in self.mentioned and _is_model(entry):
                self.found.leave_out(
                    entry.path, "weights to which no name of Ollama's leads: it removes them by itself"
                )


def _read(path: Path) -> OllamaManifest:
    """Read a manifest. Raises OSError, msgspec.DecodeError or UnicodeDecodeError."""
    with path.open("rb") as stream:
        return msgspec.json.decode(stream.read(MOST_BYTES), type=OllamaManifest)


def _hex(digest: str) -> str:
    match = DIGEST.fullmatch(digest)
    return match[1] if match else ""


def _is_model(entry: os.DirEntry[str]) -> bool:
    try:
        if entry.stat().st_size < LEAST_ORPHAN:
            return False
        with open(entry.path, "rb") as stream:  # noqa: PTH123 - as many as there are blobs
            return stream.read(4) == b"GGUF"
    except OSError:
        return False
