"""What a person stumbles over: a field that is clicked again, a window that is low, a name that is long, a queue."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from fakes.ports import free_run
from ui.picking import pick
from ui.stand import FAKE, Server, config, serving
from ui.test_models import row

LONG = "of-a-file-whose-name-goes-on-and-on-with-everything-that-is-in-it-2507-Instruct-Q4_K_M.gguf"
MODELS = f"""\
  slow: {{cmd: '{FAKE} --ready-after 600'}}
  next: {{cmd: '{FAKE}'}}
  {LONG}: {{cmd: '{FAKE}'}}
"""
QUEUE = f"""\
  one-that-is-loaded-for-all:
    swap: true
    members: [slow, next, {LONG}]
"""
HELLO = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    text = config(start_port=free_run(8).start, models=MODELS, engine=FAKE, more=QUEUE)
    with serving(tmp_path_factory.mktemp("small"), text) as server:
        yield server


def test_a_click_into_the_field_of_a_chosen_model_begins_anew(page: Page, stand: Server) -> None:
    page.goto(f"{stand.url}/ui/chat")
    field = page.get_by_role("combobox", name="Model of the conversation")
    pick(field, "gemma")
    expect(field).to_have_value("gemma")
    field.click()
    page.keyboard.type("next")
    expect(field).to_have_value("next")
    expect(page.get_by_role("option")).to_have_count(1)


def test_a_load_that_waits_for_another_is_called_off(page: Page, stand: Server) -> None:
    page.goto(stand.url)
    button = row(page, "next").locator("[data-control=run]")
    row(page, "slow").locator("[data-control=run]").click()
    expect(row(page, "slow").locator("[data-state]")).to_have_attribute("data-state", "starting")
    button.click()
    expect(row(page, "next")).to_contain_text("waiting")
    expect(button).to_contain_text("Cancel")
    button.click()
    expect(button).to_contain_text("Load")
    expect(page.get_by_text("next is not loaded any further")).to_be_visible()
    expect(row(page, "next").locator("[data-state]")).to_have_text("stopped")
    expect(row(page, "slow").locator("[data-state]")).to_have_attribute("data-state", "starting")
    row(page, "slow").locator("[data-control=run]").click()
    expect(row(page, "slow").locator("[data-state]")).to_have_attribute("data-state", "stopped")


def test_in_a_low_window_every_page_and_the_colours_are_reached(page: Page, stand: Server) -> None:
    page.set_viewport_size({"width": 960, "height": 430})
    page.goto(stand.url)
    pages = page.get_by_role("navigation", name="Pages")
    pages.hover()
    page.mouse.wheel(0, 600)
    expect(pages.get_by_role("status")).to_be_in_viewport(ratio=1)
    pages.get_by_role("link", name="System").click()
    expect(page.get_by_role("heading", name="System", level=1)).to_be_visible()


def test_a_long_name_leaves_room_for_the_figures_and_the_heading(page: Page, stand: Server) -> None:
    assert page.request.post(f"{stand.url}/v1/chat/completions", data={"model": LONG, **HELLO}).ok
    page.goto(f"{stand.url}/ui/activity")
    table = page.get_by_role("region", name="Table of models")
    expect(table.get_by_role("row").filter(has_text=LONG)).to_be_visible()
    assert table.evaluate("(box) => box.scrollWidth - box.clientWidth") <= 0
    page.set_viewport_size({"width": 390, "height": 844})
    assert table.get_by_role("cell", name=LONG).evaluate("(cell) => cell.offsetWidth") < 200
    page.set_viewport_size({"width": 1280, "height": 860})
    page.goto(stand.url)
    heading = page.get_by_role("heading", name="one-that-is-loaded-for-all")
    assert heading.evaluate("(words) => words.offsetHeight < 2 * parseFloat(getComputedStyle(words).fontSize)")
