"""Engines in the browser: from an empty home to one that serves, another build, back again, and what goes wrong."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from engines.releases import Stand, build, stand_in
from fakes import command
from ui.stand import ARTEFACTS, Server, from_nothing
from ui.test_first_start import accessible

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the builds are for Linux")

SERVES = "exec " + " ".join(f'"{word}"' for word in command()) + ' "$@"'
SLOW = 60_000
WITHOUT_WHEEL = """import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "xllamacpp" else found(name, *more)
"""
"""As where the embedded engine is not installed."""


@pytest.fixture
def stand() -> Iterator[Stand]:
    with stand_in() as running:
        running.add("b1000", build(1000, SERVES, weight=os.urandom(6 << 20)))
        yield running


@pytest.fixture
def server(stand: Stand, tmp_path: Path) -> Iterator[Server]:
    """A server in an empty home, on a machine without an engine."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(WITHOUT_WHEEL)
    path = ":".join(place for place in os.environ["PATH"].split(":") if not (Path(place) / "llama-server").exists())
    environ = {"CLARACORE_RELEASES_URL": stand.url, "HF_ENDPOINT": "http://127.0.0.1:9", "NO_PROXY": "*"}
    with from_nothing(tmp_path, **environ, PATH=path, PYTHONPATH=str(tmp_path / "site")) as server:
        yield server


def shot(page: Page, name: str) -> None:
    """Take a picture in both themes, and on a phone."""
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.screenshot(path=ARTEFACTS / f"engines-{name}-{theme}.png", full_page=True)
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.screenshot(path=ARTEFACTS / f"engines-{name}-phone.png", full_page=True)
    page.set_viewport_size({"width": 1360, "height": 860})


def test_an_empty_home_gets_an_engine_by_one_click_and_a_failure_is_said(
    page: Page, server: Server, stand: Stand
) -> None:
    stand.held = threading.Event()
    page.goto(f"{server.url}/ui/setup")
    step = page.get_by_role("region", name="Engine")
    expect(step).to_contain_text("No engine yet: install the CPU build", timeout=SLOW)
    shot(page, "step")
    accessible(page)
    step.get_by_role("button", name="Install").click()
    expect(step).to_contain_text(re.compile("Downloading: .* of "), timeout=SLOW)
    shot(page, "step-downloading")
    step.get_by_role("button", name="Cancel").click()
    expect(step.get_by_role("button", name="Install")).to_be_visible()
    stand.held.set()
    step.get_by_role("button", name="Install").click()
    expect(step).to_have_count(0, timeout=SLOW)

    page.goto(f"{server.url}/ui/system")
    card = page.get_by_role("region", name="Engines")
    expect(card.get_by_role("listitem", name="llama.cpp b1000, CPU")).to_contain_text("in use")


def test_a_newer_build_is_taken_gone_back_from_and_removed(page: Page, server: Server, stand: Stand) -> None:
    page.goto(f"{server.url}/ui/system")
    card = page.get_by_role("region", name="Engines")
    card.get_by_role("button", name="What suits this machine?").click()
    card.get_by_role("button", name="Install").click()
    old = card.get_by_role("listitem", name="llama.cpp b1000, CPU")
    expect(old).to_contain_text("in use", timeout=SLOW)

    stand.add("b1001", build(1001, SERVES))
    look = card.get_by_role("button", name="Check, and look for newer ones")
    look.click()
    card.get_by_role("button", name="Update").click()
    new = card.get_by_role("listitem", name="llama.cpp b1001, CPU")
    expect(new).to_contain_text("in use", timeout=SLOW)
    look.click()
    expect(new).to_contain_text("Runs", timeout=SLOW)
    expect(card).to_contain_text("is the newest that suits this machine")
    shot(page, "card")
    accessible(page)
    old.get_by_role("button", name="Go back to it").click()
    expect(old).to_contain_text("in use")
    new.get_by_role("button", name="Remove").click()
    new.get_by_role("button", name="Delete it?").click()
    expect(new).to_have_count(0)

    stand.add("b1002", build(1002, SERVES), digests=dict.fromkeys(build(1002, SERVES), f"sha256:{'0' * 64}"))
    look.click()
    card.get_by_role("button", name="Update").click()
    expect(card.get_by_role("alert")).to_be_visible(timeout=SLOW)
    expect(old).to_contain_text("in use")
    shot(page, "failed")
    card.get_by_role("button", name="Dismiss").click()
    expect(card.get_by_role("alert")).to_have_count(0)


def test_without_a_network_the_first_page_says_what_is_missing(page: Page, server: Server, stand: Stand) -> None:
    stand.releases.clear()
    page.goto(f"{server.url}/ui/setup")
    step = page.get_by_role("region", name="Engine")
    expect(step.get_by_role("alert")).to_contain_text("No engine yet, and none can be fetched", timeout=SLOW)
    stand.add("b1000", build(1000, SERVES))
    step.get_by_role("button", name="Try again").click()
    expect(step).to_contain_text("No engine yet: install the CPU build")
