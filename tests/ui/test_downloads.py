"""Get models: what a repository has, a download with its progress, pause and resume, and the model is there."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from fakes.fake_hub import FakeHub, Fault, fake_hub
from fakes.ports import free_run
from ui.stand import ARTEFACTS, GEMMA, SMOLLM2, Server, config

REPO = "small/SmolLM2-135M-GGUF"
MODEL = "smollm2-135m-instruct-q4_1"
SLOW = 60_000
"""Milliseconds that a loaded machine may take for what the server does; the page itself is quicker."""


@pytest.fixture(scope="module")
def bodies() -> tuple[bytes, bytes]:
    """A model that is fetched, and a larger one that is only listed."""
    return SMOLLM2.read_bytes(), GEMMA.read_bytes()


@pytest.fixture
def hub(bodies: tuple[bytes, bytes]) -> Iterator[FakeHub]:
    body, larger = bodies
    files = {
        "SmolLM2-135M-Instruct-Q4_1.gguf": body,
        "SmolLM2-135M-Instruct-Q8_0.gguf": larger,
        "SmolLM2-135M-Instruct-Q2_K-00001-of-00002.gguf": body[:1000],
    }
    with fake_hub(repos={REPO: files, "small/gated-GGUF": {"gated-Q4_0.gguf": body[:1000]}}) as hub:
        hub.gated.add("small/gated-GGUF")
        yield hub


@contextlib.contextmanager
def server_of(hub: FakeHub, folder: Path) -> Iterator[Server]:
    server = Server(folder, environ=hub.environ())
    server.config.write_text(config(start_port=free_run(8).start))
    server.start()
    try:
        yield server
    finally:
        server.stop()


def test_from_a_reference_to_a_model(page: Page, hub: FakeHub, tmp_path: Path) -> None:
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    held = Fault(hold_after=40_000_000)
    with server_of(hub, tmp_path) as server:
        page.goto(f"{server.url}/ui/setup")
        section = page.get_by_role("region", name="Get models")
        section.get_by_label("Model on the hub").fill("small/SmolLM2")
        section.get_by_role("button", name="Look").click()
        expect(section.get_by_role("alert")).to_contain_text("The hub has no such model", timeout=SLOW)
        expect(section.get_by_role("alert")).to_contain_text(f"did you mean {REPO}")

        section.get_by_label("Model on the hub").fill(f"https://huggingface.co/{REPO}")
        section.get_by_role("button", name="Look").click()
        rows = section.get_by_role("radio")
        expect(rows).to_have_count(3, timeout=SLOW)
        expect(section.get_by_role("radio", checked=True)).to_have_value(f"{REPO}/SmolLM2-135M-Instruct-Q4_1.gguf")
        expect(section.get_by_text("fits")).not_to_have_count(0)
        section.get_by_text("Q2_K", exact=True).click()
        expect(section.get_by_text("1 of its 2 files are not on the hub.")).to_be_visible()
        expect(section.get_by_role("button", name="Download")).to_be_disabled()
        section.get_by_text("Q4_1", exact=True).click()
        page.screenshot(path=ARTEFACTS / "downloads-plan.png", full_page=True)

        expect(section.get_by_text("Planned by the header on the hub")).to_be_visible(timeout=SLOW)
        hub.faults.append(held)
        section.get_by_role("button", name="Download").click()
        row = section.get_by_role("listitem", name=f"{REPO} Q4_1")
        bar = row.get_by_role("progressbar")
        expect(bar).to_have_attribute("aria-valuenow", re.compile(r"[1-9]\d"), timeout=SLOW)
        page.screenshot(path=ARTEFACTS / "downloads-under-way.png", full_page=True)
        row.get_by_role("button", name="Pause").click()
        expect(row.get_by_text("paused")).to_be_visible()
        held.release.set()

        page.reload()  # nothing of it depends on the page
        row.get_by_role("button", name="Resume").click()
        expect(row.get_by_text("finished")).to_be_visible(timeout=SLOW)
        expect(row.get_by_role("link", name=f"Chat with {MODEL}")).to_be_visible()
        page.screenshot(path=ARTEFACTS / "downloads-finished.png", full_page=True)
        page.goto(f"{server.url}/ui/models")
        expect(page.get_by_text(MODEL).first).to_be_visible()


def test_cancelling_asks_and_a_gated_model_takes_a_token(page: Page, hub: FakeHub, tmp_path: Path) -> None:
    held = Fault(hold_after=10_000_000)
    with server_of(hub, tmp_path) as server:
        page.goto(f"{server.url}/ui/setup")
        section = page.get_by_role("region", name="Get models")
        section.get_by_label("Model on the hub").fill(f"{REPO}:q4_1")
        section.get_by_role("button", name="Look").click()
        expect(section.get_by_text("Planned by the header on the hub")).to_be_visible(timeout=SLOW)
        hub.faults.append(held)
        section.get_by_role("button", name="Download").click()
        row = section.get_by_role("listitem", name=f"{REPO} Q4_1")
        expect(row.get_by_role("progressbar")).to_have_attribute("aria-valuenow", re.compile("[1-9]"), timeout=SLOW)
        row.get_by_role("button", name="Cancel").click()
        row.get_by_role("button", name="Delete what is here?").click()
        expect(row).to_have_count(0, timeout=SLOW)
        held.release.set()
        assert not list(tmp_path.rglob("*.part"))

        section.get_by_label("Model on the hub").fill("small/gated-GGUF")
        section.get_by_role("button", name="Look").click()
        expect(section.get_by_role("alert")).to_contain_text("is gated", timeout=SLOW)
        section.get_by_role("alert").get_by_label("Token", exact=True).fill(hub.token)
        section.get_by_role("alert").get_by_role("button", name="Keep").click()
        expect(section.get_by_text("Token for gated models (the one stored in ClaraCore)")).to_be_visible()
        expect(section.get_by_role("radio", checked=True)).to_have_value(
            "small/gated-GGUF/gated-Q4_0.gguf", timeout=SLOW
        )
