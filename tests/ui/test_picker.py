"""A model is chosen in a field that finds it while one types: by keyboard, with hundreds of models, on a phone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from fakes.ports import free_run
from ui.many import configuration
from ui.picking import pick
from ui.stand import ARTEFACTS, AXE, Server, config, serving

MODELS = 500
MOST_OPTIONS = 60
STARRED = "localStorage.setItem('claracore.favourites', '[\"phi-4-4b-q8_0\"]')"
OVERLAPS = """() => {
  const boxes = [...document.querySelectorAll('[role=option]')].map((line) => line.getBoundingClientRect());
  boxes.sort((a, b) => a.top - b.top);
  return boxes.some((box, n) => n > 0 && boxes[n - 1].bottom > box.top + 1);
}"""


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with 500 models."""
    folder = tmp_path_factory.mktemp("chosen")
    with serving(folder, configuration(folder, MODELS, start_port=free_run(MODELS + 8).start)) as server:
        yield server


def field(page: Page) -> Locator:
    return page.get_by_role("combobox", name="Model of the conversation")


def opened(page: Page, server: Server) -> Locator:
    page.goto(f"{server.url}/ui/chat")
    expect(field(page)).not_to_have_value("")
    return field(page)


def active(page: Page) -> Locator:
    """The option that the field names as its active one."""
    return page.locator(f"[id='{page.get_by_role('combobox').first.get_attribute('aria-activedescendant')}']")


def test_it_finds_while_one_types_and_enter_chooses(page: Page, crowd: Server) -> None:
    model = opened(page, crowd)
    model.focus()
    expect(model).to_have_attribute("aria-expanded", "false")
    page.keyboard.type("qwen3 14b q8")
    expect(page.get_by_role("option")).to_have_count(1)
    expect(page.get_by_role("listbox")).to_be_visible()
    page.keyboard.press("Enter")
    expect(model).to_have_value("Qwen3 14B Q8_0")
    expect(model).to_be_focused()
    expect(page.get_by_role("listbox")).to_have_count(0)
    expect(page.get_by_role("heading", name="Qwen3 14B Q8_0")).to_be_visible()


def test_escape_and_leaving_change_nothing(page: Page, crowd: Server) -> None:
    model = opened(page, crowd)
    before = model.input_value()
    for leave in ("Escape", "Tab"):
        model.click()
        model.fill("nothing is called so")
        expect(page.get_by_text("No model is called “nothing is called so”.")).to_be_visible()
        page.keyboard.press("Enter")
        expect(page.get_by_text("No model is called")).to_be_visible()
        page.keyboard.press(leave)
        expect(model).to_have_value(before)
        expect(page.get_by_role("listbox")).to_have_count(0)
    expect(model).not_to_be_focused()


def test_arrows_reach_all_of_them_and_little_is_drawn(page: Page, crowd: Server) -> None:
    page.add_init_script(STARRED)
    model = opened(page, crowd)
    model.focus()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("group", name="Favourites").get_by_role("option")).to_have_count(1)
    expect(active(page)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(active(page)).to_have_attribute("aria-posinset", str(MODELS - 1))
    expect(active(page)).to_be_in_viewport(ratio=1)
    assert page.get_by_role("option").count() < MOST_OPTIONS
    page.keyboard.press("PageUp")
    expect(active(page)).to_have_attribute("aria-posinset", str(MODELS - 9))
    expect(active(page)).to_be_in_viewport(ratio=1)
    assert not page.evaluate(OVERLAPS)
    name = active(page).locator(".name").inner_text()
    page.keyboard.press("Enter")
    expect(model).to_have_value(name)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not installed: make ui")
def test_axe_finds_nothing_in_an_open_list(page: Page, crowd: Server, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    opened(page, crowd).click()
    expect(page.get_by_role("option").first).to_be_visible()
    page.screenshot(path=ARTEFACTS / f"picker-{scheme}.png")
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    assert [rule["id"] for rule in found["violations"]] == []


def test_on_a_phone_it_stays_within_the_screen(page: Page, crowd: Server) -> None:
    page.set_viewport_size({"width": 390, "height": 760})
    opened(page, crowd).click()
    expect(page.get_by_role("option").first).to_be_in_viewport(ratio=0.95)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert not page.evaluate(OVERLAPS)
    page.get_by_role("listbox").hover()
    page.mouse.wheel(0, 6000)
    expect(page.get_by_role("option", name="DeepSeek R1 Distill 0.6B F16")).to_have_count(1)  # the active one stays
    assert page.get_by_role("option").count() < MOST_OPTIONS
    page.screenshot(path=ARTEFACTS / "picker-phone.png")


def test_what_is_loaded_comes_first_and_changes_while_one_looks(page: Page, parrots: Server) -> None:
    page.request.post(f"{parrots.url}/api/models/unload")
    opened(page, parrots).click()
    expect(page.get_by_role("group", name="Loaded", exact=True)).to_have_count(0)
    page.request.post(f"{parrots.url}/api/models/load/gemma", timeout=60_000)
    loaded = page.get_by_role("group", name="Loaded", exact=True).get_by_role("option")
    expect(loaded).to_contain_text(["gemma"])
    expect(loaded).to_contain_text(["ready"])
    expect(loaded).to_have_attribute("aria-posinset", "1")


def test_logs_and_the_form_of_the_configuration_have_the_same_field(page: Page, parrots: Server) -> None:
    page.goto(f"{parrots.url}/ui/logs")
    source = page.get_by_role("combobox", name="Source")
    expect(source).to_have_value("ClaraCore")
    pick(source, "gemma")
    expect(page).to_have_url(f"{parrots.url}/ui/logs/gemma")
    pick(source, "proxy")
    expect(page).to_have_url(f"{parrots.url}/ui/logs/proxy")
    page.goto(f"{parrots.url}/ui/config?model=smollm2")
    form = page.get_by_role("combobox", name="Model")
    expect(form).to_have_value("SmolLM2 135M")
    pick(form, "gemma")
    expect(form).to_have_value("gemma")


@pytest.mark.parametrize("name", ["Ünïcode <b>&amp;", "a" * 200])
def test_any_name_can_be_chosen(page: Page, tmp_path: Path, name: str) -> None:
    text = config(start_port=free_run(8).start, models=f"  odd:\n    name: {json.dumps(name)}\n    cmd: ${{engine}}\n")
    with serving(tmp_path, text) as server:
        model = opened(page, server)
        pick(model, "odd")
        expect(model).to_have_value(name)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
