"""Folders as other programs keep models in them, made of any bytes."""

from __future__ import annotations

import hashlib
import json
import os
import random
from dataclasses import dataclass
from pathlib import Path

from zoo.synthetic import Image, Shape
from zoo.templates import CHATML

TINY = Shape("llama", 2, 64, 2, 2, 128, 96, 512, "Q8_0", template=CHATML)


def filled(image: Image = TINY.image(), *, seed: int = 0) -> bytes:  # noqa: B008 - a value that nobody changes
    """A model file whose tensors are not all zeros; another one for each seed."""
    return image.header + random.Random(seed).randbytes(image.data_size)


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@dataclass(frozen=True)
class OllamaFolder:
    """`OLLAMA_MODELS`, as `ollama pull` and `ollama create` leave it."""

    root: Path

    def blob(self, data: bytes) -> str:
        """Keep some bytes; returns their digest."""
        digest = hashlib.sha256(data).hexdigest()
        put(self.root / "blobs" / f"sha256-{digest}", data)
        return f"sha256:{digest}"

    def at(self, data: bytes) -> Path:
        """Where some bytes are, or would be."""
        return self.path(hashlib.sha256(data).hexdigest())

    def path(self, digest: str) -> Path:
        return self.root / "blobs" / f"sha256-{digest.removeprefix('sha256:')}"

    def pull(self, name: str, *, manifests: str = "manifests", **layers: bytes | str) -> Path:
        """Give a name to layers: bytes, or digests of what is there. Returns the manifest."""
        name, _, tag = name.rpartition(":")
        parts = name.split("/")
        path = self.root.joinpath(manifests, *("registry.ollama.ai", "library")[: 3 - len(parts)], *parts, tag)
        return put(path, json.dumps(self.manifest(**layers)).encode())

    def manifest(self, **layers: bytes | str) -> dict[str, object]:
        digests = {kind: layer if isinstance(layer, str) else self.blob(layer) for kind, layer in layers.items()}
        listed = [
            {"mediaType": f"application/vnd.ollama.image.{kind}", "digest": digest, "size": 1}
            for kind, digest in digests.items()
        ]
        config = {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": self.blob(b"{}"), "size": 2}
        kind = "application/vnd.docker.distribution.manifest.v2+json"
        return {"schemaVersion": 2, "mediaType": kind, "config": config, "layers": listed}


@dataclass(frozen=True)
class HubRepository:
    """One repository in the hub's cache, as huggingface_hub leaves it."""

    root: Path

    @classmethod
    def of(cls, cache: Path, name: str) -> HubRepository:
        return cls(cache / f"models--{name.replace('/', '--')}")

    def fetch(self, file: str, data: bytes, revision: str = "a" * 40, *, ref: str | None = "main") -> Path:
        """Have a file of a revision; returns its path in the snapshot."""
        blob = put(self.root / "blobs" / hashlib.sha256(data).hexdigest(), data)
        path = self.root / "snapshots" / revision / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(os.path.relpath(blob, path.parent))
        if ref is not None:
            put(self.root / "refs" / ref, revision.encode())
        return path
