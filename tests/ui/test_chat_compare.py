"""The same question to several models, side by side."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from ui.picking import pick
from ui.stand import ARTEFACTS, Server
from ui.talking import answers, briefly, done, held, pane, say


def test_a_swap_is_explained_before_it_happens(page: Page, server: Server) -> None:
    page.request.post(f"{server.url}/api/models/unload")
    page.request.post(f"{server.url}/api/models/load/smollm2", timeout=60_000)
    page.goto(f"{server.url}/ui/chat?model=smollm2")
    page.get_by_role("button", name="Compare").click()
    pick(pane(page, 2).get_by_role("combobox"), "gemma")
    plan = page.get_by_test_id("plan")
    expect(plan).to_contain_text(
        "These two do not fit together: SmolLM2 135M answers first, then it is swapped for gemma"
    )
    page.screenshot(path=ARTEFACTS / "chat-compare.png")
    briefly(page)
    say(page, "Say hello.")
    expect(plan).to_have_count(0)  # it is of the next message
    done(answers(page).nth(0))
    done(answers(page).nth(1))
    for number in (1, 2):
        expect(answers(pane(page, number))).to_contain_text("tokens/s")
        expect(answers(pane(page, number))).to_contain_text("first token after")
    expect(plan).to_contain_text("gemma answers first, then it is swapped for SmolLM2 135M")
    page.screenshot(path=ARTEFACTS / "chat-compared.png")


def test_each_of_four_has_its_own_stop_and_they_are_one_line_of_the_history(page: Page, parrots: Server) -> None:
    page.request.post(f"{parrots.url}/api/models/unload")
    page.goto(f"{parrots.url}/ui/chat?model=smollm2")
    page.get_by_role("button", name="Compare").click()
    add = page.get_by_role("button", name="Add a model")
    add.click()
    add.click()
    expect(add).to_be_disabled()
    for number, model in enumerate(("smollm2", "seer", "seer", "smollm2"), start=1):
        pick(pane(page, number).get_by_role("combobox"), model)
    page.route("**/v1/chat/completions", held)
    say(page, "Say hello.")
    for number in range(1, 5):
        stop = pane(page, number).get_by_role("button", name="Stop")
        expect(stop).to_be_visible()
        if number < 4:
            expect(answers(pane(page, number)).locator(".markdown, [data-testid=waiting]").first).to_be_visible()
    pane(page, 1).get_by_role("button", name="Stop").click()
    expect(answers(pane(page, 1))).to_contain_text("stopped")
    expect(pane(page, 4).get_by_role("button", name="Stop")).to_be_visible()
    page.locator("form").get_by_role("button", name="Stop").click()
    for number in range(1, 5):
        expect(answers(pane(page, number))).to_contain_text("stopped")
    page.screenshot(path=ARTEFACTS / "chat-compare-four.png")
    page.reload()
    for number in range(1, 5):
        expect(answers(pane(page, number))).to_have_count(1)
    line = page.get_by_role("region", name="History").locator("[data-conversation]")
    expect(line).to_have_count(1)
    expect(line).to_contain_text("2 models")

    pane(page, 4).get_by_role("button", name="Put conversation 4 away").click()
    expect(pane(page, 4)).to_have_count(0)
    expect(line).to_have_count(2)
    page.get_by_role("button", name="New").click()
    expect(answers(page)).to_have_count(0)
    expect(pane(page, 3)).to_be_visible()
    line.filter(has_text="2 models").click()
    expect(answers(page)).to_have_count(3)


def test_another_model_goes_on_from_what_was_said(page: Page, parrots: Server) -> None:
    page.goto(f"{parrots.url}/ui/chat?model=smollm2")
    say(page, "One")
    done(answers(page))
    page.get_by_role("button", name="Compare").click()
    expect(pane(page, 2).get_by_role("article", name="You")).to_have_text(re.compile("One"))
    expect(answers(pane(page, 2))).to_contain_text("SmolLM2 135M")
    page.reload()
    expect(pane(page, 2).get_by_role("article", name="You")).to_have_text(re.compile("One"))
    line = page.get_by_role("region", name="History").locator("[data-conversation]")
    expect(line).to_contain_text("2 models")
    page.get_by_role("button", name="Put conversation 2 away").click()
    expect(page.get_by_role("group", name="Messages of the conversation")).to_be_visible()
    expect(line).to_have_count(1)
    expect(line).to_contain_text("SmolLM2 135M")


def test_on_a_phone_panes_are_swiped(page: Page, parrots: Server) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{parrots.url}/ui/chat?model=smollm2")
    page.get_by_role("button", name="Compare").click()
    expect(pane(page, 1)).to_be_in_viewport(ratio=0.9)
    expect(pane(page, 2)).not_to_be_in_viewport(ratio=0.5)
    page.screenshot(path=ARTEFACTS / "chat-compare-phone.png")
    pane(page, 2).get_by_role("combobox").focus()
    expect(pane(page, 2)).to_be_in_viewport(ratio=0.9)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
