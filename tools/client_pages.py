"""What is in docs/clients: a page for each recipe, and a table that says which clients were run?

    python tools/client_pages.py           writes the pages
    python tools/client_pages.py --check   says whether they are up to date

The recipes are those of the interface (`src/claracore/http/api/recipe_texts`), with examples in their places; what was
run says `tests/clients/runs.json`, which `make test-clients` keeps, and what was not, and why,
`tests/clients/clients.toml`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from pathlib import Path
from typing import Any

from claracore.http.api.recipe import Filling, Recipe, filled, part_for
from claracore.http.api.recipe_shelf import GROUPS, recipes

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs" / "clients"
CLIENTS = ROOT / "tests" / "clients"
EXAMPLE = Filling(address="http://127.0.0.1:5800", model="qwen3-coder", key="none", context=32768)
INTRODUCTION = """\
# Clients

How programs are made to use ClaraCore: lines to paste, one page a program. The interface has the same, filled with your
server's address and your models, on *System* and on each model's page (`GET /api/recipes?model=NAME`). In the pages,
the server is `{address}` and the model `{model}`, with a context of {context} tokens; `{key}` stands for a key where
none is needed. Put yours in their places.

Most programs ask for one of four addresses:

| the program speaks to | address |
|---|---|
| OpenAI | `{address}/v1` |
| Anthropic | `{address}` |
| Ollama | `{address}`, or port 11434 with `--ollama` |
| LM Studio | `{address}` |

`make test-clients` runs what can be installed here, unmodified, with the lines of its page, against a model that plays
a script. In a loop with a tool, the client gets a call of a tool, runs it, and says what came of it.
"""


def main() -> int:
    """Write or check the pages; return the exit status."""
    parser = argparse.ArgumentParser(description="Make docs/clients from the recipes.")
    parser.add_argument("--check", action="store_true", help="only tell whether the pages are up to date")
    wanted = pages()
    if parser.parse_args().check:
        wrong = differing(wanted)
        for name in wrong:
            print(f"docs/clients/{name} is out of date: run `python tools/client_pages.py`")
        return 1 if wrong else 0
    PAGES.mkdir(parents=True, exist_ok=True)
    for stray in {path.name for path in PAGES.glob("*.md")} - wanted.keys():
        (PAGES / stray).unlink()
    for name, text in wanted.items():
        (PAGES / name).write_text(text, encoding="utf-8")
    return 0


def differing(wanted: dict[str, str]) -> list[str]:
    """Return the names of pages that are missing, too many, or have another text."""
    there = {path.name: path.read_text(encoding="utf-8") for path in PAGES.glob("*.md")}
    return sorted(name for name in there.keys() | wanted.keys() if there.get(name) != wanted.get(name))


def pages() -> dict[str, str]:
    """Return the text of each page by its file's name."""
    clients = tomllib.loads((CLIENTS / "clients.toml").read_text(encoding="utf-8"))
    runs = json.loads((CLIENTS / "runs.json").read_text(encoding="utf-8"))
    texts = {f"{recipe.name}.md": page(recipe) for recipe in recipes()}
    return {**texts, "README.md": index(clients, runs)}


def page(recipe: Recipe) -> str:
    """Return the page of a recipe."""
    about = recipe.about[0].upper() + recipe.about[1:]
    return f"# {recipe.title}\n\n{about}. [All clients](README.md)\n\n{filled(part_for(recipe.text, None), EXAMPLE)}"


def index(clients: dict[str, Any], runs: dict[str, Any]) -> str:
    """Return the page with the table of all clients."""
    places = {place: getattr(EXAMPLE, place) for place in ("address", "model", "key", "context")}
    lines = [INTRODUCTION.format(**places)]
    for group in GROUPS:
        lines += [f"## {group}\n", "| client | run here | what was seen |", "|---|---|---|"]
        for recipe in (recipe for recipe in recipes() if recipe.group == group):
            mine = {name: client for name, client in clients.items() if client["recipe"] == recipe.name}
            lines += [row(recipe, name, client, runs.get(name)) for name, client in mine.items()]
        lines.append("")
    return "\n".join(lines)


def row(recipe: Recipe, name: str, client: dict[str, Any], run: dict[str, Any] | None) -> str:
    """Return the row of one client."""
    link = f"[{client.get('title', name)}]({recipe.name}.md)"
    if run is None:
        why = client.get("not_run", "not yet")
        return f"| {link} | no: {why} | |"
    return f"| {link} | {run['version']}, {run['date']} | {client.get('seen', 'a loop with a tool')} |"


if __name__ == "__main__":
    sys.exit(main())
