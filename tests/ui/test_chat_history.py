"""What was said stays: found again, renamed, deleted and taken back, carried to another browser."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from ui.conftest import WAIT_MS
from ui.stand import ARTEFACTS, AXE, Server
from ui.talking import answers, done, held, say

YESTERDAY = """ago => {
  const key = Object.keys(localStorage).find(key => localStorage[key].includes('"text":"Old news"'));
  const thread = JSON.parse(localStorage[key]);
  for (const message of thread.messages) message.at -= ago;
  localStorage[key] = JSON.stringify(thread);
}"""
VIOLATIONS = "async () => (await axe.run()).violations.map(each => [each.id, each.nodes[0].html])"
DAY_MS = 24 * 3600 * 1000


def history(page: Page) -> Locator:
    return page.get_by_role("region", name="History")


def lines(page: Page) -> Locator:
    return history(page).locator("[data-conversation]")


def talk(page: Page, server: Server, *questions: str) -> None:
    """Have one conversation with each of these questions."""
    page.goto(f"{server.url}/ui/chat?model=smollm2")
    for number, question in enumerate(questions):
        if number:
            page.get_by_role("button", name="New").click()
        say(page, question)
        done(answers(page))


def listed(page: Page) -> None:
    page.get_by_role("button", name="History", exact=True).click()
    expect(history(page)).to_be_visible()


def more(page: Page, title: str) -> Locator:
    history(page).get_by_role("button", name=f"More for {title}").click()
    return history(page).get_by_role("group", name=f"What to do with {title}")


def test_conversations_are_found_again_by_day_and_by_words(page: Page, parrots: Server) -> None:
    talk(page, parrots, "Old news", "Why is the sky blue?", "Name a cat")
    page.evaluate(YESTERDAY, DAY_MS)
    page.reload()
    expect(lines(page).locator(".title")).to_have_text(["Name a cat", "Why is the sky blue?", "Old news"])
    expect(history(page).get_by_role("list", name="Yesterday")).to_contain_text("Old news")
    page.screenshot(path=ARTEFACTS / "chat-history.png")
    page.get_by_label("Search conversations").fill("sky WHY")
    expect(lines(page)).to_have_count(1)
    lines(page).click()
    expect(page.get_by_role("article", name="You")).to_contain_text("Why is the sky blue?")
    expect(lines(page)).to_have_attribute("aria-current", "true")
    page.get_by_label("Search conversations").fill("no such words")
    expect(history(page)).to_contain_text("No conversation has these words")


def test_a_conversation_is_renamed_deleted_and_taken_back(page: Page, parrots: Server) -> None:
    talk(page, parrots, "Why is the sky blue?", "Name a cat")
    listed(page)
    tools = more(page, "Name a cat")
    page.keyboard.press("Escape")
    expect(tools).to_have_count(0)
    expect(page.get_by_role("button", name="More for Name a cat")).to_be_focused()
    more(page, "Name a cat").get_by_role("button", name="Rename").click()
    page.keyboard.type("Names")
    page.keyboard.press("Enter")
    expect(lines(page).locator(".title")).to_have_text(["Names", "Why is the sky blue?"])
    other = page.context.new_page()
    other.goto(f"{parrots.url}/ui/chat")
    expect(lines(other).locator(".title")).to_have_text(["Names", "Why is the sky blue?"])

    more(page, "Names").get_by_role("button", name="Delete").click()
    expect(lines(page)).to_have_count(1)
    expect(lines(page).first).to_be_focused()
    expect(answers(page)).to_have_count(0)
    expect(lines(other)).to_have_count(1)
    expect(answers(other)).to_have_count(0)
    page.get_by_role("log", name="Messages").get_by_role("button", name="Undo").click()
    expect(lines(page).locator(".title")).to_have_text(["Names", "Why is the sky blue?"])
    expect(answers(page)).to_have_count(1)
    expect(history(page).get_by_role("button", name="Why is the sky blue?").first).to_be_focused()  # where it was

    more(page, "Names").get_by_role("button", name="Delete").click()
    expect(lines(page)).to_have_count(1)
    page.keyboard.press("Control+z")
    expect(lines(page)).to_have_count(2)
    expect(page.get_by_role("log", name="Messages").get_by_role("button", name="Undo")).to_have_count(0)
    expect(lines(other)).to_have_count(2)
    page.reload()
    expect(lines(page)).to_have_count(2)


def test_an_answer_goes_on_behind_another_conversation(page: Page, parrots: Server) -> None:
    talk(page, parrots, "Why is the sky blue?")
    listed(page)
    page.get_by_role("button", name="New").click()
    page.route("**/v1/chat/completions", held)
    say(page, "Tell me a story")
    expect(answers(page).locator(".markdown")).to_be_visible()
    lines(page).filter(has_text="Why is the sky").click()
    expect(answers(page)).to_have_attribute("aria-busy", "false")
    expect(lines(page).filter(has_text="Tell me a story")).to_contain_text("being answered")
    page.unroute("**/v1/chat/completions")
    say(page, "And at night?")
    expect(answers(page)).to_have_count(2)
    done(answers(page).nth(1))
    lines(page).filter(has_text="Tell me a story").click()
    expect(answers(page)).to_have_attribute("aria-busy", "true")
    page.get_by_role("button", name="Stop").click()
    expect(answers(page)).to_contain_text("stopped")


def test_conversations_and_presets_move_to_another_browser(
    page: Page, browser: Browser, parrots: Server, tmp_path: Path
) -> None:
    talk(page, parrots, "Why is the sky blue?", "Name a cat")
    page.get_by_role("button", name="Parameters").click()
    page.get_by_label("System prompt").fill("Be a pirate")
    page.get_by_role("button", name="Save as").click()
    page.get_by_label("Name of the preset").fill("Pirate")
    page.keyboard.press("Enter")
    listed(page)
    with page.expect_download() as one:
        more(page, "Name a cat").get_by_role("button", name="Markdown").click()
    text = Path(one.value.path()).read_text()
    assert one.value.suggested_filename == "Name-a-cat.md"
    assert text.startswith(
        "# Name a cat\n\n**System prompt**\n\n> Be a pirate\n\n## You\n\nName a cat\n\n## smollm2\n\n"
    )
    with page.expect_download() as alone:
        history(page).get_by_role("group", name="What to do with Name a cat").get_by_role("button", name="JSON").click()
    assert len(json.loads(Path(alone.value.path()).read_text())["threads"]) == 1
    with page.expect_download() as whole:
        history(page).get_by_role("button", name="JSON").last.click()
    saved = tmp_path / "all.json"
    whole.value.save_as(saved)

    context = browser.new_context()
    fresh = context.new_page()
    fresh.set_default_timeout(WAIT_MS)
    fresh.goto(f"{parrots.url}/ui/chat")
    listed(fresh)
    odd = tmp_path / "odd.json"
    odd.write_text('{"threads": [null, 3, {"id": 4}, {"id": "x", "messages": "none"}]}')
    text_file = tmp_path / "poem.json"
    text_file.write_text("Roses are red")
    fresh.locator("input[type=file][accept*=json]").set_input_files([odd, text_file, saved])
    said = fresh.get_by_role("log", name="Messages")
    expect(said).to_contain_text("odd.json: no conversations are in this file")
    expect(said).to_contain_text("poem.json: this is no JSON file")
    expect(said).to_contain_text("2 conversations and 1 preset from all.json")
    expect(lines(fresh)).to_have_count(2)
    again = tmp_path / "again.json"
    again.write_bytes(saved.read_bytes())
    fresh.locator("input[type=file][accept*=json]").set_input_files(again)
    expect(said).to_contain_text("from again.json")
    expect(lines(fresh)).to_have_count(2)
    lines(fresh).filter(has_text="Name a cat").click()
    expect(answers(fresh)).to_have_count(1)
    fresh.get_by_role("button", name="Parameters").click()
    expect(fresh.get_by_label("System prompt")).to_have_value("Be a pirate")
    expect(fresh.get_by_label("Preset", exact=True)).to_have_value("Pirate")
    context.close()


def test_parameters_belong_to_a_conversation_and_presets_keep_them(page: Page, parrots: Server) -> None:
    talk(page, parrots, "Why is the sky blue?")
    page.get_by_role("button", name="Parameters").click()
    page.get_by_label("Temperature").fill("0.1")
    page.get_by_role("button", name="Save as").click()
    page.get_by_label("Name of the preset").fill("Strict")
    page.keyboard.press("Enter")
    preset = page.get_by_label("Preset", exact=True)
    expect(preset).to_have_value("Strict")
    page.get_by_role("button", name="New").click()
    page.get_by_label("Temperature").fill("1.5")
    with page.expect_request("**/v1/chat/completions") as asked:
        say(page, "Name a cat")
    assert json.loads(asked.value.post_data or "")["temperature"] == 1.5
    done(answers(page))
    listed(page)
    lines(page).filter(has_text="Why is the sky").click()
    expect(page.get_by_label("Temperature")).to_have_value("0.1")
    lines(page).filter(has_text="Name a cat").click()
    expect(page.get_by_label("Temperature")).to_have_value("1.5")
    preset.select_option("Strict")
    expect(page.get_by_label("Temperature")).to_have_value("0.1")
    page.get_by_role("button", name="Rename the preset").click()
    page.get_by_label("Name of the preset").fill("Exact")
    page.keyboard.press("Enter")
    expect(preset).to_have_value("Exact")
    page.screenshot(path=ARTEFACTS / "chat-presets.png")
    page.get_by_role("button", name="Delete the preset").click()
    expect(preset).to_be_disabled()
    page.get_by_role("log", name="Messages").get_by_role("button", name="Undo").click()
    expect(preset).to_have_value("Exact")
    page.reload()
    page.get_by_role("button", name="Parameters").click()
    expect(preset).to_have_value("Exact")


def test_what_was_typed_wrong_stays_with_its_conversation(page: Page, parrots: Server) -> None:
    talk(page, parrots, "Why is the sky blue?", "Name a cat")
    page.get_by_role("button", name="Parameters").click()
    page.get_by_label("Temperature").fill("9")
    expect(page.get_by_role("alert")).to_have_text("From 0 to 2")
    listed(page)
    lines(page).filter(has_text="Why is the sky").click()
    expect(page.get_by_label("Temperature")).to_have_value("")
    expect(page.get_by_role("alert")).to_have_count(0)


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not installed: make ui")
def test_on_a_phone_the_history_is_a_drawer(page: Page, parrots: Server) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    talk(page, parrots, "Why is the sky blue?", "Name a cat")
    expect(history(page)).to_have_count(0)
    listed(page)
    drawer = page.get_by_role("dialog", name="History")
    expect(drawer).to_be_visible()
    page.evaluate("Promise.all(document.getAnimations().map(each => each.finished))")
    page.screenshot(path=ARTEFACTS / "chat-history-phone.png")
    page.evaluate(AXE.read_text())
    assert page.evaluate(VIOLATIONS) == []
    page.keyboard.press("Escape")
    expect(drawer).to_have_count(0)
    expect(page.get_by_role("button", name="History", exact=True)).to_be_focused()
    listed(page)
    lines(page).filter(has_text="Why is the sky").click()
    expect(drawer).to_have_count(0)
    expect(page.get_by_role("article", name="You")).to_have_text(re.compile("Why is the sky blue"))


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not installed: make ui")
def test_axe_finds_nothing_in_history_versions_and_comparison(page: Page, parrots: Server) -> None:
    talk(page, parrots, "Why is the sky blue?", "Name a cat")
    answers(page).get_by_role("button", name="Regenerate").click()
    expect(answers(page)).to_contain_text("2/2")
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_test_id("plan")).to_be_visible()
    page.get_by_role("button", name="Parameters").click()
    listed(page)
    more(page, "Name a cat")
    page.evaluate(AXE.read_text())
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.screenshot(path=ARTEFACTS / f"chat-whole-{scheme}.png")
        assert page.evaluate(VIOLATIONS) == []
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_role("button", name="Parameters").click()
    page.screenshot(path=ARTEFACTS / "chat-versions-phone.png")
    assert page.evaluate(VIOLATIONS) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
