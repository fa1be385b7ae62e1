"""Fixtures that several folders of tests share."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

# A suite that a shell has put into its background ignores Ctrl-C, and all of its children would, too.
signal.signal(signal.SIGINT, signal.default_int_handler)

MODELS = Path(__file__).resolve().parents[1] / ".models"


def model_file(relative: str) -> Path:
    path = MODELS / relative
    if not path.exists():
        pytest.fail(f"{path} is missing: run `make models`")
    return path


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """SmolLM2-135M-Instruct Q4_1: a small real chat model."""
    return model_file("smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")


@pytest.fixture(scope="session")
def gemma() -> Path:
    """gemma-3-270m Q4_K_M: another real model, with sliding windows."""
    return model_file("gemma/gemma-3-270m-q4_k_m.gguf")
