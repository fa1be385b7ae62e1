"""How does a folder of model files become a configuration file?

What was found (`survey`) is merged into the text of the file (`files`: under its lock, atomically, with a backup of
what was there). Blocking; run it in a thread from async code.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from claracore.core.config.load import LoadedConfig, load, load_parsed
from claracore.core.config.tree import ParsedText, Unreadable
from claracore.core.difference import unified_diff
from claracore.core.fit.catalog import Catalog
from claracore.core.fit.document import Setup, document
from claracore.core.fit.machine import Hardware
from claracore.core.fit.merge import Merged, Present, merge
from claracore.core.fit.model_paths import model_paths
from claracore.core.garbage import no_collection
from claracore.core.memory.measured import NOTHING_LEARNT, Learnt
from claracore.errors import ConfigError
from claracore.host.library.model import LeftOut, Library
from claracore.host.setup.request import SetupRequest
from claracore.host.setup.spelling import Spelling
from claracore.host.setup.survey import Survey, survey
from claracore.host.store import files
from claracore.types import Finding, Place


@dataclass(frozen=True, slots=True)
class SetupReport:
    """What was, or would be, written, and why."""

    path: Path
    text: str
    loaded: LoadedConfig
    """The text as it is loaded."""
    catalog: Catalog
    left_out: tuple[LeftOut, ...]
    hardware: Hardware
    engine_name: str
    written: bool
    old_text: str | None = None
    merged: Merged | None = None
    """What happened to the models that were in the file; None when there was no file."""
    backup: Path | None = None
    library: Library = field(default_factory=lambda: Library((), ()))
    """Everything that was found, as it was when the text was made."""

    learnt: Learnt = NOTHING_LEARNT
    """What models were seen to take on this machine."""
    ids: Mapping[str, str] = field(default_factory=dict)
    """Model file -> id, where the file gives another than the scan does."""

    @property
    def changed(self) -> bool:
        """Whether the new text differs from the old one."""
        return self.text != self.old_text

    @property
    def is_empty(self) -> bool:
        """Whether there is no model to serve, and there was no file that names some."""
        return not self.catalog.chosen and self.old_text is None

    @property
    def diff(self) -> str:
        """The difference as a unified diff; empty when there was no file or nothing changes."""
        if self.old_text is None:
            return ""
        return unified_diff(self.old_text, self.text, str(self.path), f"{self.path} (new)")


def write_setup(request: SetupRequest) -> SetupReport:
    """Scan the folders and write the configuration, or merge it into the one that is there.

    Raises as `survey`, and ConfigError, FileUnusable or DiskFull (the file cannot be changed, read or written).
    """
    found = survey(request)
    if request.dry_run or not (found.catalog.chosen or request.even_empty or request.config_path.exists()):
        return proposed_for_file(found)
    return _written(found)


def proposed(found: Survey, old: str | None) -> SetupReport:
    """Return what the file would say that says `old` now (None: there is none). Raises ConfigError."""
    if old is not None and old.strip():
        merged, loaded = merged_with(old, found.setup, found.path, found.listen_port, gently=found.gently)
        text = merged.text
    else:
        merged, text = None, document(found.setup)
        loaded = load(text, file=str(found.path), env=os.environ)
    return SetupReport(
        path=found.path,
        text=text,
        loaded=loaded,
        old_text=old,
        merged=merged,
        ids=merged.ids if merged is not None else {},
        learnt=found.learnt,
        catalog=found.catalog,
        library=found.library,
        left_out=found.left_out,
        hardware=found.setup.hardware,
        engine_name=found.setup.engine_name,
        written=False,
    )


def proposed_for_file(found: Survey) -> SetupReport:
    """Return what the file would say, going by what it says at this moment. Raises FileUnusable, ConfigError."""
    return proposed(found, files.read(found.path) if found.path.exists() else None)


def _written(found: Survey) -> SetupReport:
    """Merge into the file as it is when its turn has come, however long looking has taken; see `files.change`."""
    report: SetupReport | None = None

    def edit(old: str | None) -> str:
        nonlocal report
        report = proposed(found, old)
        return report.text

    done = files.change(found.path, edit)
    assert report is not None, "a change edits"  # noqa: S101 - the promise of `files.change`
    return replace(report, written=report.changed, backup=done.backup)


@no_collection()
def merged_with(
    old: str, setup: Setup, path: Path, listen_port: int, *, gently: bool = False
) -> tuple[Merged, LoadedConfig]:
    """Merge the setup into an existing text, and load what comes of it.

    Raises ConfigError when the text cannot be read or changed.
    """
    try:
        parsed = ParsedText.of(old, str(path))
    except Unreadable as error:
        raise ConfigError([error.finding]) from error
    loaded = load_parsed(parsed, env=os.environ)
    commands = {name: model.cmd for name, model in loaded.config.models.items()} if loaded.config else {}
    if loaded.config is None:
        raise ConfigError([finding for finding in loaded.findings if finding.severity == "error"])
    setup = replace(setup, by_memory=loaded.config.routing.router.use == "memory")
    spelled = Spelling(setup)
    paths = {
        name: spelled.of(os.path.abspath(found), loaded.config.models[name].aliases)  # noqa: PTH100 - text, as written
        for name, found in model_paths(commands).items()
    }
    missing = {name for name, found in paths.items() if not os.path.exists(found)}  # noqa: PTH110 - text, as written
    today = datetime.now(UTC).date().isoformat()
    try:
        merged = merge(parsed, setup, Present(paths, missing), today=today, listen_port=listen_port, gently=gently)
    except ValueError as error:
        raise ConfigError([Finding("error", str(error), place=Place(str(path), 1, 1))]) from error
    after = loaded if merged.parsed is parsed else load_parsed(merged.parsed, env=os.environ)
    if after.config is None:
        raise ConfigError([finding for finding in after.findings if finding.severity == "error"])
    return merged, after
