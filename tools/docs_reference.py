"""What is in docs/reference? Pages that are made from the code.

python tools/docs_reference.py           writes them
python tools/docs_reference.py --check   says whether they are up to date
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from reference import api_page, cli_page, errors_page, metrics_page

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference"
PAGES: Mapping[str, Callable[[], str]] = {
    "api-calls.md": api_page.page,
    "command-line.md": cli_page.page,
    "errors.md": errors_page.page,
    "metrics.md": metrics_page.page,
}


def main() -> int:
    """Write or check the pages; return the exit status."""
    parser = argparse.ArgumentParser(description="Make docs/reference from the code.")
    parser.add_argument("--check", action="store_true", help="only tell whether the pages are up to date")
    wanted = {FOLDER / name: make() for name, make in PAGES.items()}
    if parser.parse_args().check:
        wrong = [page for page, text in wanted.items() if not page.exists() or page.read_text(encoding="utf-8") != text]
        for page in wrong:
            print(f"{page} is out of date: run `python tools/docs_reference.py`")
        return 1 if wrong else 0
    for page, text in wanted.items():
        page.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
