"""How do findings and changes of a configuration look in JSON?"""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel

from claracore.core.config.changes import Changes, setting_keys
from claracore.types import Finding, Severity


class FindingView(BaseModel):
    """Something a person should know, where it is, and what to do about it."""

    severity: Severity
    message: str
    path: str
    file: str | None
    line: int | None
    column: int | None
    way_out: str


class ChangesView(BaseModel):
    """Model ids by what happens to them; `settings` are options outside `models`."""

    added: list[str]
    removed: list[str]
    restart: list[str]
    soft: list[str]
    kept: list[str]
    settings: list[str]
    needs_new_start: list[str]
    """Of the settings, those that act only when ClaraCore starts anew."""


def finding_views(findings: Iterable[Finding]) -> list[FindingView]:
    """Return findings as JSON shows them."""
    return [FindingView.model_validate(finding.plain()) for finding in findings]


def changes_view(changes: Changes) -> ChangesView:
    """Return changes as JSON shows them."""
    return ChangesView(
        added=sorted(changes.added),
        removed=sorted(changes.removed),
        restart=sorted(changes.restart),
        soft=sorted(changes.soft),
        kept=sorted(changes.kept),
        settings=setting_keys(changes.settings),
        needs_new_start=setting_keys(changes.needs_new_start),
    )
