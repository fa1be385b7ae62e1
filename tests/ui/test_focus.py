"""The focus stays where a person works when what had it goes away, and nobody is told of a failure that they wanted."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from fakes.ports import free_run
from ui.stand import ENGINE, FAKE, SMOLLM2, Server, config, serving
from ui.talking import answers, done, say
from ui.test_models import row, state
from ui.test_written import writes


def test_to_the_end_gives_the_focus_to_the_messages(page: Page, parrots: Server) -> None:
    writes(page, "a line\n\n" * 80)
    page.goto(f"{parrots.url}/ui/chat?model=smollm2")
    say(page, "Write much.")
    done(answers(page).first)
    messages = page.get_by_role("group", name="Messages of")
    messages.focus()
    button = page.get_by_role("button", name="To the end")
    for frames in range(10):  # while it glides there, and what is written grows
        page.keyboard.press("Control+Home")
        expect(button).to_be_visible()
        page.evaluate(FRAMES, frames)
        button.press("Enter")
        messages.evaluate("list => list.firstElementChild.append('more', document.createElement('hr'))")
        page.evaluate(FRAMES, 30)
        expect(button).to_have_count(0)
        expect(messages).to_be_focused()
        below = messages.evaluate("list => list.scrollHeight - list.clientHeight - list.scrollTop")
        assert below < 40, f"after {frames} frames"


FRAMES = """async (count) => {
  for (let at = 0; at < count; at++) await new Promise(requestAnimationFrame);
}"""


def test_removing_a_key_leads_to_the_next_one_and_then_to_a_new_one(page: Page, tmp_path: Path) -> None:
    with serving(tmp_path, config(start_port=free_run(8).start)) as server:
        page.goto(f"{server.url}/ui/system")
        for name in ("desk", "lap"):
            page.get_by_role("button", name="New key").click()
            page.get_by_label("Name").fill(name)
            page.get_by_role("button", name="Make it").click()
            page.get_by_role("dialog", name="The key").get_by_role("button", name="Close").click()
        # The last key of an administrator opens the page to all of this machine again.
        for name, next_one in (("lap", "Remove desk"), ("desk", "New key")):
            page.get_by_role("button", name=f"Remove {name}").press("Enter")
            page.get_by_role("button", name="Remove it").press("Enter")
            expect(page.get_by_role("button", name=f"Remove {name}")).to_have_count(0)
            expect(page.get_by_role("button", name=next_one)).to_be_focused()


def test_a_search_for_models_keeps_the_focus_on_its_button(page: Page, parrots: Server) -> None:
    page.goto(f"{parrots.url}/ui/setup")
    page.get_by_label("Folder", exact=True).fill(str(SMOLLM2.parent))
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("button", name=f"Leave out {SMOLLM2.parent}")).to_be_visible()
    page.get_by_role("button", name="Search for models").press("Enter")
    expect(page.get_by_role("heading", name="1 model found")).to_be_visible()
    expect(page.get_by_role("button", name="Search again")).to_be_focused()


def test_a_folder_that_cannot_be_opened_is_said_at_once_and_not_searched(page: Page, parrots: Server) -> None:
    page.goto(f"{parrots.url}/ui/setup")
    added = page.get_by_label("Folders", exact=True).get_by_role("button", name=re.compile("^Leave out"))
    for path, says in (("/nope", "/nope cannot be opened"), ("a/b", "is no whole path"), (str(SMOLLM2), "cannot be")):
        page.get_by_label("Folder", exact=True).fill(path)
        page.get_by_role("button", name="Add", exact=True).click()
        expect(page.get_by_role("alert")).to_contain_text(says)
        expect(added).to_have_count(0)
    page.get_by_label("Folder", exact=True).fill(str(SMOLLM2.parent))
    page.get_by_role("button", name="Add", exact=True).click()
    expect(added).to_have_count(1)
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_link_to_another_page_takes_the_focus_there(page: Page, parrots: Server) -> None:
    page.goto(f"{parrots.url}/ui/models")
    row(page, "gemma").get_by_role("link", name="gemma", exact=True).press("Enter")
    expect(page.get_by_role("heading", name="gemma")).to_be_visible()
    expect(page.locator("#main")).to_be_focused()


def test_who_cancels_their_own_load_is_told_of_no_failure(page: Page, parrots: Server) -> None:
    page.goto(f"{parrots.url}/ui/models")
    row(page, "slow").get_by_role("button", name="Load").press("Enter")
    expect(state(page, "slow")).to_have_attribute("data-state", "starting")
    row(page, "slow").get_by_role("button", name="Cancel").press("Enter")
    messages = page.get_by_role("log", name="Messages")
    expect(messages.get_by_text("slow is not loaded any further")).to_be_visible()
    expect(messages.locator(".bad")).to_have_count(0)
    expect(row(page, "slow").locator("[data-failure]")).to_have_count(0)
    expect(row(page, "slow").locator("[data-control=run]")).to_be_focused()


def test_why_a_model_did_not_start_is_never_first_a_raw_sentence(page: Page, tmp_path: Path) -> None:
    models = f'  flag:\n    cmd: |\n      {ENGINE} --model "{SMOLLM2}" --no-such-flag\n'
    with serving(tmp_path, config(start_port=free_run(8).start, models=models, engine=FAKE)) as server:
        page.goto(f"{server.url}/ui/chat?model=flag")
        page.evaluate(
            """() => {
              window.raw = [];
              new MutationObserver(() => {
                const raw = document.querySelector('article .notice.bad');
                if (raw) window.raw.push(raw.textContent);
              }).observe(document.body, { childList: true, subtree: true });
            }"""
        )
        say(page, "Well?")
        expect(answers(page).locator("[data-failure=flag]")).to_be_visible()
        assert page.evaluate("window.raw") == []


def test_where_nothing_is_there_is_a_drawing_and_one_next_step(page: Page, parrots: Server) -> None:
    for path, title, step in (
        ("nonsense", "There is no page “nonsense”", "To the models"),
        ("logs/nosuch", "There is no model “nosuch”, and no log of it", "ClaraCore\u2019s own log"),
        ("nodes", "No other machine yet", "Name one"),
    ):
        page.goto(f"{parrots.url}/ui/{path}")
        empty = page.locator(".empty").filter(has=page.get_by_role("heading", name=title))
        expect(empty.locator("svg")).to_be_visible()
        expect(empty.get_by_role("link")).to_have_text(step)
        expect(page.get_by_role("alert")).to_have_count(0)
        expect(page.get_by_text("Nothing was logged yet")).to_have_count(0)


def test_the_setup_leads_from_no_other_program_to_a_folder(page: Page, parrots: Server) -> None:
    page.route(
        "**/api/setup/stores", lambda route: route.fulfill(json={"found": [], "models": 0, "configured": 0, "bytes": 0})
    )
    page.goto(f"{parrots.url}/ui/setup")
    page.get_by_role("button", name="Search a folder").press("Enter")
    expect(page.get_by_label("Folder", exact=True)).to_be_focused()
