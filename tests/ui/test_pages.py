"""Every page: accessible, within its budget, without shifts, on a phone, light and dark."""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from ui.stand import ARTEFACTS, AXE, Server

# A text that each page shows once it has what it shows.
PAGES = {
    "models": "SmolLM2 135M",
    "models/smollm2": "--ctx-size 2048",
    "chat": "loaded",
    "ports": "Models without a range",
    "activity": "By model",
    "logs": "starting",
    "config": "startPort",
    "setup": "Processor",
    "nodes": "this machine",
    "system": "Processor",
}
FIRST_LOAD_BYTES = 300_000
MOST_SHIFT = 0.02
"""A fifth of what is called good; most of it is text that comes with the first answer."""
PHONE: ViewportSize = {"width": 360, "height": 760}
SHIFT = """() => new Promise((resolve) => {
  let sum = 0;
  const add = (entry) => { if (!entry.hadRecentInput) sum += entry.value; };
  new PerformanceObserver((list) => list.getEntries().forEach(add)).observe({ type: 'layout-shift', buffered: true });
  requestAnimationFrame(() => requestAnimationFrame(() => resolve(sum)));
})"""


@pytest.fixture(scope="module")
def used(server: Server, browser: Browser) -> Server:
    """The server after it has answered something, so that every page has something to show."""
    page = browser.new_page()
    for model in ("gemma", "smollm2"):
        body = {"model": model, "max_tokens": 8, "messages": [{"role": "user", "content": "Hi"}], "stream": True}
        assert page.request.post(f"{server.url}/v1/chat/completions", data=body, timeout=60_000).ok
    page.close()
    return server


def pictured(page: Page, name: str) -> None:
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"{name.replace('/', '-')}.png")


def shown(page: Page, server: Server, name: str) -> None:
    page.goto(f"{server.url}/ui/{name}")
    expect(page.get_by_text(PAGES[name]).locator("visible=true").first).to_be_visible()


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not installed: make ui")
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_and_nothing_moves(page: Page, used: Server, name: str) -> None:
    shown(page, used, name)
    assert page.evaluate(SHIFT) < MOST_SHIFT
    page.evaluate(AXE.read_text())
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        pictured(page, f"{name}-{scheme}")
        found: dict[str, Any] = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        told = [
            f"{scheme}: {rule['id']}: {node['html'][:160]} ({node['failureSummary']})"
            for rule in found["violations"]
            for node in rule["nodes"]
        ]
        assert told == []


@pytest.mark.parametrize("name", PAGES)
def test_a_phone_loads_little_and_shows_each_page_without_sideways_scrolling(
    browser: Browser, used: Server, name: str
) -> None:
    context = browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True, reduced_motion="reduce")
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    sizes: dict[str, float] = {}
    urls: dict[str, str] = {}
    session.on("Network.requestWillBeSent", lambda event: urls.update({event["requestId"]: event["request"]["url"]}))
    session.on("Network.loadingFinished", lambda event: sizes.update({event["requestId"]: event["encodedDataLength"]}))
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    shown(page, used, name)
    # What the server knows grows with the time that it has run.
    own = [size for request, size in sizes.items() if "/api/" not in urls.get(request, "")]
    assert 0 < sum(own) < FIRST_LOAD_BYTES
    assert hosts == {urlsplit(used.url).netloc}
    pictured(page, f"{name}-phone")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.get_by_role("button", name="More").click()
    page.get_by_role("link", name="System").click()
    expect(page.get_by_role("heading", name="System")).to_be_visible()
    context.close()


def test_the_operations_of_the_api_are_listed_without_a_network(page: Page, used: Server) -> None:
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.goto(f"{used.url}/docs")
    expect(page.get_by_text("/api/models", exact=True)).to_be_visible()
    page.get_by_text("/api/models", exact=True).click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table")).to_contain_text("smollm2")
    page.screenshot(path=ARTEFACTS / "docs.png")
    page.keyboard.press("End")  # it draws what is looked at
    expect(page.get_by_text("/upstream/{model}/{path}")).to_be_visible()
    expect(page.get_by_text("/api/v0/embeddings", exact=True)).to_be_visible()
    assert hosts <= {urlsplit(used.url).netloc, ""}


def test_names_of_models_are_not_cut(page: Page, used: Server) -> None:
    page.set_viewport_size({"width": 1300, "height": 860})
    shown(page, used, "models")
    page.screenshot(path=ARTEFACTS / "models-1300.png")
    cut = "names => names.filter(name => name.scrollWidth > name.clientWidth).length"
    assert page.locator("[data-model] .name").evaluate_all(cut) == 0
    assert page.locator("[data-model] .who").first.evaluate("who => who.clientWidth") > 220


def test_buttons_keep_their_names_on_a_phone(browser: Browser, used: Server) -> None:
    context = browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True)
    page = context.new_page()
    shown(page, used, "chat")
    page.get_by_role("button", name="Parameters").click()
    page.get_by_label("Longest answer").fill("6")
    page.get_by_role("button", name="Parameters").click()
    expect(page.get_by_label("Longest answer")).to_have_count(0)
    page.get_by_label("Your message").fill("Say hello.")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("article", name="Answer")).to_contain_text("tokens/s", timeout=60_000)
    page.screenshot(path=ARTEFACTS / "chat-answer-phone.png")
    context.close()


def test_every_page_is_reached_by_keyboard(page: Page, used: Server) -> None:
    shown(page, used, "models")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    for name in ("Models", "Chat", "Ports", "Activity", "Logs", "Configuration", "Setup", "Nodes", "System"):
        link = page.get_by_role("navigation").get_by_role("link", name=name, exact=True)
        link.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("main").get_by_role("heading", level=1)).to_have_text(name)
        expect(link).to_have_attribute("aria-current", "page")
