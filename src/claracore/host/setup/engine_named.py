"""Which engine does a configuration name? Asked by verbs that need to know no more of it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from claracore.host.store import files

ENGINE_KEY = re.compile(r"\bengine\b[\"']?\s*:")
"""What a text has that names an engine: one without needs not be loaded to find out."""


def configured_engine(config_path: Path) -> str | None:
    """Return the `engine` that an existing configuration names; None without one, or when the file cannot be used."""
    text = files.read(config_path) if config_path.exists() else ""
    if ENGINE_KEY.search(text) is None:
        return None
    from claracore.core.config.load import load  # noqa: PLC0415 - few configurations name one

    config = load(text, file=str(config_path), env=os.environ).config
    return config.engine if config is not None else None
