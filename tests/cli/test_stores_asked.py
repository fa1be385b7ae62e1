"""What a person is asked about the models that were found: of one store, of one model, of several."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from claracore.cli.stores import ask
from claracore.host.library.model import LibraryModel
from claracore.host.library.stores import FoundStores, ModelStore


@pytest.mark.parametrize(
    ("models", "stores", "question"),
    [
        (1, 1, "Use it? [Enter: yes, n: no] "),
        (2, 1, "Use them? [Enter: yes, n: no] "),
        (2, 2, "Use them? [Enter: all, n: none, or numbers such as 1,3] "),
    ],
)
def test_the_question_has_the_number_of_what_was_found(
    models: int, stores: int, question: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.input", lambda: "")
    each = cast("tuple[LibraryModel, ...]", (object(),) * (models // stores))
    kept = tuple(ModelStore(f"Ollama {number}", Path("/o"), each, 1) for number in range(stores))
    found = FoundStores(kept, (), each * stores)
    assert ask(found) == list(found.stores)
    assert capsys.readouterr().out == question
