"""How do the files of docs/ become a site?

`python tools/docs_site.py build/site` writes it there; `make docs` does so. The files are written for a code host, and
are the site's pages as they are, but for three things: papers of the root and examples/ lie beside them, so that links
to them lead to pages; `README.md` is the page of its folder; and what stands behind the language of a fence (`yaml
config.yaml`) is the title of the box. Zensical checks links and anchors, and ends with an error for a wrong one.

A page that the navigation does not name is put under its last heading: nobody has to touch this file to add one.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAPERS = {
    "ARCHITECTURE.md": "develop/architecture.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "develop/contributing.md",
    "SECURITY.md": "security.md",
    "compose.yaml": "compose.yaml",
}
"""Papers outside docs/ that pages link to, and where they are in the site."""

OTHERS = "More"
NAVIGATION: Mapping[str, tuple[str, ...]] = {
    "": ("index.md",),
    "Guides": (
        "guides/first-model.md",
        "guides/coding-agent.md",
        "guides/documents.md",
        "guides/home-server.md",
        "guides/two-gpus.md",
        "guides/several-machines.md",
        "guides/from-*.md",
        "guides/*.md",
    ),
    "Models": (
        "setup.md",
        "downloads.md",
        "memory.md",
        "tuning.md",
        "conversations.md",
        "model-names.md",
        "engines.md",
        "engines/*.md",
    ),
    "Running it": (
        "web-interface.md",
        "service.md",
        "container.md",
        "proxies.md",
        "machines.md",
        "ports.md",
        "security.md",
        "threat-model.md",
        "performance.md",
    ),
    "Reference": (
        "configuration.md",
        "reference/command-line.md",
        "api.md",
        "reference/api-calls.md",
        "reference/metrics.md",
        "reference/errors.md",
        "reference/*.md",
        "llama-swap.md",
        "examples/index.md",
        "changelog.md",
    ),
    "Programs": ("clients/index.md", "clients/*.md"),
    "Development": ("develop/contributing.md", "develop/architecture.md", "develop/*.md"),
    OTHERS: ("**/*.md",),
}
"""Headings, and the pages below each: patterns of paths in the site, first come first served."""


LINK = re.compile(r"(!?\[(?:[^\[\]]|\[[^\]]*\])*\]\()([^)\s#:]+)((?:#[^)\s]*)?\))")
FENCE = re.compile(r"^( *)```(\w+) +(\S[^\n]*)$", re.MULTILINE)
CODE = re.compile(r"(^ *```.*?^ *```|`[^`\n]+`)", re.DOTALL | re.MULTILINE)


class WrongLink(Exception):
    """A page links to what is neither a page nor a file of the site."""


class BuildFailed(Exception):
    """Zensical objects to something; its words say to what."""


def placed(root: Path) -> dict[Path, Path]:
    """Return where each file of the repository that belongs to the site is in it: relative paths, from and to."""
    found = {Path(source): Path(target) for source, target in PAPERS.items() if (root / source).is_file()}
    for folder, target in (("docs", Path()), ("examples", Path("examples"))):
        for file in sorted((root / folder).rglob("*")):
            if file.is_file():
                relative = target / file.relative_to(root / folder)
                found[file.relative_to(root)] = relative.with_name(relative.name.replace("README.md", "index.md"))
    return found


def as_page(text: str, source: Path, places: Mapping[Path, Path]) -> str:
    """Return the text of the page that `source` becomes. Raises WrongLink."""

    def moved(link: re.Match[str]) -> str:
        target = Path(os.path.normpath(source.parent / link[2]))
        if target not in places:
            raise WrongLink(f"{source}: {link[2]} is not in the site")
        return link[1] + os.path.relpath(places[target], places[source].parent) + link[3]

    pieces = CODE.split(text)
    pieces[::2] = [LINK.sub(moved, piece) for piece in pieces[::2]]
    return FENCE.sub(r'\1```\2 title="\3"', "".join(pieces))


def lay_out(root: Path, target: Path) -> None:
    """Write pages and files into `target`. Raises WrongLink."""
    places = placed(root)
    for source, place in places.items():
        (target / place).parent.mkdir(parents=True, exist_ok=True)
        if place.suffix == ".md":
            text = (root / source).read_text(encoding="utf-8")
            (target / place).write_text(as_page(text, source, places), encoding="utf-8")
        else:
            shutil.copyfile(root / source, target / place)


def navigation(pages: Path) -> list[tuple[str, list[str]]]:
    """Return the headings with the pages below each; those without a page are left out."""
    left = {str(page.relative_to(pages)) for page in pages.rglob("*.md")}
    found = []
    for heading, patterns in NAVIGATION.items():
        listed: list[str] = []
        for pattern in patterns:
            named = sorted(name for name in left if name in {str(p.relative_to(pages)) for p in pages.glob(pattern)})
            listed += named
            left -= set(named)
        if listed:
            found.append((heading, listed))
    return found


def title(page: Path) -> str:
    """Return what the navigation calls a page: its heading, without what a colon separates from it."""
    first = page.read_text(encoding="utf-8").partition("\n")[0]
    return re.sub(r"[`#]", "", first).strip().partition(": ")[0]


def settings(pages: Path) -> str:
    """Return zensical.toml with folders and navigation."""
    text = (ROOT / "zensical.toml").read_text(encoding="utf-8")
    lines = []
    for heading, listed in navigation(pages):
        inside = ", ".join(f"{{ {json.dumps(title(pages / name))} = {json.dumps(name)} }}" for name in listed)
        lines.append(f'  {{ "{heading}" = [{inside}] }},' if heading else f"  {inside},")
    ours = [f'docs_dir = "{pages.name}"', 'site_dir = "site"', "nav = [", *lines, "]"]
    return text.replace("[project]\n", "\n".join(["[project]", *ours, ""]), 1)


def build(site: Path, root: Path = ROOT) -> None:
    """Build the site of `root` into `site`, in the place of one that is there. Raises WrongLink, BuildFailed."""
    site.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="docs-", dir=site.parent) as folder:
        work = Path(folder)
        lay_out(root, work / "pages")
        (work / "zensical.toml").write_text(settings(work / "pages"), encoding="utf-8")
        command = [sys.executable, "-m", "zensical", "build", "--strict"]
        done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BuildFailed(f"{done.stdout}{done.stderr.partition('Traceback')[0]}")
        shutil.rmtree(site, ignore_errors=True)
        (work / "site").rename(site)


if __name__ == "__main__":
    try:
        place = Path(sys.argv[1] if sys.argv[1:] else "build/site")
        build(place.absolute())
        print(place / "index.html")
    except (WrongLink, BuildFailed) as error:
        sys.exit(str(error))
