"""Does what failed in the last run of the tests fail every time?

    python tools/rerun_failed.py

Runs once more, by itself and in one process, what pytest's cache says has failed, and says of each what came of it. The
exit code is 0 only if all of it passes now and is listed in tests/unsteady.txt: whatever else fails now and then is
a fault of the product or of the test, and is to be looked into.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LAST_FAILED = Path(".pytest_cache", "v", "cache", "lastfailed")
UNSTEADY = ROOT / "tests" / "unsteady.txt"


def last_failed(folder: Path) -> list[str]:
    """Return the ids of the tests that failed when pytest last ran in this folder."""
    try:
        return sorted(json.loads((folder / LAST_FAILED).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return []


def unsteady(text: str) -> dict[str, str]:
    """Return the reason for each test id. A line is `tests/part/test_file.py::test_name[case] # reason`, or a comment.

    Raises ValueError for a line without an id or without a reason.
    """
    reasons = {}
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            test, _, reason = line.partition(" # ")
            if "::" not in test or not reason.strip():
                raise ValueError(f"not `test id # reason`: {line}")
            reasons[test] = reason.strip()
    return reasons


def verdicts(failed: Collection[str], again: Collection[str], reasons: Mapping[str, str]) -> list[str]:
    """Return why the run stays a failure: one sentence for each test that failed `again` or has no reason to."""
    return [
        f"{test}: fails every time" if test in again else f"{test}: failed, then passed, and is not in {UNSTEADY.name}"
        for test in failed
        if test in again or test not in reasons
    ]


def main() -> int:
    """Run them; return the exit code."""
    failed = last_failed(ROOT)
    if not failed:
        print("no test failed: something else did")
        return 1
    print(f"FAILED AT FIRST, see above; once more, only these {len(failed)}:", flush=True)
    code = subprocess.run([sys.executable, "-m", "pytest", *failed], cwd=ROOT, check=False).returncode
    told = verdicts(failed, last_failed(ROOT), unsteady(UNSTEADY.read_text(encoding="utf-8")))
    print("\n".join(told))
    return 1 if code or told else 0


if __name__ == "__main__":
    sys.exit(main())
