"""How is a tuning written into a configuration file that no server has? Blocking."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from claracore.core.config.load import load, load_parsed
from claracore.core.config.tree import ParsedText, Unreadable
from claracore.core.tune.saved import with_tuning
from claracore.core.tune.tuning import Tuning
from claracore.errors import ConfigError, ModelNotFound
from claracore.host.engines.find import abilities_of, found_engine
from claracore.host.store import files
from claracore.host.supervisor.commands import Commands


def write_tuning(file: Path, model: str, tuning: Tuning, note: str, environ: Mapping[str, str]) -> Path | None:
    """Write a tuning into a model's command, under the file's lock; return the backup of what was there.

    Raises ConfigError, FileUnusable, DiskFull, ModelNotFound, EditRefused; then nothing has changed.
    """

    def edit(old: str | None) -> str:
        text = old if old is not None else files.read(file)
        try:
            config = load_parsed(ParsedText.of(text, str(file)), env=environ).config
        except Unreadable as error:
            raise ConfigError([error.finding]) from error
        model_id = config.resolve(model) if config is not None else None
        if config is None or model_id is None:
            raise ModelNotFound(model, config.models if config is not None else ())
        commands = Commands(found_engine(config.engine), abilities_of)
        commands.learn([config.models[model_id]])
        has_value = len(commands.known_flags(config.models[model_id]).flash_attention) != 1
        changed = with_tuning(text, model_id, tuning, note, switch_has_value=has_value)
        after = load(changed, file=str(file), env=environ)
        if after.config is None:
            raise ConfigError([finding for finding in after.findings if finding.severity == "error"])
        return changed

    return files.change(file, edit).backup
