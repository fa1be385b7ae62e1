"""What has a person told the setup to plan with? One JSON file in the state directory."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from claracore.host.state_file import StateFile
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
        self._file = StateFile(
            self._path, SystemSettings.model_validate, encode=_as_json, flush=True,
            without="the setup plans with what it finds",
        )  # fmt: skip

    def load(self) -> SystemSettings | None:
        """Return what was saved; None when nothing was, or nothing that can be read."""
        return self._file.read()

    def save(self, settings: SystemSettings) -> None:
        """Replace what was saved. Raises FileUnusable, DiskFull."""
        try:
            self._file.write(settings)
        except OSError as error:
            raise unwritable(self._path or Path(FILE), error) from error


def _as_json(settings: SystemSettings) -> dict[str, object]:
    return settings.model_dump(by_alias=True)
