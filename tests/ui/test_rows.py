"""The row of a model: what its file says, what it takes, how fast it was; above it who has the memory."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from ui.stand import Server
from ui.test_models import load, row, state


def answered(page: Page, server: Server, model: str, times: int) -> None:
    for _ in range(times):
        body = {"model": model, "max_tokens": 8, "messages": [{"role": "user", "content": "Count."}]}
        assert page.request.post(f"{server.url}/v1/chat/completions", data=body, timeout=60_000).ok


def test_a_stopped_model_says_what_is_known_of_it(page: Page, server: Server) -> None:
    assert page.request.post(f"{server.url}/api/models/unload").ok
    page.goto(server.url)
    gemma = row(page, "gemma")
    expect(gemma).to_contain_text("268M")
    expect(gemma).to_contain_text("Q4_K_M")
    expect(gemma).to_contain_text("253 MB")
    expect(gemma).to_contain_text("2k context")
    expect(gemma).to_contain_text(re.compile(r"\d MiB\s*(estimated|measured)"))
    assert "\u2013" not in gemma.inner_text()


def test_a_running_model_says_what_it_takes_beside_what_was_expected_and_how_fast_it_was(
    page: Page, server: Server
) -> None:
    page.goto(server.url)
    load(page, "smollm2")
    expect(row(page, "smollm2")).to_contain_text(re.compile(r"\d MiB\s*estimated \d+ MiB"))
    answered(page, server, "smollm2", 3)
    series = row(page, "smollm2").get_by_role("img", name=re.compile(r"^The last \d+ answers: .* tokens.s$"))
    expect(series).to_be_visible()
    before = series.get_attribute("aria-label")
    answered(page, server, "smollm2", 1)
    expect(series).not_to_have_attribute("aria-label", before or "")
    page.reload()
    expect(series).to_be_visible()
    row(page, "smollm2").get_by_role("button", name="Unload").click()
    expect(state(page, "smollm2")).to_have_attribute("data-state", "stopped")
    expect(series).to_be_visible()
