"""Lines for other programs, on System and on a model's page: this server's address, that model, and a key only if
asked for.
"""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from fakes.ports import free_run
from ui.stand import ARTEFACTS, FAKE, Server, config, serving

KEY = "sk-of-this-browser-0123456789"


def test_a_models_page_has_its_lines_and_copies_them(browser: Browser, parrots: Server) -> None:
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(f"{parrots.url}/ui/models/smollm2")
    card = page.get_by_role("region", name="Use it from other programs")
    card.get_by_label("Program").select_option(label="Codex")
    expect(card).to_contain_text('model = "smollm2"')
    expect(card).to_contain_text(f'base_url = "{parrots.url}/v1"')
    card.get_by_role("button", name="Copy the code").first.click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith('model = "smollm2"\n')
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    card.screenshot(path=ARTEFACTS / "recipe.png")
    context.close()


def test_system_has_them_for_any_model_and_remembers_the_program(page: Page, parrots: Server) -> None:
    page.goto(f"{parrots.url}/ui/system")
    card = page.get_by_role("region", name="Use it from other programs")
    card.get_by_label("Program").select_option(label="Claude Code")
    expect(card).to_contain_text(f"ANTHROPIC_BASE_URL={parrots.url}")
    expect(card).to_contain_text("ANTHROPIC_MODEL=MODEL")
    page.reload()
    expect(card.get_by_label("Program")).to_have_value("claude-code")


def test_an_embedder_is_offered_no_coding_agent(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/ui/models/embed")
    programs = page.get_by_role("region", name="Use it from other programs").get_by_label("Program")
    expect(programs).to_be_visible()
    assert "Codex" not in programs.locator("option").all_inner_texts()
    assert "curl" in programs.locator("option").all_inner_texts()


def test_a_key_is_in_them_only_when_a_person_wants_it(page: Page, tmp_path: Path) -> None:
    text = config(start_port=free_run(8).start, more=f"apiKeys: [{KEY}]\n", engine=FAKE)
    with serving(tmp_path, text) as locked:
        page.goto(locked.url)
        page.get_by_label("API key").fill(KEY)
        page.keyboard.press("Enter")
        expect(page.get_by_label("API key")).to_have_count(0)
        page.goto(f"{locked.url}/ui/models/smollm2")
        card = page.get_by_role("region", name="Use it from other programs")
        card.get_by_label("Program").select_option(label="curl")
        expect(card).to_contain_text("YOUR_KEY")
        expect(card).not_to_contain_text(KEY)
        card.get_by_role("button", name=re.compile("key in")).click()
        expect(card).to_contain_text(KEY)
        expect(card.get_by_text("YOUR_KEY")).to_have_count(0)
        card.get_by_role("button", name="Take the key out").click()
        expect(card).not_to_contain_text(KEY)
