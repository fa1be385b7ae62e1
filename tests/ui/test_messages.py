"""What just happened is said once, in one place, and for as long as it stands there nothing is hidden by it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from ui.stand import ARTEFACTS, SMOLLM2, Server, started
from ui.talking import answers, done, say
from ui.test_models import row, state
from ui.test_written import writes


def messages(page: Page) -> Locator:
    return page.get_by_role("log", name="Messages").locator(".notice")


def command(page: Page, words: str) -> None:
    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox", name="What to do")).to_be_focused()
    page.keyboard.type(words)
    page.keyboard.press("Enter")


@pytest.mark.parametrize(
    ("unload", "words"),
    [("unload slow", "slow is not loaded any further"), ("unload all", "Unloaded slow")],
)
def test_a_load_that_is_ended_is_told_of_once(page: Page, parrots: Server, unload: str, words: str) -> None:
    page.request.post(f"{parrots.url}/api/models/unload")
    page.goto(f"{parrots.url}/ui/models")
    row(page, "slow").get_by_role("button", name="Load").click()
    expect(state(page, "slow")).to_have_attribute("data-state", "starting")
    with (
        page.expect_response("**/api/models/load/slow"),
        page.expect_response(re.compile("/api/models/unload")) as response,
    ):
        command(page, unload)
    assert response.value.ok
    expect(state(page, "slow")).to_have_attribute("data-state", "stopped")
    expect(messages(page)).to_contain_text([words])
    expect(messages(page)).to_have_count(1)


def test_on_a_phone_a_message_hides_neither_the_end_of_an_answer_nor_what_is_typed(page: Page, parrots: Server) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    writes(page, "a line\n\n" * 40 + "The last line.")
    page.goto(f"{parrots.url}/ui/chat?model=smollm2")
    say(page, "Write much.")
    done(answers(page))
    page.get_by_label("Your message").fill("one\ntwo\nthree\nfour\nfive")
    for name in ("seer", "gemma"):
        command(page, f"load {name}")
        expect(messages(page).filter(has_text=f"{name} is loaded")).to_be_visible()
        expect(page.get_by_test_id("announced")).to_contain_text(f"{name} is ready")  # the list of models knows it too
        command(page, f"unload {name}")
        expect(messages(page).filter(has_text=f"{name} is unloaded")).to_be_visible()
    page.wait_for_function("() => document.getAnimations().every((each) => each.playState !== 'running')")
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTEFACTS / "messages-phone.png")
    top, bottom = edges(page.get_by_role("log", name="Messages"))
    assert edges(answers(page).get_by_text("The last line."))[1] <= top
    assert edges(answers(page).get_by_role("button", name="Regenerate"))[1] <= top
    assert bottom <= edges(page.locator("form"))[0]


def edges(found: Locator) -> tuple[float, float]:
    """Return where the top and the bottom of something are seen."""
    box = found.bounding_box()
    assert box is not None
    return box["y"], box["y"] + box["height"]


def test_the_first_page_stays_what_it_is_until_the_chat_is_there(page: Page, tmp_path: Path) -> None:
    home = tmp_path / "home"
    studio = home / ".lmstudio/models/bartowski/SmolLM2-135M-Instruct-GGUF/SmolLM2-135M-Instruct-Q4_1.gguf"
    studio.parent.mkdir(parents=True)
    studio.symlink_to(SMOLLM2)
    seen: list[tuple[str, str, str]] = []
    with started(Server(tmp_path, environ={"HOME": str(home)}, named_config=False)) as server:
        page.goto(f"{server.url}/ui/setup")
        heading, section = page.get_by_role("heading", level=1), page.get_by_role("region", name="On this machine")
        expect(heading).to_have_text("Your first model")

        def late(route: Route) -> None:
            page.wait_for_function(
                "() => fetch('/api/models').then((found) => found.json()).then((it) => it.models.length)"
            )
            seen.append((page.url, heading.inner_text(), section.get_by_role("button").first.inner_text()))
            route.continue_()

        page.route("**/assets/Chat-*.js", late)
        section.get_by_role("button", name="Use it").click()
        expect(page).to_have_url(re.compile(r"/ui/chat\?model=smollm2"))
        expect(page.get_by_label("Your message")).to_be_visible()
    assert seen == [(f"{server.url}/ui/setup", "Your first model", "Setting up…")]
