"""The documents about the control plane are true."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

from claracore.api.counts import Counts
from claracore.api.create import PARTS

DOCS = Path(__file__).resolve().parents[2] / "docs"
SOURCE = Path(__file__).resolve().parents[2] / "src" / "claracore" / "api"


def test_the_dashboard_asks_for_metrics_that_exist() -> None:
    async def names() -> set[str]:
        return {family.name for family in Counts().families}

    known = asyncio.run(names()) | set(re.findall(r'"(claracore_\w+)"', (SOURCE / "metrics.py").read_text()))
    dashboard = json.loads((DOCS / "grafana-dashboard.json").read_text())
    asked = {
        name
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in re.findall(r"claracore_\w+", target["expr"])
    }
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in asked} - {""} <= known


def test_every_path_is_in_the_document() -> None:
    text = (DOCS / "api.md").read_text()
    for part in PARTS:
        for route in part.router.routes:
            path = str(getattr(route, "path", ""))
            if getattr(route, "include_in_schema", False) and path.startswith(
                ("/api/", "/logs", "/metrics", "/models")
            ):
                stem = re.sub(r"/\{.*", "", path)
                assert stem in text, f"{path} is not in docs/api.md"
