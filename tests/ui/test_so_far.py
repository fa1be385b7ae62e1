"""How far an answer is can be seen while it is written: in the chat and on Activity; cut ones are counted."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from ui.stand import Server
from ui.talking import answers, held, say


def test_tokens_so_far_in_the_chat_and_on_activity_and_those_of_a_cut_answer(page: Page, parrots: Server) -> None:
    page.route("**/v1/chat/completions", held)
    page.goto(f"{parrots.url}/ui/chat?model=smollm2")
    say(page, "Tell me a story.")
    expect(answers(page).get_by_test_id("so-far")).to_contain_text("3 tokens so far")
    page.get_by_role("link", name="Activity").click()
    flight = page.get_by_label("Requests in flight").get_by_role("row").filter(has_text="smollm2")
    expect(flight.get_by_role("cell").nth(6)).to_have_text(re.compile(r"^\s*3"))
    page.get_by_role("link", name="Chat").click()
    page.get_by_role("button", name="Stop").click()
    expect(answers(page)).to_contain_text("about 3 tokens")
    expect(answers(page).get_by_test_id("so-far")).to_have_count(0)
    page.get_by_role("link", name="Activity").click()
    row = page.get_by_label("Table of requests").get_by_role("row").filter(has_text="stopped").first
    expect(row).to_contain_text(re.compile("about 3"))


def test_what_can_be_taken_back_is_by_its_key_and_who_is_asked_begins_at_the_field(page: Page, parrots: Server) -> None:
    page.request.post(f"{parrots.url}/api/models/load/smollm2", timeout=60_000)
    page.goto(f"{parrots.url}/ui/models")
    page.get_by_role("button", name="Unload all").click()
    messages = page.get_by_role("log", name="Messages")
    expect(messages.get_by_role("button", name="Load again")).to_be_visible()
    page.keyboard.press("Control+z")
    expect(messages.get_by_role("button", name="Load again")).to_have_count(0)
    expect(page.locator("[data-model=smollm2] [data-state]")).to_have_attribute("data-state", "ready")
    page.goto(f"{parrots.url}/ui/system")
    page.get_by_role("button", name="New key").click()
    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    page.keyboard.press("Escape")
