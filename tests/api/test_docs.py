"""The documents about the control plane are true."""

from __future__ import annotations

import re
from pathlib import Path

from claracore.http.api.create import ROUTERS

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_every_path_is_in_the_document() -> None:
    text = (DOCS / "api.md").read_text()
    for module in ROUTERS:
        for route in module.router.routes:
            path = str(getattr(route, "path", ""))
            if getattr(route, "include_in_schema", False) and path.startswith(
                ("/api/", "/logs", "/metrics", "/models")
            ):
                stem = re.sub(r"/\{.*", "", path)
                assert stem in text, f"{path} is not in docs/api.md"
