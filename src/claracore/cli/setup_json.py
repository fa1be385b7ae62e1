"""How are a set-up and a placement printed for programs?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from claracore.core.fit.plan import Placement
from claracore.core.fit.speed import ModelSpeed
from claracore.core.ports.listen import parse_listen
from claracore.host.setup.write import SetupReport


def placement_json(placement: Placement) -> dict[str, Any]:
    """Return a placement as plain data."""
    rows = [asdict(row) for row in placement.estimate.rows]
    return {
        "verdict": placement.verdict.value,
        "fits": placement.fits,
        "reason": placement.reason,
        "context_reason": placement.context_reason,
        "settings": asdict(placement.settings),
        "rows": rows,
        "total_bytes": placement.estimate.total,
        "budget": asdict(placement.budget),
    }


def report_json(report: SetupReport, listen: str, speeds: Mapping[str, ModelSpeed]) -> dict[str, Any]:
    """Return a report as plain data."""
    from claracore.cli.setup_tables import model_rows  # noqa: PLC0415 - see console.py

    merged = report.merged
    return {
        "path": str(report.path),
        "written": report.written,
        "changed": report.changed,
        "backup": str(report.backup) if report.backup else None,
        "engine": report.engine_name,
        "hardware": asdict(report.hardware),
        "models": [asdict(row) for row in model_rows(report, parse_listen(listen), speeds)],
        "left_out": [
            *({"path": str(left.path), "reason": left.reason} for left in report.left_out),
            *({"path": item.candidate.path, "reason": item.placement.reason} for item in report.catalog.refused),
        ],
        "changes": None
        if merged is None
        else {
            "added": merged.added,
            "refreshed": merged.refreshed,
            "kept": merged.kept,
            "vanished": merged.vanished,
            "returned": merged.returned,
            "notes": merged.notes,
        },
        "diff": report.diff,
        "text": report.text,
    }
