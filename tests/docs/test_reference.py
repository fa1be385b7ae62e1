"""The reference pages are those of the code, and lack nothing of it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from docs_reference import FOLDER, PAGES
from reference.cli_page import verbs
from reference.errors_page import kinds_of_errors
from reference.metrics_page import of_this_moment

from claracore.cli.examples import EXAMPLES, EXITS_OF, LONG, NEEDS
from claracore.cli.verb import shielded
from claracore.core.loading.known_failures import KNOWN
from claracore.errors import ClaraCoreError
from claracore.host.activity.counts import Counts
from docs.fences import REASONS, ROOT

SOURCE = ROOT / "src" / "claracore"


@pytest.mark.parametrize(("name", "make"), PAGES.items(), ids=lambda value: value if isinstance(value, str) else "")
def test_a_page_is_current(name: str, make: Callable[[], str]) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == make(), "run: make docs-reference"


def test_there_is_no_other_page() -> None:
    assert {page.name for page in FOLDER.iterdir()} == set(PAGES)


def test_every_error_says_its_cause_and_the_way_out_itself() -> None:
    silent = [kind.__name__ for kind in kinds_of_errors() if not {"cause", "way_out"} <= kind.__dict__.keys()]
    assert not silent, f"give these a cause and a way_out beside their code: {silent}"
    for kind in kinds_of_errors():
        assert kind.cause.endswith("."), kind
        assert kind.way_out.endswith("."), kind


def test_every_code_in_the_source_is_in_the_reference() -> None:
    page = (FOLDER / "errors.md").read_text(encoding="utf-8")
    code = re.compile(r"^\s+code(?:: [^=]+)? = \"(\w+)\"", re.MULTILINE)
    found = {name for file in SOURCE.rglob("*.py") for name in code.findall(file.read_text(encoding="utf-8"))}
    missing = sorted(name for name in found if f"| `{name}` |" not in page)
    assert len(found) > 40
    assert not missing, f"no cause and no way out: {missing}"


def test_an_error_without_a_cause_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(ClaraCoreError):
        code = "silent"

    monkeypatch.setitem(globals(), "kinds_of_errors", lambda: [Silent])
    with pytest.raises(AssertionError, match="Silent"):
        test_every_error_says_its_cause_and_the_way_out_itself()


def test_every_known_failure_has_a_way_out() -> None:
    assert all(failure.cause and failure.way_out for failure in KNOWN)


def test_every_verb_has_an_example_that_it_understands() -> None:
    found = dict(verbs())
    assert EXAMPLES.keys() == found.keys(), "src/claracore/cli/examples.py names each verb"
    assert EXITS_OF.keys() | NEEDS.keys() | LONG <= found.keys()
    assert set(NEEDS.values()) <= REASONS
    for name, lines in EXAMPLES.items():
        for line, _why in lines:
            words = shlex.split(line.partition(" > ")[0])[1 + len(name.split()) :]
            found[name].parser(name).parse_intermixed_args(shielded(words, found[name].takes.values()))


def test_every_metric_in_the_source_is_in_the_reference() -> None:
    page = (FOLDER / "metrics.md").read_text(encoding="utf-8")
    named = {family.name for family in (*Counts().families, *of_this_moment())}
    files = (SOURCE / "host" / "activity" / "counts.py", SOURCE / "http" / "api" / "metrics.py")
    written = {
        name for file in files for name in re.findall(r"\"((?:claracore|process)_\w+)\"", Path(file).read_text())
    }
    assert written == named
    assert all(f"`{name}`" in page for name in named)
