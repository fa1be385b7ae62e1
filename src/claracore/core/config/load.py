"""What configuration does a YAML text describe, and what is wrong with it?

Text -> tree with places -> macros in place -> typed values -> checks across the file. All problems are found at once,
each with its place; no text raises. Later steps: merge.py for several files, checks.py for what one value cannot know
alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from claracore.core.config.checks import Checker
from claracore.core.config.macros import Expander, Scope
from claracore.core.config.merge import merge
from claracore.core.config.model import Config
from claracore.core.config.report import Places, Report
from claracore.core.config.tree import MappingNode, ParsedText, Unreadable
from claracore.core.config.typed import read_config
from claracore.core.garbage import no_collection
from claracore.types import SEVERITY_ORDER, Finding, Place


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """What came of a text: `config` is None exactly if a finding is an error. `places` maps dotted paths to places."""

    config: Config | None
    findings: tuple[Finding, ...]
    places: Mapping[str, Place]
    root: MappingNode
    """The text's tree, for those who show where a value comes from."""
    written: MappingNode
    """The same before environment variables have come into its keys."""


def load(text: str, *, file: str = "config.yaml", env: Mapping[str, str], strict: bool = False) -> LoadedConfig:
    """Load one text. `env` is the environment for `${env.NAME}`; `strict` makes unknown keys errors."""
    return load_many([(file, text)], env=env, strict=strict)


@no_collection()
def load_parsed(parsed: ParsedText, *, env: Mapping[str, str], strict: bool = False) -> LoadedConfig:
    """Load a text that is parsed already, as `load` does."""
    return _loaded([parsed], Report(), env=env, strict=strict)


@no_collection()
def load_many(
    sources: Sequence[tuple[str, str]],
    *,
    env: Mapping[str, str],
    strict: bool = False,
    parsed_beside: Sequence[ParsedText] = (),
) -> LoadedConfig:
    """Load and merge several (file, text), in order: mappings merge, lists join, differing scalars are an error.

    `parsed_beside` are more of them that are parsed already, and come last.
    """
    report = Report()
    parsed: list[ParsedText] = []
    for file, text in sources:
        try:
            parsed.append(ParsedText.of(text, file))
        except Unreadable as error:
            report.findings.append(error.finding)
    files = [file for file, _text in sources]
    return _loaded([*parsed, *parsed_beside], report, files or ["config.yaml"], env=env, strict=strict)


def _loaded(
    parsed: Sequence[ParsedText],
    report: Report,
    names: Sequence[str] = (),
    *,
    env: Mapping[str, str],
    strict: bool,
) -> LoadedConfig:
    """Load what could be parsed of the files `names` (in their order); `report` has what could not."""
    root = parsed[0].root if parsed else MappingNode(names[0])
    written = root
    config: Config | None = None
    for source in parsed:
        report.findings += source.findings
    try:
        if parsed:
            root = written = merge([source.root for source in parsed], report)
        expander = Expander(env, report)
        if any("${env." in source.text for source in parsed):
            root = expander.name_keys(root)
        config = _read(root, expander, strict=strict)
    except Unreadable as error:
        report.findings.append(error.finding)
    files = {file: number for number, file in enumerate(names)}

    def weight(finding: Finding) -> tuple[int, int, int, int]:
        place = finding.place or root.place
        return SEVERITY_ORDER[finding.severity], files.get(place.file, 0), place.line, place.column

    return LoadedConfig(
        None if report.failed else config, tuple(sorted(report.findings, key=weight)), Places(root), root, written
    )


def _read(root: MappingNode, expander: Expander, *, strict: bool) -> Config:
    declared = root.entries.get("macros")
    scope = expander.scope(Scope(), declared[1] if declared else None, ("macros",))
    config, broken = read_config(root, expander, scope, strict=strict)
    return Checker(config, root, expander.report, broken).effective()
