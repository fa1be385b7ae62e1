"""What is a set-up asked to do?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from claracore.core.memory.measured import NOTHING_LEARNT, Learnt
from claracore.host.engines.find import Engine
from claracore.host.library.cache import ReadingCache
from claracore.host.library.scan import Progress
from claracore.host.setup.opinions import SecondOpinions
from claracore.host.setup.others import Others


@dataclass(frozen=True, slots=True)
class SetupOptions:
    """What the person wants to be different; None leaves the choice to us."""

    backend: str | None = None
    vram_gb: float | None = None
    ram_gb: float | None = None
    context: int | None = None
    parallel: int | None = None
    jinja: bool = True
    auto_draft: bool = False
    listen_port: int = 5800
    """Where ClaraCore itself listens: a `startPort` that covers it is moved."""
    realtime: bool = False
    """Plan with memory that is free at this moment instead of installed memory."""


@dataclass(frozen=True, slots=True)
class SetupRequest:
    """Where to look for models, which file to write, and what for."""

    folders: Sequence[Path]
    config_path: Path
    options: SetupOptions
    engine: Engine
    cache: ReadingCache | None = None
    schema_dir: Path | None = None
    """Where the JSON schema for editors goes; None is the user's data folder."""
    dry_run: bool = False
    """Write nothing."""
    even_empty: bool = True
    """Write a new file though no model was found: models come later."""
    gently: bool = False
    """Make no model that runs start anew (see `core.fit.merge`)."""
    on_progress: Progress | None = None
    learnt: Learnt = NOTHING_LEARNT
    """What models were seen to take on this machine."""
    others: Others | None = None
    """Who says what other programs use of memory; None leaves them the usual margin."""
    opinions: SecondOpinions | None = None
    """Who asks llama.cpp itself about the plans; None asks nobody."""
