"""The command line, run in this process."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest.mock import patch

from claracore.cli.root import dispatch


@dataclass(frozen=True)
class Result:
    """What came of it; `exception` is what `root.run` makes a message of."""

    exit_code: int
    stdout: str
    stderr: str
    exception: Exception | None

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


def invoke(words: Sequence[object], *, typed: str = "") -> Result:
    """Do what the words say, with `typed` on stdin."""
    out, err, code, failure = io.StringIO(), io.StringIO(), 0, None
    with redirect_stdout(out), redirect_stderr(err), patch.object(sys, "stdin", io.StringIO(typed)):
        try:
            dispatch([str(word) for word in words])
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            code, failure = 1, error
    return Result(code, out.getvalue(), err.getvalue(), failure)
