"""Going back in a conversation: what is edited, made again, stopped or cut leaves nothing behind that is lost."""

from __future__ import annotations

import json
import re

from playwright.sync_api import Locator, Page, Route, expect

from ui.stand import ARTEFACTS, Server
from ui.talking import answers, done, held, say


def questions(page: Page) -> Locator:
    return page.get_by_role("article", name="You")


def versions(article: Locator) -> Locator:
    return article.get_by_role("group", name="Versions of this")


def test_what_is_made_again_or_edited_stands_beside_the_first(page: Page, parrots: Server) -> None:
    page.goto(f"{parrots.url}/ui/chat?model=smollm2")
    page.route("**/v1/chat/completions", lambda route: _said(route, f"Answer {len(asked) + 1}.", asked))
    asked: list[object] = []
    say(page, "Say one.")
    done(answers(page))
    answers(page).get_by_role("button", name="Regenerate").click()
    expect(answers(page)).to_contain_text("Answer 2.")
    expect(versions(answers(page))).to_contain_text("2/2")
    questions(page).get_by_role("button", name="Edit and send again").click()
    page.get_by_label("Edit your message").fill("Say two.")
    page.keyboard.press("Enter")
    expect(answers(page)).to_contain_text("Answer 3.")
    expect(questions(page)).to_contain_text("Say two.")
    expect(versions(answers(page))).to_have_count(0)
    page.screenshot(path=ARTEFACTS / "chat-versions.png")

    # By keyboard: back to the first question, which has its two answers, and on to the first of them.
    versions(questions(page)).get_by_role("button", name="Earlier").focus()
    page.keyboard.press("Enter")
    expect(questions(page)).to_contain_text("Say one.")
    expect(answers(page)).to_contain_text("Answer 2.")
    expect(versions(questions(page)).get_by_role("button", name="Later")).to_be_focused()
    versions(answers(page)).get_by_role("button", name="Earlier").focus()
    page.keyboard.press("Enter")
    expect(answers(page)).to_contain_text("Answer 1.")
    page.reload()
    expect(answers(page)).to_contain_text("Answer 1.")

    # What is said next belongs to the branch that is looked at.
    say(page, "And then?")
    done(answers(page).nth(1))
    assert [message["content"] for message in asked[-1]] == ["Say one.", "Answer 1.", "And then?"]  # type: ignore[attr-defined]


def test_a_stopped_answer_goes_on_where_it_ended(page: Page, server: Server) -> None:
    """With a real engine: what it said is the beginning of what it says then."""
    page.route("**/v1/chat/completions", _long)
    page.goto(f"{server.url}/ui/chat?model=smollm2")
    say(page, "Tell me a story about a fox.")
    expect(answers(page).locator(".markdown")).to_be_visible(timeout=60_000)
    page.get_by_role("button", name="Stop").click()
    expect(answers(page)).to_contain_text("stopped")
    before = answers(page).locator(".markdown").inner_text()
    page.unroute("**/v1/chat/completions")
    page.get_by_role("button", name="Parameters").click()
    page.get_by_label("Longest answer").fill("6")
    for _ in range(2):
        with page.expect_request("**/v1/chat/completions") as request:
            page.get_by_role("button", name="Continue").click()
        assert json.loads(request.value.post_data or "")["messages"][-1]["role"] == "assistant"
        done(answers(page))
        expect(answers(page)).to_contain_text("reached its length limit")
        text = answers(page).locator(".markdown").inner_text()
        assert text.startswith(before.rstrip(".")[:40])
        assert len(text) > len(before)
        before = text
    expect(versions(answers(page))).to_have_count(0)


def test_the_versions_of_two_tabs_are_all_there(page: Page, parrots: Server) -> None:
    page.goto(f"{parrots.url}/ui/chat?model=smollm2")
    say(page, "One")
    done(answers(page))
    other = page.context.new_page()
    other.goto(f"{parrots.url}/ui/chat")
    expect(answers(other)).to_have_count(1)
    for tab in (page, other):
        tab.route("**/v1/chat/completions", held)
        answers(tab).get_by_role("button", name="Regenerate").click()
    for tab in (page, other):
        expect(answers(tab).locator(".markdown")).to_be_visible()
        tab.get_by_role("button", name="Stop").click()
        expect(answers(tab)).to_contain_text("stopped")
    for tab in (page, other):
        expect(versions(answers(tab))).to_contain_text(re.compile("[23]/3"))
    other.close()


def _said(route: Route, text: str, asked: list[object]) -> None:
    asked.append(json.loads(route.request.post_data or "{}")["messages"])
    stream = f"data: {json.dumps({'choices': [{'delta': {'content': text}}]})}\n\ndata: [DONE]\n\n"
    route.fulfill(content_type="text/event-stream", body=stream)


def _long(route: Route) -> None:
    asked = json.loads(route.request.post_data or "{}")
    route.continue_(post_data=json.dumps(asked | {"ignore_eos": True, "max_tokens": 1500}))
