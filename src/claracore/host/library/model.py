"""What did a scan of the model folders find?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath

from claracore.core.gguf.model import Kind, ModelFacts


@dataclass(frozen=True, slots=True)
class Projector:
    """The mmproj file with which a language model takes images or sound."""

    path: Path
    facts: ModelFacts
    called: PurePath | None = None
    """Folder and name by which it is known, where its store's own path says nothing."""

    @property
    def place(self) -> PurePath:
        """The path that names it."""
        return self.called or self.path


@dataclass(frozen=True, slots=True)
class LibraryModel:
    """One model that can be served: a file, or all shards of one."""

    id: str
    paths: tuple[Path, ...]
    """All shards in order; the first is what `llama-server --model` gets."""
    facts: ModelFacts
    kind: Kind
    """As `facts.kind`, but `VISION` (or `AUDIO`) when a projector for images (or sound alone) is there."""
    quantization: str
    """As `facts.quantization`, refined by the file name (`UD-Q4_K_XL`)."""
    name: str
    description: str
    aliases: tuple[str, ...] = ()
    projector: Projector | None = None
    adapters: tuple[Path, ...] = ()
    """LoRA adapters that its store puts on it."""
    copies: tuple[Path, ...] = ()
    """Other files with the same contents, and other names of the same file."""

    @property
    def path(self) -> Path:
        """The first (or only) file."""
        return self.paths[0]

    @property
    def vision(self) -> bool:
        """Whether images can be sent to it: only with a projector."""
        return self.projector is not None and self.projector.facts.vision

    @property
    def audio(self) -> bool:
        """Whether sound can be sent to it: only with a projector."""
        return self.projector is not None and self.projector.facts.audio


@dataclass(frozen=True, slots=True)
class DraftHead:
    """A file that drafts for a model of another file, and cannot do anything else."""

    path: Path
    facts: ModelFacts


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that looks like a model, or should have been looked at, but is not served; and why."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Library:
    """All models, sorted by id, and all that was left out, sorted by path."""

    models: tuple[LibraryModel, ...]
    left_out: tuple[LeftOut, ...]
    heads: tuple[DraftHead, ...] = ()
    """Files that are left out as models, and may draft for one."""
