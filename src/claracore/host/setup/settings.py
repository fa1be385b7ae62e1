"""What has a person told the setup to plan with? One JSON file in the state directory."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from claracore.host.disk import keep_private
from claracore.host.store.files import unwritable

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


class SettingsFile:
    """Where the settings are kept; without a state folder in memory, for this run only."""

    def __init__(self, state_dir: Path | None) -> None:
        self._path = state_dir / FILE if state_dir is not None else None
        self._kept: SystemSettings | None = None

    def load(self) -> SystemSettings | None:
        """Return what was saved; None when nothing was, or nothing that can be read."""
        if self._path is None:
            return self._kept
        try:
            return SystemSettings.model_validate_json(self._path.read_bytes())
        except (OSError, ValidationError):
            return None

    def save(self, settings: SystemSettings) -> None:
        """Replace what was saved. Raises FileUnusable, DiskFull."""
        if self._path is None:
            self._kept = settings
            return
        try:
            keep_private(self._path, settings.model_dump_json(by_alias=True, indent=2).encode())
        except OSError as error:
            raise unwritable(self._path, error) from error
