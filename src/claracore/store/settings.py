"""What has a person told the setup to plan with? One JSON file in the state directory."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from claracore.store.files import FileUnusable

FILE = "settings.json"


class SystemSettings(BaseModel):
    """The settings of the first ClaraCore, keys as in its settings.json; its `apiKey` is not kept here."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")

    gpu_type: str = ""
    backend: str = "auto"
    vram_gb: float = Field(0.0, ge=0, alias="vramGB")
    """0: what is found."""
    ram_gb: float = Field(0.0, ge=0, alias="ramGB")
    preferred_context: int = Field(0, ge=0)
    throughput_first: bool = True
    enable_jinja: bool = True


def load_settings(state_dir: Path) -> SystemSettings | None:
    """Return what was saved; None when nothing was, or nothing that can be read."""
    try:
        return SystemSettings.model_validate_json((state_dir / FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def save_settings(state_dir: Path, settings: SystemSettings) -> None:
    """Replace what was saved. Raises FileUnusable."""
    path = state_dir / FILE
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        temporary.write_text(settings.model_dump_json(by_alias=True, indent=2), encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise FileUnusable(f"{path} cannot be written: {error.strerror or error}") from error
