"""Talking: an answer streams, is stopped, asked for again, edited, and compared."""

from __future__ import annotations

import json
import re

from playwright.sync_api import Locator, Page, Route, expect

from ui.stand import Server


def answers(page: Page) -> Locator:
    return page.get_by_role("article", name="Answer")


def say(page: Page, text: str) -> None:
    page.get_by_label("Your message").fill(text)
    page.keyboard.press("Enter")


def briefly(page: Page) -> None:
    """Small models do not know when to end."""
    page.get_by_role("button", name="Parameters").click()
    page.get_by_label("Longest answer").fill("16")


def done(answer: Locator) -> None:
    expect(answer.get_by_role("button", name="Regenerate")).to_be_visible(timeout=60_000)


def test_the_wait_is_explained_and_the_answer_is_measured(page: Page, server: Server) -> None:
    page.request.post(f"{server.url}/api/models/unload")
    page.goto(f"{server.url}/ui/chat?model=smollm2")
    briefly(page)
    say(page, "Say hello.")
    expect(page.get_by_test_id("waiting")).to_contain_text(re.compile("Starting|Loading|Reading"))
    done(answers(page))
    expect(answers(page)).to_contain_text("first token after")
    page.reload()
    expect(answers(page)).to_contain_text("tokens/s")


def test_stop_keeps_what_was_said_and_the_model_is_free_again(page: Page, server: Server) -> None:
    page.route("**/v1/chat/completions", _endless)
    page.goto(f"{server.url}/ui/chat?model=smollm2")
    say(page, "Tell me a story.")
    expect(answers(page).locator(".markdown")).to_be_visible(timeout=60_000)
    page.get_by_role("button", name="Stop").click()
    expect(answers(page)).to_contain_text("stopped")
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)
    page.goto(f"{server.url}/ui/activity")
    expect(page.get_by_label("Requests in flight")).to_contain_text("Nothing is being answered")


def test_regenerate_replaces_and_edit_asks_anew(page: Page, parrots: Server) -> None:
    page.goto(f"{parrots.url}/ui/chat?model=smollm2")
    briefly(page)
    say(page, "Say one.")
    done(answers(page))
    answers(page).get_by_role("button", name="Regenerate").click()
    done(answers(page))
    expect(answers(page)).to_have_count(1)
    page.get_by_role("button", name="Edit and send again").click()
    page.get_by_label("Edit your message").fill("Say two.")
    page.keyboard.press("Enter")
    done(answers(page))
    expect(page.get_by_role("article", name="You")).to_have_text(re.compile("Say two."))
    expect(answers(page)).to_have_count(1)


def test_two_models_answer_side_by_side(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/ui/chat?model=smollm2")
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_label("Model of conversation 2")).to_have_value("gemma")
    briefly(page)
    say(page, "Say hello.")
    done(answers(page).nth(0))
    done(answers(page).nth(1))
    expect(answers(page).nth(1)).to_contain_text("tokens in")


def test_an_unknown_model_is_an_error_to_read(page: Page, server: Server) -> None:
    page.route("**/v1/chat/completions", lambda route: route.continue_(post_data='{"model": "smolm2", "messages": []}'))
    page.goto(f"{server.url}/ui/chat?model=smollm2")
    say(page, "Say hello.")
    expect(answers(page).get_by_role("alert")).to_contain_text("did you mean 'smollm2'?")


def test_an_embedding_model_is_asked_for_vectors(page: Page, server: Server) -> None:
    page.route(
        "**/v1/embeddings",
        lambda route: route.fulfill(
            json={"data": [{"embedding": [1, 0]}, {"embedding": [1, 0]}, {"embedding": [0, 1]}]}
        ),
    )
    page.route(re.compile("/api/models$"), _as_embedders)
    page.goto(f"{server.url}/ui/chat")
    page.get_by_role("tab", name="Embeddings").click()
    page.get_by_role("button", name="Embed").click()
    expect(page.get_by_role("row").nth(1)).to_contain_text(re.compile(r"1\.000\s*1\.000\s*0\.000"))


def _endless(route: Route) -> None:
    """Keep the model talking until it is stopped."""
    asked = json.loads(route.request.post_data or "{}")
    route.continue_(post_data=json.dumps(asked | {"ignore_eos": True, "max_tokens": 1500}))


def _as_embedders(route: Route) -> None:
    """Neither small model embeds: say that they do, to see what the page makes of vectors."""
    body = route.fetch().json()
    for model in body["models"]:
        model["kind"] = "embedding"
    route.fulfill(json=body)
