"""`claracore config ...`: check, show, schema, migrate, diff."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

from claracore.cli.client import show_json
from claracore.cli.ending import end
from claracore.cli.terminal import say
from claracore.cli.verb import Verb, VerbGroup, flag, many, option, word
from claracore.core.config.changes import Changes, compare, setting_keys
from claracore.core.config.load import LoadedConfig, load_many
from claracore.core.config.migrate import migrate
from claracore.core.config.model import Config
from claracore.core.config.schema import json_schema, reference_page
from claracore.core.config.show import as_json, as_yaml, shown_options
from claracore.core.difference import unified_diff
from claracore.core.ports.listen import Listen, parse_listen
from claracore.core.units import counted
from claracore.errors import ClaraCoreError
from claracore.host.cluster.nodes_file import joined_names
from claracore.host.places import config_file
from claracore.host.setup.examine import examine
from claracore.host.state import default_state_dir
from claracore.host.store.files import change, read, read_sources
from claracore.types import Finding

STYLES = {"error": "red", "warning": "yellow", "note": "blue"}


def check(
    *,
    files: list[Path],
    config: list[Path] | None,
    as_json_text: bool,
    strict: bool,
    listen: str,
    ollama: bool,
) -> None:
    """Check files: exit 0 if they can be used, 1 if not. Unknown keys are errors here."""
    findings: list[Finding] = []
    files = [*files, *(config or ())] or [config_file()]
    joined = joined_names(default_state_dir())
    for file in files:
        sources, address = _sources(file), _address(listen)
        found = examine(sources, env=os.environ, listen=address, strict=True, ollama=ollama, joined=joined)
        findings += found.findings
    refused = [f for f in findings if f.severity == "error" or (strict and f.severity == "warning")]
    if as_json_text:
        show_json({"ok": not refused, "findings": [finding.plain() for finding in findings]})
    else:
        _tell(findings)
        names = ", ".join(map(str, files))
        warnings = sum(finding.severity == "warning" for finding in findings)
        fine = f"usable, with {counted(warnings, 'warning')}" if warnings else "fine"
        verdict = counted(len(refused), "problem") if refused else fine
        say(f"{names}: {verdict}", style="bold")
    raise SystemExit(1 if refused else 0)


def show(*, file: Path | None, config: Path | None, every: bool, as_json_text: bool) -> None:
    """Print what the file means: macros in place, secrets masked, and where each value comes from."""
    loaded, meaning = _loaded(config_file(config or file))
    shown = shown_options(loaded, meaning, env=os.environ, defaults=every)
    say(as_json(shown) if as_json_text else as_yaml(shown).rstrip("\n"))


def schema(*, markdown: bool) -> None:
    """Print the JSON schema of configuration files, for editors and other tools."""
    if markdown:
        say(reference_page().rstrip("\n"))
    else:
        show_json(json_schema())


def migrate_file(*, file: Path | None, config: Path | None, dry_run: bool, listen: str) -> None:
    """Adapt an old file: a startPort that is our own listen port moves. Comments stay, a backup is kept."""
    file = config_file(config or file)
    port = _address(listen).port
    try:
        text = read(file)
        if dry_run:
            _show_migration(file, text, port)
            return
        sentences: tuple[str, ...] = ()

        def edit(old: str | None) -> str:
            nonlocal sentences
            migrated = migrate(old if old is not None else text, listen_port=port)
            sentences = migrated.changes
            return migrated.text

        written = change(file, edit)
    except ClaraCoreError as error:
        _fail(error)
    for sentence in sentences or (f"{file}: nothing to change",):
        say(sentence)
    if written.backup is not None:
        say(f"{file} written; the old text is in {written.backup}")


def _show_migration(file: Path, text: str, listen_port: int) -> None:
    """Say what would change, as sentences and as a unified diff."""
    migrated = migrate(text, listen_port=listen_port)
    if not migrated.changes:
        say(f"{file}: nothing to change")
        return
    for sentence in migrated.changes:
        say(sentence)
    say(unified_diff(text, migrated.text, str(file), f"{file} (new)").rstrip("\n"))


def diff(*, new: Path, old: Path | None, as_json_text: bool) -> None:
    """Tell which models would restart, come, go or stay if NEW took the place of the present file."""
    changes = compare(_loaded(config_file(old))[1], _loaded(new)[1])
    if as_json_text:
        show_json({key: sorted(ids) for key, ids in _named(changes).items()})
        return
    for title, ids in _named(changes).items():
        if ids:
            say(f"{title}: {', '.join(sorted(ids))}")
    if changes.nothing:
        say("both mean the same")


def _named(changes: Changes) -> dict[str, frozenset[str]]:
    return {
        "added": changes.added,
        "removed": changes.removed,
        "restart": changes.restart,
        "changed without restart": changes.soft,
        "unchanged": changes.kept,
        "settings": frozenset(setting_keys(changes.settings)),
        "settings that need ClaraCore to start anew": frozenset(setting_keys(changes.needs_new_start)),
    }


def _sources(file: Path) -> list[tuple[str, str]]:
    try:
        return read_sources(None, file) if file.is_dir() else read_sources(file)
    except ClaraCoreError as error:
        _fail(error)


def _address(listen: str) -> Listen:
    try:
        return parse_listen(listen)
    except ClaraCoreError as error:
        _fail(error)


def _loaded(file: Path) -> tuple[LoadedConfig, Config]:
    loaded = load_many(_sources(file), env=os.environ)
    if loaded.config is None:
        _tell(loaded.findings)
        raise SystemExit(1)
    return loaded, loaded.config


def _tell(findings: list[Finding] | tuple[Finding, ...]) -> None:
    for finding in findings:
        say(finding, err=True, style=STYLES[finding.severity])


def _fail(error: ClaraCoreError) -> NoReturn:
    end(error.message, 1, error.code)


LISTEN = option("--listen", about="Where ClaraCore will listen, as in `claracore --listen`.", default="5800")
CHECK = {
    "files": word(
        about="Files or folders; by default the usual one: ./config.yaml, else your own.", kind=Path, nargs="*"
    ),
    "config": many("--config", "-c", about="The same, as `serve` has it; may be given more than once.", kind=Path),
    "as_json_text": flag("--json", about="Write the findings as JSON."),
    "strict": flag("--strict", about="Let warnings fail the check too."),
    "listen": LISTEN,
    "ollama": flag("--ollama", about="ClaraCore will serve clients of Ollama, as with `claracore --ollama`."),
}
SHOW = {
    "file": word(about="Configuration file, or a folder of them.", kind=Path, nargs="?"),
    "config": option("--config", "-c", about="The same, as `serve` has it.", kind=Path),
    "every": flag("--all", about="Show options left at their default too."),
    "as_json_text": flag("--json", about="Write a JSON list of path, value, origin."),
}
MIGRATE = {
    "file": word(about="Configuration file.", kind=Path, nargs="?"),
    "config": option("--config", "-c", about="The same, as `serve` has it.", kind=Path),
    "dry_run": flag("--dry-run", about="Only show what would change."),
    "listen": LISTEN,
}
DIFF = {
    "new": word(about="The new file or folder.", kind=Path),
    "old": option("--config", about="The present file or folder.", kind=Path),
    "as_json_text": flag("--json", about="Write JSON."),
}
CONFIG = VerbGroup(
    "Look at, check and migrate configuration files.",
    {
        "check": Verb(check, CHECK),
        "show": Verb(show, SHOW),
        "schema": Verb(schema, {"markdown": flag("--markdown", about="Print the reference page instead.")}),
        "migrate": Verb(migrate_file, MIGRATE),
        "diff": Verb(diff, DIFF),
    },
)
