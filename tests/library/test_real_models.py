"""The official `gguf` package reads real models as we do. It takes seconds for a vocabulary."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoo.oracle import assert_same

MODELS = sorted((Path(__file__).resolve().parents[2] / ".models").rglob("*.gguf"))


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=pytest.mark.slow if "gemma" in path.name else ()) for path in MODELS],
    ids=lambda path: path.name,
)
def test_real_models(path: Path) -> None:
    """Gemma is slow because the oracle takes 10 s and 700 MB for its vocabulary."""
    assert_same(path)
