"""Which model of Ollama's library does a person mean, and of which files is it made?

A name is `[HOST/][NAMESPACE/]MODEL[:TAG]`; the registry answers it with a manifest, JSON that names layers by their
digest: the weights (a GGUF file), a projector, and texts. Pure: nothing is asked of the registry.

Read in Ollama's own source: `types/model/name.go`, `manifest/manifest.go`, `server/images.go`
(https://github.com/ollama/ollama).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import PurePath, PurePosixPath
from typing import Final, NamedTuple

import msgspec

from claracore.core.gguf.names import slug
from claracore.core.pull.choice import NoSuchFile, Variant
from claracore.core.pull.listing import LARGEST_BYTES, RemoteFile
from claracore.core.pull.plan import FileToFetch, Plan
from claracore.core.pull.reference import Reference
from claracore.errors import BadRequest

KIND: Final = "application/vnd.ollama.image."
REGISTRY, LIBRARY, LATEST = "registry.ollama.ai", "library", "latest"
REGISTRY_URL: Final = f"https://{REGISTRY}"
REGISTRY_VARIABLE: Final = "CLARACORE_OLLAMA_REGISTRY"
"""The variable of the environment that names another one: a mirror."""
OLLAMA_HOSTS: Final = frozenset({REGISTRY, "ollama.com", "www.ollama.com", "ollama.ai"})
"""Under which people write the registry, and its pages in a browser."""
FORMS: Final = "write MODEL, MODEL:TAG or NAMESPACE/MODEL:TAG of Ollama's library, or hf.co/ORG/REPO:QUANTIZATION"
TEXTS: Final = {
    "license": "LICENSE.txt",
    "template": "template.txt",
    "params": "params.json",
    "system": "system.txt",
    "messages": "messages.json",
}
"""Layers beside the weights, and what their files are called here."""

_PART: Final = re.compile(r"(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}")
_DIGEST: Final = re.compile(r"sha256:([0-9a-f]{64})")


class OllamaLayer(msgspec.Struct, rename="camel"):
    """Some bytes of a model, and what they are."""

    media_type: str = ""
    digest: str = ""
    size: int = 0


class OllamaManifest(msgspec.Struct, rename="camel"):
    """What belongs to a name, or a list of that by engine."""

    layers: list[OllamaLayer] | None = None
    config: OllamaLayer | None = None
    runner: str = ""
    digest: str = ""
    manifests: list[OllamaManifest] | None = None

    def of_kind(self, kind: str) -> tuple[OllamaLayer, ...]:
        """Return all layers of a kind."""
        return tuple(layer for layer in self.layers or () if layer.media_type == KIND + kind)

    def digests(self, kind: str) -> tuple[str, ...]:
        """Return the digests of all layers of a kind."""
        return tuple(layer.digest for layer in self.of_kind(kind))


class OllamaName(NamedTuple):
    """A name as Ollama takes it apart."""

    host: str
    namespace: str
    model: str
    tag: str

    def __str__(self) -> str:
        """Return it as people write it."""
        if self.host != REGISTRY:
            return f"{self.host}/{self.namespace}/{self.model}:{self.tag}"
        return f"{self.model}:{self.tag}" if self.namespace == LIBRARY else f"{self.namespace}/{self.model}:{self.tag}"

    @property
    def spellings(self) -> tuple[str, ...]:
        """All that Ollama understands it by: the tag `latest` may be left away."""
        return (str(self), str(self).rpartition(":")[0]) if self.tag == LATEST else (str(self),)

    @property
    def called(self) -> PurePath:
        """A folder and a file name that say the same."""
        model = re.sub(r"[-_.]gguf$", "", self.model, flags=re.IGNORECASE)
        tag = "" if self.tag == LATEST else f"-{self.tag}"
        return PurePath("ollama" if self.namespace == LIBRARY else self.namespace, f"{model}{tag}.gguf")

    @property
    def rank(self) -> tuple[bool, bool, int, str]:
        """Sorts the name that says most to the front."""
        return self.namespace != LIBRARY, self.tag == LATEST, -len(self.tag), str(self)


class OllamaSettings(msgspec.Struct):
    """What the configuration layer of a model says about its weights."""

    model_format: str = ""
    file_type: str = ""


def parse_name(text: str, *, hosts: Collection[str] = ()) -> OllamaName:
    """Read a name; `hosts` are further names of the registry. Raises BadRequest with the forms that are read."""
    word = re.sub(r"^(https?://|ollama://)", "", text.strip())
    *before, last = word.rstrip("/").split("/")
    model, _, tag = last.partition(":")
    host = (
        before.pop(0)
        if before and (len(before) == 2 or before[0].lower() in OLLAMA_HOSTS or before[0] in hosts)
        else ""
    )
    parts = (before[0] if before else LIBRARY, model, tag or LATEST)
    is_name = len(before) < 2 and all(_PART.fullmatch(part) for part in parts)
    if is_name and host and host.lower() not in OLLAMA_HOSTS and host not in hosts:
        raise BadRequest(f"{text[:200]!r}: {host[:100]} is not Ollama's registry; {FORMS}", param="model")
    if not is_name:
        raise BadRequest(f"{text[:200]!r} names no model; {FORMS}", param="model")
    return OllamaName(REGISTRY, *parts)


def reference_to(name: OllamaName) -> Reference:
    """Return a name as a reference."""
    return Reference(f"{name.namespace}/{name.model}", revision=name.tag, source="ollama")


def plan_of(name: OllamaName, manifest: OllamaManifest, settings: OllamaSettings) -> Plan:
    """Return which files a manifest means, and their places. Raises NoSuchFile for a model that cannot be served."""
    weights = manifest.of_kind("model")
    if not weights or settings.model_format not in {"", "gguf"}:
        raise NoSuchFile(f"{name} cannot be served: {why_without_weights(manifest)}", param="model")
    if manifest.digests("adapter"):
        raise NoSuchFile(f"{name} cannot be fetched: it is an adapter (LoRA) on other weights", param="model")
    called = PurePosixPath(name.called)
    folder = called.with_suffix("") if called.suffix == ".gguf" else called
    layers = [(weights[-1], called.name), *_beside(manifest, folder.name)]
    files = tuple(FileToFetch(_remote(name, layer, file), folder / file) for layer, file in layers)
    quantization = settings.file_type if settings.file_type.lower() != "unknown" else ""
    return Plan(reference_to(name), Variant((files[0].remote,), quantization, slug(name.model)), files)


def _beside(manifest: OllamaManifest, stem: str) -> Iterator[tuple[OllamaLayer, str]]:
    """Give what belongs to the weights, with the names of the files."""
    for layer in manifest.of_kind("projector")[-1:]:
        yield layer, f"{stem}-mmproj.gguf"
    for kind, file in TEXTS.items():
        path = PurePosixPath(file)
        for number, layer in enumerate(manifest.of_kind(kind), 1):
            yield layer, file if number == 1 else f"{path.stem}-{number}{path.suffix}"


def _remote(name: OllamaName, layer: OllamaLayer, file: str) -> RemoteFile:
    digest = _DIGEST.fullmatch(layer.digest)
    if digest is None or not 0 <= layer.size <= LARGEST_BYTES:
        raise NoSuchFile(f"the manifest of {name} is damaged: its {file} has no digest or no size", param="model")
    return RemoteFile(file, layer.size, digest[1])


def why_without_weights(manifest: OllamaManifest) -> str:
    """Say what a model is that has no weights for us."""
    if manifest.digests("tensor"):
        return "weights for Ollama's MLX engine, which llama-server cannot read: Ollama serves them"
    return "no weights on this machine: it runs in Ollama's cloud, or is only a template"
