"""Everything by keyboard: a palette of commands, a filter, a list of shortcuts."""

from __future__ import annotations

import re
from typing import Literal

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from ui.stand import AXE, Server
from ui.test_models import row, state


def field(page: Page) -> Locator:
    return page.get_by_role("combobox", name="What to do")


def chosen(page: Page) -> Locator:
    return page.get_by_role("listbox", name="Commands").get_by_role("option", selected=True)


def opened(page: Page, server: Server, path: str = "") -> None:
    page.goto(f"{server.url}/ui/{path}")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.keyboard.press("Control+k")
    expect(field(page)).to_be_focused()


def test_a_page_is_reached_and_the_focus_goes_there(page: Page, parrots: Server) -> None:
    opened(page, parrots)
    expect(chosen(page)).to_contain_text("Go to Models")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(chosen(page)).to_contain_text("Go to Ports")
    told = field(page).get_attribute("aria-activedescendant")
    assert chosen(page).get_attribute("id") == told
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/ui/ports$"))
    expect(page.get_by_role("main")).to_be_focused()
    expect(field(page)).to_have_count(0)


def test_a_model_is_loaded_and_unloaded(page: Page, parrots: Server) -> None:
    opened(page, parrots)
    page.keyboard.type("load seer")
    expect(chosen(page)).to_contain_text("Load seer")
    page.keyboard.press("Enter")
    expect(state(page, "seer")).to_have_attribute("data-state", "ready")
    page.keyboard.press("Control+k")
    expect(field(page)).to_be_focused()
    page.keyboard.type("unload seer")
    page.keyboard.press("Enter")
    expect(state(page, "seer")).to_have_attribute("data-state", "stopped")
    expect(page.get_by_role("log", name="Messages")).to_contain_text("seer is unloaded")


def test_a_log_is_opened_and_a_port_explained(page: Page, parrots: Server) -> None:
    opened(page, parrots, "chat")
    page.keyboard.type("log gemma")
    expect(chosen(page)).to_contain_text("Log of gemma")  # the models may not be known yet
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/ui/logs/gemma$"))
    page.keyboard.press("Control+k")
    expect(field(page)).to_be_focused()
    page.keyboard.type("why 9999")
    expect(page.get_by_role("listbox", name="Commands").get_by_role("option")).to_have_count(1)
    page.keyboard.press("Enter")
    why = page.get_by_role("dialog", name="Port 9999")
    expect(why).to_contain_text("9999")
    page.keyboard.press("Escape")
    expect(why).to_have_count(0)
    expect(page).to_have_url(re.compile("/ui/ports$"))


def test_escape_gives_the_focus_back(page: Page, parrots: Server) -> None:
    page.goto(parrots.url)
    expect(row(page, "gemma")).to_be_visible()
    page.get_by_role("button", name="Go to").click()
    expect(field(page)).to_be_focused()
    page.keyboard.type("xyzzy")
    expect(page.get_by_text("Nothing is called")).to_be_visible()
    page.keyboard.press("Escape")
    expect(field(page)).to_have_count(0)
    expect(page.get_by_role("button", name="Go to")).to_be_focused()


def test_escape_takes_back_what_is_not_here_yet(page: Page, parrots: Server) -> None:
    page.goto(parrots.url)
    expect(page.get_by_role("heading", name="Models", exact=True)).to_be_visible()
    fetched = []

    def late(route: Route) -> None:
        page.keyboard.press("Escape")
        fetched.append(route.request.url)
        route.continue_()

    page.route("**/assets/Palette-*.js", late)
    with page.expect_response("**/assets/Palette-*.js"):
        page.keyboard.press("Control+k")
    assert fetched
    page.get_by_role("button", name="Unload all").focus()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("Control+k")
    expect(page.get_by_role("dialog", name="Commands")).to_be_visible()


def test_colours_are_chosen(page: Page, parrots: Server) -> None:
    opened(page, parrots)
    page.keyboard.type("dark")
    page.keyboard.press("Enter")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_slash_filters_and_a_question_mark_lists_but_not_in_a_field(page: Page, parrots: Server) -> None:
    page.goto(parrots.url)
    expect(row(page, "gemma")).to_be_visible()
    page.keyboard.press("/")
    expect(page.get_by_label("Filter models")).to_be_focused()
    page.keyboard.type("a/b?")
    expect(page.get_by_label("Filter models")).to_have_value("a/b?")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_label("Filter models").fill("")
    page.get_by_role("heading", level=1).click()
    page.keyboard.press("?")
    listed = page.get_by_role("dialog", name="Shortcuts")
    expect(listed).to_contain_text("Filter or find on this page")
    expect(listed).to_contain_text("Undo what the newest message offers to undo")
    page.keyboard.press("Escape")
    expect(listed).to_have_count(0)


def test_a_comment_in_the_configuration_is_no_shortcut(page: Page, parrots: Server) -> None:
    page.goto(f"{parrots.url}/ui/config")
    editor = page.get_by_role("textbox", name="Configuration")
    editor.click()
    page.keyboard.type("?")
    page.keyboard.press("Control+k")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("combobox", name="What to do")).to_have_count(0)


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not installed: make ui")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_palette_is_accessible(page: Page, parrots: Server, scheme: Literal["light", "dark"]) -> None:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    opened(page, parrots)
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    assert [f"{rule['id']}: {node['html'][:160]}" for rule in found["violations"] for node in rule["nodes"]] == []
