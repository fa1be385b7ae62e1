"""What is compiled is tested again on machine code: `make test-compiled` names the tests of every part that is."""

from __future__ import annotations

import re
from pathlib import Path

from compile import ROOMS

ROOT = Path(__file__).resolve().parents[2]


def test_every_compiled_part_is_tested_compiled() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    found = re.search(r"^PARTS_OF_COMPILED := \$\(addprefix tests/,(.*)\)$", makefile, re.MULTILINE)
    assert found is not None
    folders = set(found[1].split())
    assert {room.rpartition("/")[2] for room in ROOMS} <= folders
    assert not [folder for folder in folders if not (ROOT / "tests" / folder).is_dir()]
