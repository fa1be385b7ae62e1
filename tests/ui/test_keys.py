"""When keys are needed: the page asks for one, keeps it, and makes others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from fakes.ports import free_run
from ui.stand import ARTEFACTS, Server, config, serving
from ui.talking import answers, briefly, done, say

KEY = "good-key-0123456789"


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that nobody may use without the key."""
    text = config(start_port=free_run(8).start, more=f"apiKeys: [{KEY}]\n")
    with serving(tmp_path_factory.mktemp("locked"), text) as server:
        yield server


def test_a_password_that_the_browser_asked_for_is_enough(browser: Browser, locked: Server) -> None:
    context = browser.new_context(http_credentials={"username": "", "password": KEY})
    page = context.new_page()
    # A proxy in front wants the password for every file, not only where ClaraCore does.
    page.route("**/ui/favicon.svg", lambda route: route.fulfill(status=401))
    page.goto(locked.url)
    expect(page.get_by_text("SmolLM2 135M", exact=True)).to_be_visible()
    expect(page.get_by_role("navigation").get_by_role("status")).to_contain_text("Live")
    expect(page.get_by_label("API key")).to_have_count(0)
    context.close()


def test_a_page_without_a_key_asks_and_keeps_it(page: Page, locked: Server) -> None:
    page.goto(locked.url)
    key = page.get_by_label("API key")
    expect(page.get_by_role("dialog")).to_contain_text("claracore keys add")
    key.fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_text("This key is not valid.")).to_be_visible()
    page.reload()
    expect(page.get_by_text("that this browser has kept is not valid any more")).to_be_visible()
    key.fill(KEY)
    page.keyboard.press("Enter")
    expect(key).to_have_count(0)
    expect(page.get_by_text("SmolLM2 135M", exact=True)).to_be_visible()
    expect(page.get_by_role("navigation").get_by_role("status")).to_contain_text("Live")
    assert page.evaluate("localStorage.getItem('claracore.key')") == KEY
    page.goto(f"{locked.url}/docs")
    expect(page.get_by_text("/api/models", exact=True)).to_be_visible()


def test_a_key_for_models_alone_chats_and_is_told_what_it_lacks(page: Page, locked: Server) -> None:
    made = page.request.post(
        f"{locked.url}/api/keys", headers={"x-api-key": KEY}, data={"name": "guest", "scopes": ["inference"]}
    )
    page.goto(locked.url)
    page.get_by_label("API key").fill(made.json()["key"])
    page.keyboard.press("Enter")
    told = page.get_by_test_id("limited")
    expect(told).to_contain_text("This key may use models, and not look at the server.")
    expect(page.get_by_test_id("lost")).to_have_count(0)
    page.get_by_role("link", name="Go to the chat").click()
    expect(page.get_by_label("Model of the conversation")).to_have_value("gemma")
    briefly(page)
    say(page, "Hello")
    done(answers(page))
    expect(page.get_by_test_id("lost")).to_have_count(0)
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTEFACTS / "limited.png")
    told.get_by_role("button", name="Give another key").click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    told.get_by_role("button", name="Give another key").click()
    page.get_by_label("API key").fill(KEY)
    page.keyboard.press("Enter")
    expect(told).to_have_count(0)
    expect(page.get_by_role("navigation").get_by_role("status")).to_contain_text("Live")
    page.get_by_role("link", name="Models", exact=True).click()
    expect(page.get_by_text("SmolLM2 135M", exact=True)).to_be_visible()


def test_whoever_makes_the_first_key_is_not_shut_out(page: Page, tmp_path: Path) -> None:
    with serving(tmp_path, config(start_port=free_run(8).start)) as server:
        page.goto(f"{server.url}/ui/system")
        page.get_by_role("button", name="New key").click()
        page.get_by_label("Name").fill("laptop")
        page.get_by_role("button", name="Make it").click()
        shown = page.get_by_role("dialog", name="The key")
        expect(shown).to_contain_text("This browser keeps it")
        key = shown.locator("code").inner_text()
        page.keyboard.press("Escape")
        expect(page.get_by_label("Keys")).to_contain_text("laptop")
        assert page.request.get(f"{server.url}/api/models").status == 401
        assert page.request.get(f"{server.url}/api/models", headers={"x-api-key": key}).ok
        page.get_by_role("button", name="New key").click()
        page.get_by_label("Name").fill("guest")
        page.get_by_label("Requests a minute").fill("1")
        page.get_by_label("Tokens a day").fill("100000")
        page.get_by_role("button", name="Make it").click()
        guest = page.get_by_role("dialog", name="The key").locator("code").inner_text()
        page.keyboard.press("Escape")
        expect(page.get_by_label("Keys")).to_contain_text("1 requests a minute, 100,000 tokens a day")
        chat = {"model": "smollm2", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}
        for status in (200, 429):
            answer = page.request.post(
                f"{server.url}/v1/chat/completions", data=chat, headers={"x-goog-api-key": guest}
            )
            assert answer.status == status
        page.reload()
        expect(page.get_by_label("Keys")).to_contain_text("1 request over the limit refused")
        expect(page.get_by_label("Keys")).to_contain_text("tokens today")
        page.goto(f"{server.url}/ui/activity")
        page.get_by_title("Show the requests with the key guest").first.click()
        expect(page.get_by_role("button", name="Key guest")).to_be_visible()
        page.goto(f"{server.url}/ui/system")
        page.get_by_role("button", name="Remove guest").click()
        page.get_by_role("button", name="Remove it").click()
        page.get_by_role("button", name="Remove laptop").click()
        page.get_by_role("button", name="Remove it").click()
        expect(page.get_by_text("No key is needed")).to_be_visible()
