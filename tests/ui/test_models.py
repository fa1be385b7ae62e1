"""Loading, unloading, pinning, and a model's own page."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from fakes.ports import free_run
from ui.stand import FAKE, Server, config, serving


def row(page: Page, model: str) -> Locator:
    return page.locator(f"[data-model='{model}']")


def state(page: Page, model: str) -> Locator:
    return row(page, model).locator("[data-state]")


def load(page: Page, model: str) -> None:
    row(page, model).get_by_role("button", name=re.compile("^Load")).click()
    expect(state(page, model)).to_have_attribute("data-state", "ready", timeout=60_000)


def test_loading_one_model_unloads_the_other_of_its_group(page: Page, server: Server) -> None:
    page.goto(server.url)
    load(page, "smollm2")
    expect(row(page, "smollm2")).to_contain_text("MiB")
    expect(row(page, "smollm2")).to_contain_text(re.compile(r"\b9:5\d"))
    expect(page.get_by_label("Group one-at-a-time")).to_contain_text("unloads smollm2")
    load(page, "gemma")
    expect(state(page, "smollm2")).to_have_attribute("data-state", "stopped")
    row(page, "gemma").get_by_role("button", name="Unload").click()
    expect(state(page, "gemma")).to_have_attribute("data-state", "stopped")


def test_a_pinned_model_says_so(page: Page, server: Server) -> None:
    page.goto(server.url)
    load(page, "smollm2")
    row(page, "smollm2").get_by_role("button", name=re.compile("^Pin")).click()
    expect(row(page, "smollm2")).to_contain_text("pinned")
    row(page, "smollm2").get_by_role("button", name="Unpin").click()
    expect(row(page, "smollm2")).not_to_contain_text("pinned")
    page.get_by_role("button", name="Unload all").click()
    expect(state(page, "smollm2")).to_have_attribute("data-state", "stopped")


def test_a_profile_is_chosen_where_there_are_some(page: Page, tmp_path: Path) -> None:
    profiles = "profiles: {work: {description: Names for work, pins: {gpt-4: gemma}}}\n"
    peers = "peers: {box: {proxy: 'http://box', models: [big]}}\n"
    text = config(start_port=free_run(8).start, engine=FAKE, more=profiles + peers)
    with serving(tmp_path, text) as server:
        page.goto(server.url)
        expect(page.get_by_label("Group (peers)")).to_contain_text("Models of other servers")
        expect(row(page, "box/big")).to_contain_text("box: big")
        choice = page.get_by_label("Profile")
        with page.expect_response("**/api/profiles/active"):
            choice.select_option("work")
        expect(choice).to_have_value("work")
        page.reload()
        expect(choice).to_have_value("work")
        choice.select_option("No profile")
        expect(choice).to_have_value("")


def test_the_page_of_a_model_shows_its_command_and_its_log(page: Page, server: Server) -> None:
    page.goto(server.url)
    load(page, "smollm2")
    page.get_by_role("link", name="SmolLM2 135M").click()
    expect(page).to_have_url(f"{server.url}/ui/models/smollm2")
    expect(page.get_by_label("Command", exact=True)).to_contain_text("--ctx-size 2048")
    page.get_by_role("tab", name="Log").click()
    expect(page.get_by_role("log", name="Log of smollm2")).to_contain_text("model loaded")
    with page.expect_popup() as popup:
        page.get_by_role("link", name=re.compile("own page")).click()
    expect(popup.value).to_have_url(f"{server.url}/upstream/smollm2/")
    expect(popup.value.get_by_role("textbox").first).to_be_visible()
    popup.value.close()
    page.get_by_role("link", name="All models").click()
    expect(row(page, "gemma")).to_be_visible()


def test_the_filter_leaves_what_matches(page: Page, server: Server) -> None:
    page.goto(server.url)
    page.get_by_label("Filter models").fill("gem")
    expect(row(page, "gemma")).to_be_visible()
    expect(row(page, "smollm2")).to_have_count(0)
