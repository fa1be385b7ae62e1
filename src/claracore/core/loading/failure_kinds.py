"""For which reasons does a start fail, and which lines of a log may tell? Imported by every start of ClaraCore."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final


class FailureKind(StrEnum):
    """Why a start failed, for programs."""

    MEMORY = "memory"
    NOT_A_MODEL = "not_a_model"
    CUT = "cut"
    SHARD = "shard"
    PROJECTOR = "projector"
    NO_FILE = "no_file"
    CLOSED_FILE = "closed_file"
    LIBRARY = "library"
    OLD_ENGINE = "old_engine"
    FLAG = "flag"
    VALUE = "value"
    DEVICE = "device"
    PROCESSOR = "processor"
    PROGRAM = "program"
    PORT = "port"
    TIME = "time"
    OTHER = "other"


TELLING: Final = re.compile(
    r"rror|nvalid|nknown|ailed|annot|not found|not within|end of file|magic|insufficient|no kernel|split|key not"
    r"|not loaded|only supports"
)
"""In each line that `known_failures` knows."""
TIME_AND_LEVEL: Final = re.compile(r"^\s*\d+\.\d\d\.\d{3}\.\d{3} [A-Z] +")
"""What llama.cpp puts before its lines: `0.00.018.683 E `."""
TELLING_LINES: Final = 200
"""So many of the newest lines that may tell are kept: of some engines all look like errors."""


def plain_line(line: str) -> str:
    """Return a line of a log without what says when it was printed."""
    return TIME_AND_LEVEL.sub("", line).strip()
