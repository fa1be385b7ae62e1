"""`claracore config ...`: check, show, schema, migrate, diff."""

from __future__ import annotations

import difflib
import json
import os
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from claracore.core.config.changes import Changes, compare
from claracore.core.config.load import Loaded, load_many
from claracore.core.config.migrate import migrate
from claracore.core.config.model import Config
from claracore.core.config.schema import json_schema, reference_page
from claracore.core.config.show import as_json, as_yaml, shown_options
from claracore.core.ports.listen import Listen, parse_listen
from claracore.errors import ClaraCoreError
from claracore.host.setup.examine import examine
from claracore.host.store.files import change, read, read_sources
from claracore.types import Finding

DEFAULT_FILE = Path("config.yaml")
COLOURS = {"error": typer.colors.RED, "warning": typer.colors.YELLOW, "note": typer.colors.BLUE}

config_app = typer.Typer(no_args_is_help=True, help="Look at, check and migrate configuration files.")

FileArgument = Annotated[Path, typer.Argument(help="Configuration file, or a folder of them.", show_default=True)]
ListenOption = Annotated[str, typer.Option(help="Where ClaraCore will listen, as in `claracore --listen`.")]


@config_app.command()
def check(
    files: Annotated[list[Path] | None, typer.Argument(help="Files or folders; by default ./config.yaml.")] = None,
    as_json_text: Annotated[bool, typer.Option("--json", help="Write the findings as JSON.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Let warnings fail the check too.")] = False,
    listen: ListenOption = "5800",
) -> None:
    """Check files: exit 0 if they can be used, 1 if not. Unknown keys are errors here."""
    findings: list[Finding] = []
    for file in files or [DEFAULT_FILE]:
        sources, address = _sources(file), _address(listen)
        findings += examine(sources, env=os.environ, listen=address, strict=True).findings
    refused = [f for f in findings if f.severity == "error" or (strict and f.severity == "warning")]
    if as_json_text:
        print(json.dumps({"ok": not refused, "findings": [_plain(finding) for finding in findings]}, indent=2))
    else:
        _tell(findings)
        names = ", ".join(map(str, files or [DEFAULT_FILE]))
        warnings = sum(finding.severity == "warning" for finding in findings)
        fine = f"usable, with {_counted(warnings, 'warning')}" if warnings else "fine"
        verdict = _counted(len(refused), "problem") if refused else fine
        typer.secho(f"{names}: {verdict}", bold=True)
    raise typer.Exit(1 if refused else 0)


@config_app.command()
def show(
    file: FileArgument = DEFAULT_FILE,
    every: Annotated[bool, typer.Option("--all", help="Show options left at their default too.")] = False,
    as_json_text: Annotated[bool, typer.Option("--json", help="Write a JSON list of path, value, origin.")] = False,
) -> None:
    """Print what the file means: macros in place, secrets masked, and where each value comes from."""
    loaded, config = _loaded(file)
    shown = shown_options(loaded, config, env=os.environ, defaults=every)
    typer.echo(as_json(shown) if as_json_text else as_yaml(shown).rstrip("\n"))


@config_app.command()
def schema(
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the reference page instead.")] = False,
) -> None:
    """Print the JSON schema of configuration files, for editors and other tools."""
    typer.echo(reference_page().rstrip("\n") if markdown else json.dumps(json_schema(), indent=2))


@config_app.command("migrate")
def migrate_file(
    file: Annotated[Path, typer.Argument(help="Configuration file.")] = DEFAULT_FILE,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="The same, as `serve` has it.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    listen: ListenOption = "5800",
) -> None:
    """Adapt an old file: a startPort that is our own listen port moves. Comments stay, a backup is kept."""
    file = config or file
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
        typer.echo(sentence)
    if written.backup is not None:
        typer.echo(f"{file} written; the old text is in {written.backup}")


def _show_migration(file: Path, text: str, listen_port: int) -> None:
    """Say what would change, as sentences and as a unified diff."""
    migrated = migrate(text, listen_port=listen_port)
    if not migrated.changes:
        typer.echo(f"{file}: nothing to change")
        return
    for sentence in migrated.changes:
        typer.echo(sentence)
    before, after = text.splitlines(keepends=True), migrated.text.splitlines(keepends=True)
    typer.echo("".join(difflib.unified_diff(before, after, str(file), f"{file} (new)")).rstrip("\n"))


@config_app.command()
def diff(
    new: Annotated[Path, typer.Argument(help="The new file or folder.")],
    old: Annotated[Path, typer.Option("--config", help="The present file or folder.")] = DEFAULT_FILE,
    as_json_text: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
) -> None:
    """Tell which models would restart, come, go or stay if NEW took the place of the present file."""
    changes = compare(_loaded(old)[1], _loaded(new)[1])
    if as_json_text:
        print(json.dumps({key: sorted(ids) for key, ids in _named(changes).items()}, indent=2))
        return
    for title, ids in _named(changes).items():
        if ids:
            typer.echo(f"{title}: {', '.join(sorted(ids))}")
    if changes.nothing:
        typer.echo("both mean the same")


def _named(changes: Changes) -> dict[str, frozenset[str]]:
    return {
        "added": changes.added,
        "removed": changes.removed,
        "restart": changes.restart,
        "changed without restart": changes.soft,
        "unchanged": changes.kept,
        "settings": changes.settings,
        "settings that need ClaraCore to start anew": changes.needs_new_start,
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


def _loaded(file: Path) -> tuple[Loaded, Config]:
    loaded = load_many(_sources(file), env=os.environ)
    if loaded.config is None:
        _tell(loaded.findings)
        raise typer.Exit(1)
    return loaded, loaded.config


def _tell(findings: list[Finding] | tuple[Finding, ...]) -> None:
    for finding in findings:
        typer.secho(str(finding), err=True, fg=COLOURS[finding.severity])


def _plain(finding: Finding) -> dict[str, str | int | None]:
    place = finding.place
    return {
        "severity": finding.severity,
        "message": finding.message,
        "path": finding.path,
        "way_out": finding.way_out,
        "file": place.file if place else None,
        "line": place.line if place else None,
        "column": place.column if place else None,
    }


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _fail(error: ClaraCoreError) -> NoReturn:
    typer.secho(error.message, err=True, fg=typer.colors.RED)
    raise typer.Exit(1) from error
