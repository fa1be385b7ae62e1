"""docs/clients says what the interface says, and only of clients that were run that they were."""

from __future__ import annotations

import json
from typing import Any

from claracore.http.api.recipe_shelf import recipes
from clients.cases import CASES
from clients.install import Client, clients
from clients.run import RUNS
from tool import tool

pages = tool("client_pages")
TABLE = clients()


def test_the_pages_are_up_to_date() -> None:
    assert not pages.differing(pages.pages()), "run: python tools/client_pages.py"


def test_a_changed_recipe_is_noticed(monkeypatch: Any, tmp_path: Any) -> None:
    wanted = pages.pages()
    for name, text in wanted.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(pages, "PAGES", tmp_path)
    (tmp_path / "codex.md").write_text("something else")
    (tmp_path / "gone.md").write_text("a client that was")
    assert pages.differing(wanted) == ["codex.md", "gone.md"]


def test_every_recipe_has_its_row_and_every_row_its_recipe() -> None:
    assert {client.recipe for client in TABLE.values()} == {recipe.name for recipe in recipes()}


def test_a_client_is_run_or_it_is_told_why_not() -> None:
    for client in TABLE.values():
        assert (client.name in CASES) != bool(client.not_run), client.name
    assert TABLE.keys() >= CASES.keys()


def test_versions_are_exact() -> None:
    for client in TABLE.values():
        for package in client.npm:
            assert package.rpartition("@")[0], package
        assert all("==" in package for package in client.pypi), client.pypi


def test_runs_are_of_the_versions_in_the_table() -> None:
    runs = json.loads(RUNS.read_text())
    assert runs.keys() <= CASES.keys()
    for name, run in runs.items():
        assert run["version"] == version_of(TABLE[name]), f"{name}: make test-clients CLIENTS={name} RECORD=1"


def version_of(client: Client) -> str:
    return client.version or "as it is"
