"""How do findings get into the log?"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from claracore.types import Finding

LEVELS = {"error": logging.ERROR, "warning": logging.WARNING, "note": logging.INFO}


def log_findings(findings: Iterable[Finding]) -> None:
    """Log each finding in one line, at the level of its severity."""
    for finding in findings:
        logging.getLogger("claracore").log(LEVELS[finding.severity], "%s", finding.line())
