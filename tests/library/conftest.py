"""A hub with one small model, and no proxy in between."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fakes.fake_hub import FakeHub, fake_hub
from library.desk import BODY, NAME, REPO


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    files = {NAME: BODY, "tiny-Q8_0.gguf": BODY[:-5], "README.md": b"# tiny"}
    with fake_hub(repos={REPO: files}) as hub:
        yield hub
        for fault in hub.faults:
            fault.release.set()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")  # which the library asks the process for, and not us
