"""Which commands are in the papers, and what is said of running them?

A fence of a shell (`sh`, `bash`, `console`) or of Python is run by tests/docs/test_commands.py, page by page. A comment
on the line before says otherwise: `<!-- not run: REASON -->` with one of `REASONS`, or `LONG`. A fence whose first line
names a file (`yaml config.yaml`) is that file while the page is run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REASONS = frozenset({"root", "a GPU", "another machine", "the network", "another program", "another platform"})
"""What a command may need that is not here."""
LONG = "<!-- run by make test-long -->"
MARK = re.compile(r"<!-- not run: (.*) -->")
SHELLS = frozenset({"sh", "bash", "shell", "console"})
OPENING = re.compile(r"(?P<indent> *)```(?P<language>\w*) *(?P<name>.*)")
COMMAND = r"(?:\$ +\S|(?:claracore|curl|make|pipx?|kubectl|sudo|systemctl|docker|podman|llama-server) )"
INDENTED, UNLABELLED = (re.compile(rf"^{indent}{COMMAND}", re.MULTILINE) for indent in (" {4,}", ""))
"""What looks like a command, but is in no fence of a shell."""


@dataclass(frozen=True)
class Fence:
    """One block between fences, without the indentation of the list that it is in."""

    page: Path
    line: int
    language: str
    name: str
    text: str
    before: str
    """The line before it."""

    @property
    def commands(self) -> str:
        """The script that it is: of a console what follows `$ `."""
        if self.language != "console":
            return self.text
        return "".join(line.removeprefix("$ ") + "\n" for line in self.text.splitlines() if line.startswith("$ "))

    @property
    def excuse(self) -> str | None:
        """Why it is not run; None for one that is."""
        found = MARK.fullmatch(self.before.strip())
        return found[1] if found is not None else None

    @property
    def is_long(self) -> bool:
        return self.before.strip() == LONG

    @property
    def is_shell(self) -> bool:
        return self.language in SHELLS

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def fences(page: Path) -> Iterator[Fence]:
    """Return the fences of a page, in order."""
    lines = page.read_text(encoding="utf-8").splitlines()
    number, before = 0, ""
    while number < len(lines):
        opening = OPENING.fullmatch(lines[number])
        if opening is None:
            before = lines[number]
            number += 1
            continue
        end = next(n for n in range(number + 1, len(lines)) if lines[n].strip() == "```")
        text = "".join(line.removeprefix(opening["indent"]) + "\n" for line in lines[number + 1 : end])
        yield Fence(page, number + 1, opening["language"], opening["name"], text, before)
        number, before = end + 1, ""


def papers() -> list[Path]:
    """Return the pages whose commands are run; those of docs/clients are texts that `make test-clients` runs."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*.md")]
    return sorted(page for page in found if page.parent.name != "clients" and page.name != "CHANGELOG.md")
