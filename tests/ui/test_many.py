"""Hundreds of models: the pages hold what is seen of them, and keyboard, filter and headings still reach all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from fakes.ports import free_run
from ui.many import configuration
from ui.stand import ARTEFACTS, AXE, FAKE, Server, serving

MODELS = 500
MOST_ELEMENTS = 2_500
"""All rows at once were 23,681."""
TO_THE_END = """model => {
  const row = document.querySelector(`[data-model="${model}"]`);
  const isSeen = row !== null && row.getBoundingClientRect().bottom <= innerHeight;
  scrollTo(0, document.documentElement.scrollHeight);
  return isSeen;
}"""
"""Rows turn out higher than was thought while hints come in: whoever presses End then is not at the end."""
NONE_OVERLAPS = """() => {
  const boxes = [...document.querySelectorAll('[data-model]')].map((row) => row.getBoundingClientRect());
  return boxes.length > 3 && boxes.every((box, n) => n === 0 || boxes[n - 1].bottom <= box.top + 1);
}"""
COUNT = "document.getElementsByTagName('*').length"
PAGES = ("chat", "ports", "activity", "logs", "config", "setup", "system")


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with 500 models."""
    folder = tmp_path_factory.mktemp("crowd")
    with serving(folder, configuration(folder, MODELS, start_port=free_run(MODELS + 8).start)) as server:
        yield server


def rows(page: Page) -> Locator:
    return page.locator("[data-model]")


def opened(page: Page, server: Server) -> None:
    page.goto(server.url)
    expect(rows(page).first).to_be_visible()


def test_the_page_holds_what_is_seen_of_it_wherever_one_scrolls(page: Page, crowd: Server) -> None:
    opened(page, crowd)
    expect(page.get_by_role("main")).to_contain_text("500 models")
    assert page.evaluate(COUNT) < MOST_ELEMENTS
    last = page.locator("[data-model='smollm2-70b-q8_0']")
    page.wait_for_function(TO_THE_END, arg="smollm2-70b-q8_0")
    expect(last).to_be_in_viewport()
    expect(page.locator("[data-model='deepseek-r1-distill-0.6b-q2_k']")).to_have_count(0)
    assert page.evaluate(COUNT) < MOST_ELEMENTS
    page.screenshot(path=ARTEFACTS / "models-500-end.png")
    page.keyboard.press("Control+Home")
    expect(last).to_have_count(0)


def test_families_are_headings_and_each_row_knows_its_place(page: Page, crowd: Server) -> None:
    opened(page, crowd)
    page.screenshot(path=ARTEFACTS / "models-500.png")
    headings = page.get_by_role("main").get_by_role("heading", level=2)
    expect(headings.filter(has_text="Qwen2.5 Coder")).to_have_count(1)
    family = page.get_by_role("region", name="Family Gemma 3")
    expect(family).to_contain_text("56 models")
    family.evaluate("family => family.scrollIntoView()")
    first = family.get_by_role("listitem").first
    expect(first).to_have_attribute("aria-posinset", "1")
    expect(first).to_have_attribute("aria-setsize", "56")
    page.get_by_label("Order of the models").select_option("By name")
    expect(headings.filter(has_text="All models")).to_have_count(1)
    page.reload()
    expect(page.get_by_label("Order of the models")).to_have_value("name")


@pytest.mark.parametrize("pressed", ["/", "ControlOrMeta+f"])
def test_the_filter_is_a_key_away_and_finds_what_is_not_drawn(page: Page, crowd: Server, pressed: str) -> None:
    opened(page, crowd)
    page.keyboard.press(pressed)
    expect(page.get_by_label("Filter models")).to_be_focused()
    page.keyboard.type("smollm2 70b q8")
    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text("SmolLM2 70B Q8_0")
    page.keyboard.press("Escape")
    expect(page.get_by_label("Filter models")).to_have_value("")
    expect(rows(page).nth(5)).to_be_attached()


def test_tab_goes_on_beyond_what_was_drawn_and_a_row_with_the_focus_stays(page: Page, crowd: Server) -> None:
    opened(page, crowd)
    page.get_by_label("Order of the models").select_option("By name")
    rows(page).first.get_by_role("link").first.focus()
    place = "Number(document.activeElement.closest('[data-model]')?.getAttribute('aria-posinset'))"
    while page.evaluate(place) < 40:
        before = page.evaluate("document.activeElement.textContent")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") != before
    expect(page.locator(":focus")).to_be_in_viewport()
    model = page.evaluate("document.activeElement.closest('[data-model]').dataset.model")
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(page.locator("[aria-posinset='500']")).to_be_in_viewport()
    expect(page.locator(f"[data-model='{model}'] :focus")).to_have_count(1)
    page.keyboard.press("Shift+Tab")
    expect(page.locator(":focus")).to_be_in_viewport()


def test_favourites_are_first_and_stay_in_this_browser(page: Page, crowd: Server) -> None:
    opened(page, crowd)
    page.keyboard.press("/")
    page.keyboard.type("phi 4b q8")
    star = page.get_by_role("button", name="Favourite phi-4-4b-q8_0")
    star.focus()
    page.keyboard.press("Enter")
    expect(star).to_have_attribute("aria-pressed", "true")
    expect(star).to_be_focused()
    page.reload()
    first = page.locator("main section", has=page.locator("[data-model]")).first
    expect(first).to_have_accessible_name("Favourites")
    expect(rows(page).first).to_have_attribute("data-model", "phi-4-4b-q8_0")
    star.click()
    expect(page.get_by_role("region", name="Favourites")).to_have_count(0)
    expect(page.locator(":focus")).to_have_accessible_name(re.compile("^Favourite "))


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not installed: make ui")
def test_axe_finds_nothing_in_a_list_in_part(page: Page, crowd: Server) -> None:
    opened(page, crowd)
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    assert [rule["id"] for rule in found["violations"]] == []


def test_a_phone_scrolls_through_rows_of_another_height(page: Page, crowd: Server) -> None:
    page.set_viewport_size({"width": 390, "height": 760})
    opened(page, crowd)
    page.wait_for_function(TO_THE_END, arg="smollm2-70b-q8_0")
    expect(page.locator("[data-model='smollm2-70b-q8_0']")).to_be_in_viewport()
    assert page.evaluate(COUNT) < MOST_ELEMENTS
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.wait_for_function(NONE_OVERLAPS)
    page.screenshot(path=ARTEFACTS / "models-500-phone.png")


@pytest.mark.parametrize("name", PAGES)
def test_the_other_pages_bear_them_too(page: Page, crowd: Server, name: str) -> None:
    page.goto(f"{crowd.url}/ui/{name}")
    expect(page.get_by_role("main").get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_role("navigation").get_by_role("status")).to_contain_text("Live")
    assert page.evaluate(COUNT) < MOST_ELEMENTS


def test_what_loading_any_unloads_is_said_once_and_not_on_each_row(page: Page, tmp_path: Path) -> None:
    model = "qwen3-0.6b-q2_k"
    text = configuration(tmp_path, 12, start_port=free_run(20).start, engine=FAKE)
    with serving(tmp_path, text) as server:
        opened(page, server)
        page.get_by_role("searchbox").first.fill("qwen3 0.6b")
        page.locator(f"[data-model='{model}'] [data-control=run]").click()
        expect(page.locator(f"[data-model='{model}'] [data-state]")).to_have_attribute("data-state", "ready")
        said = page.get_by_role("main").locator("header.head")
        expect(said).to_contain_text(f"loading another one unloads {model}")
        expect(rows(page).locator("p.hint")).to_have_count(0)
