"""Is anything wider than the page, or than the card that it is in? On all pages, at the widths that people have."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from fakes.ports import free_run
from ui.conftest import WAIT_MS
from ui.stand import ARTEFACTS, FAKE, SMOLLM2, Server, config, serving

LONG = "keeper-of-a-name-that-no-column-holds-and-that-goes-on-2507-Q4_K_M"
PATH = "/srv/models/of_a_folder_that_goes_on_and_on_2507_GGUF/of_a_name_that_goes_on_2507_Q4_K_M.gguf"
FAILS = f"error: cannot read model file '{PATH}': No such file or directory"
LOADED = f"""\
  keeper:
    name: The model that is kept for hours
    cmd: |
      ${{engine}} --model "{SMOLLM2}"
      --ctx-size 512 --threads 1
    ttl: 7200
  {LONG}:
    cmd: |
      {FAKE}
    ttl: 1800
  stopped:
    cmd: |
      {FAKE}
    ttl: 1800
  broken:
    cmd: |
      {FAKE} --crash start --print "{FAILS}"
"""
TOGETHER = f"""\
  together:
    swap: false
    exclusive: false
    members: [keeper, {LONG}, broken]
"""
"""Beside the group that `config` has: these run side by side."""
PAGES = ("models", "models/keeper", "chat", "ports", "activity", "logs", "config", "setup", "nodes", "system")
WIDTHS = (360, 390, 1280)
WIDER = """(wide) => {
  const found = [];
  const page = document.scrollingElement;
  // A phone shows a page that is wider as a whole: its own width is no measure.
  if (page.scrollWidth > wide) found.push(`the page is ${page.scrollWidth} px wide`);
  const clips = (element) => /auto|scroll|hidden|clip/.test(getComputedStyle(element).overflowX);
  const words = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
  const told = (text, box, what) => found.push(`${what}: "${text.trim().slice(0, 40)}" ${box}`);
  for (let node = words.nextNode(); node; node = words.nextNode()) {
    const range = document.createRange();
    range.selectNodeContents(node);
    const { left, right, width } = range.getBoundingClientRect();
    if (!width || !node.parentElement.checkVisibility()) continue;
    for (let each = node.parentElement; each && !clips(each); each = each.parentElement) {
      const box = each.getBoundingClientRect();
      if (!each.matches('.card, .cell, .btn, [data-model], main')) continue;
      if (left < box.left - 1 || right > box.right + 1)
        told(node.data, `${left}-${right} in ${box.left}-${box.right}`, each.className || each.tagName);
    }
  }
  for (const drawing of document.querySelectorAll('.cell svg[role=img]')) {
    const box = drawing.closest('.cell').getBoundingClientRect();
    if (drawing.getBoundingClientRect().right > box.right + 6) told('', `ends beyond ${box.right}`, 'drawing');
  }
  for (const button of document.querySelectorAll('main :is(.btn, .badge, input, select)')) {
    const card = button.closest('.card');
    const { left, right, width } = button.getBoundingClientRect();
    const clipped = (each) => each && each !== card && (clips(each) || clipped(each.parentElement));
    if (!card || width < 2 || !button.checkVisibility() || clipped(button.parentElement)) continue;
    const box = card.getBoundingClientRect();
    if (left < box.left || right > box.right)
      told(button.textContent, `${left}-${right} in ${box.left}-${box.right}`, 'control');
  }
  return found;
}"""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of which two models are loaded and unload themselves later, one is stopped and one failed."""
    text = config(start_port=free_run(8).start, models=LOADED, more=TOGETHER + "captureBuffer: 5\n")
    with serving(tmp_path_factory.mktemp("kept"), text) as server:
        for model in ("keeper", LONG):
            httpx.post(f"{server.url}/api/models/load/{model}", timeout=60).raise_for_status()
        assert httpx.post(f"{server.url}/api/models/load/broken", timeout=60).is_error
        question = {
            "model": "keeper",
            "max_tokens": 8,
            "ignore_eos": True,
            "messages": [{"role": "user", "content": "Count."}],
        }
        for _ in range(3):
            httpx.post(f"{server.url}/v1/chat/completions", json=question, timeout=60).raise_for_status()
        yield server


def shown(page: Page, url: str, name: str) -> None:
    """Open a page and wait until it has what it shows."""
    page.goto(f"{url}/ui/{name}", wait_until="load")
    expect(page.get_by_role("heading").first).to_be_attached()
    page.wait_for_function("!document.querySelector('main [aria-busy=true]')")
    if name == "models":
        expect(page.get_by_text("unloads in")).to_have_count(2)
        expect(page.get_by_role("img", name=re.compile("^The last 3 answers"))).to_be_visible()
        expect(page.locator("[data-failure]")).to_be_visible()
    if name == "activity":
        expect(page.get_by_role("heading", name="By model")).to_be_visible()


@pytest.mark.parametrize(("width", "height"), [(960, 430), (844, 390)])
def test_in_a_low_window_all_pages_and_what_stands_below_can_be_reached(
    page: Page, parrots: Server, width: int, height: int
) -> None:
    page.set_viewport_size({"width": width, "height": height})
    page.goto(f"{parrots.url}/ui/models")
    side = page.get_by_role("navigation")
    for below in (side.get_by_role("status"), side.get_by_role("button", name="Dark"), side.get_by_text("Go to…")):
        expect(below).to_be_in_viewport(ratio=1)
    system = side.get_by_role("link", name="System")
    expect(system).not_to_be_in_viewport()
    side.get_by_role("list").hover()
    page.mouse.wheel(0, 1000)
    expect(system).to_be_in_viewport(ratio=1)
    page.screenshot(path=ARTEFACTS / f"low-{width}.png")


@pytest.mark.parametrize("width", [821, 844, 900, 980, 1100])
def test_the_tabs_of_the_chat_are_not_cut(page: Page, parrots: Server, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 700})
    page.goto(f"{parrots.url}/ui/chat")
    tabs = page.get_by_role("tablist")
    expect(tabs.get_by_role("tab", name="Rerank")).to_be_visible()
    assert tabs.evaluate("list => list.scrollWidth <= list.clientWidth")
    page.screenshot(path=ARTEFACTS / f"tabs-{width}.png")


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_its_card_or_the_page(browser: Browser, kept: Server, width: int) -> None:
    phone = width < 500
    context = browser.new_context(viewport={"width": width, "height": 860}, has_touch=phone, is_mobile=phone)
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    wider = {}
    for name in PAGES:
        shown(page, kept.url, name)
        page.screenshot(path=ARTEFACTS / f"width-{width}-{name.replace('/', '-')}.png", full_page=True)
        if found := page.evaluate(WIDER, width):
            wider[name] = found
    context.close()
    assert wider == {}
