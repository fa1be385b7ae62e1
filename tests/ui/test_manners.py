"""What people expect without thinking of it: the focus stays, nothing is lost unasked, words are for people."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import APIResponse, Locator, Page, Route, expect

from fakes.ports import free_run
from ui.stand import ARTEFACTS, FAKE, Server, config, serving
from ui.test_config import replace_all

BROKEN = "  broken:\n    cmd: ${engine} --crash start\n"


@pytest.fixture(scope="module")
def polite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Models that are ready at once, and one that never is."""
    text = config(start_port=free_run(8).start, models=BROKEN, engine=FAKE)
    with serving(tmp_path_factory.mktemp("polite"), text) as server:
        yield server


def row(page: Page, model: str) -> Locator:
    return page.locator(f"[data-model='{model}']")


def state(page: Page, model: str) -> Locator:
    return row(page, model).locator("[data-state]")


def test_the_focus_stays_on_the_button_and_states_are_told(page: Page, polite: Server) -> None:
    page.request.post(f"{polite.url}/api/models/unload")
    page.goto(polite.url)
    told = page.get_by_test_id("announced")
    button = row(page, "smollm2").get_by_role("button", name=re.compile("^(Load|Unload|Cancel)"))
    button.focus()
    page.keyboard.press("Enter")
    expect(state(page, "smollm2")).to_have_attribute("data-state", "ready")
    expect(told).to_have_text("SmolLM2 135M is ready")
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    expect(state(page, "smollm2")).to_have_attribute("data-state", "stopped")
    expect(told).to_have_text("SmolLM2 135M is unloaded")
    expect(button).to_be_focused()
    row(page, "broken").get_by_role("button", name="Load").click()
    expect(told).to_contain_text("broken failed: ")


def test_unloading_all_is_taken_back(page: Page, polite: Server) -> None:
    page.goto(polite.url)
    row(page, "gemma").get_by_role("button", name=re.compile("^Load")).click()
    expect(state(page, "gemma")).to_have_attribute("data-state", "ready")
    every = page.get_by_role("button", name="Unload all")
    every.click()
    expect(state(page, "gemma")).to_have_attribute("data-state", "stopped")
    expect(every).to_be_focused()
    expect(every).to_have_attribute("aria-disabled", "true")
    page.get_by_role("button", name="Load again").click()
    expect(state(page, "gemma")).to_have_attribute("data-state", "ready")


def test_the_focus_is_not_lost_in_the_chat(page: Page, polite: Server) -> None:
    page.goto(f"{polite.url}/ui/chat?model=smollm2")
    send = page.get_by_role("button", name="Send", exact=True)
    page.get_by_label("Your message").fill("Hello")
    send.click()
    expect(page.get_by_role("article", name="Answer")).to_contain_text("tokens/s")
    expect(send).to_be_focused()
    page.get_by_role("button", name="New", exact=True).click()
    expect(page.get_by_role("article", name="Answer")).to_have_count(0)
    assert page.evaluate("document.activeElement !== document.body")


def test_unsaved_configuration_is_not_lost_unasked(page: Page, tmp_path: Path) -> None:
    text = config(start_port=free_run(8).start, engine=FAKE)
    with serving(tmp_path, text) as server:
        page.goto(server.url)
        page.get_by_role("navigation").get_by_role("link", name="Configuration").click()
        editor = page.get_by_role("textbox", name="Configuration")
        expect(page.get_by_test_id("verdict")).to_have_text("valid")
        replace_all(page, text.replace("ttl: 600", "ttl: 601"))
        dialog = page.get_by_role("dialog", name="Leave this page?")
        for leave in (lambda: page.get_by_role("link", name="Ports").click(), page.go_back):
            leave()
            expect(dialog).to_be_visible()
            dialog.get_by_role("button", name="Stay").click()
            expect(page).to_have_url(f"{server.url}/ui/config")
            expect(editor).to_contain_text("ttl: 601")
        page.get_by_role("button", name="Discard").click()
        expect(editor).to_contain_text("ttl: 600")
        page.get_by_role("button", name="Undo").click()
        expect(editor).to_contain_text("ttl: 601")
        page.on("dialog", lambda asked: asked.dismiss())
        with page.expect_event("dialog") as asked:
            page.evaluate("setTimeout(() => location.reload())")
        assert asked.value.type == "beforeunload"
        expect(editor).to_contain_text("ttl: 601")
        page.get_by_role("link", name="Ports").click()
        dialog.get_by_role("button", name="Leave and lose them").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Ports")


def test_what_was_refused_is_no_news_once_it_is_saved(page: Page, tmp_path: Path) -> None:
    text = config(start_port=free_run(8).start, engine=FAKE)
    with serving(tmp_path, text) as server:
        page.goto(f"{server.url}/ui/config")
        save = page.get_by_role("button", name="Save")
        finding = '{"severity": "error", "message": "no", "path": "", "way_out": ""}'
        refusal = f'{{"error": {{"message": "it has errors", "findings": [{finding}]}}}}'

        def refuse(route: Route) -> None:
            refused = route.request.method == "PUT"
            route.fulfill(status=422, body=refusal) if refused else route.continue_()

        page.route("**/api/config", refuse)
        expect(page.get_by_test_id("verdict")).to_have_text("valid")
        replace_all(page, f"healthCheckTimeout: 90\n{text}")
        expect(page.get_by_role("tabpanel")).to_contain_text("healthCheckTimeout changes")
        expect(page.get_by_role("tabpanel")).not_to_contain_text("health_check_timeout")
        save.click()
        expect(page.get_by_text("Not saved")).to_be_visible()
        page.unroute("**/api/config")
        replace_all(page, text.replace("ttl: 600", "ttl: 602"))
        expect(page.get_by_test_id("verdict")).to_have_text("valid")
        save.click()
        expect(page.get_by_text("Saved and taken over")).to_be_visible()
        expect(page.get_by_text("Not saved")).to_have_count(0)
        expect(save).to_be_focused()


def test_a_page_that_there_is_not_says_so(page: Page, polite: Server) -> None:
    page.goto(f"{polite.url}/ui/nonsense")
    expect(page.get_by_role("main")).to_contain_text("There is no page “nonsense”")
    expect(page).to_have_title("Page not found · ClaraCore")
    page.get_by_role("link", name="To the models").click()
    expect(row(page, "gemma")).to_be_visible()


def test_a_page_whose_code_is_gone_after_an_upgrade_is_loaded_anew(page: Page, polite: Server) -> None:
    page.goto(polite.url)
    expect(row(page, "gemma")).to_be_visible()
    gone: list[str] = []

    def upgraded(route: Route) -> None:
        # The old page asks for a file that is not there any more; the new one for its own.
        gone.append(route.request.url)
        route.fulfill(status=404) if len(gone) == 1 else route.continue_()

    page.route("**/assets/Ports-*.js", upgraded)
    page.get_by_role("navigation").get_by_role("link", name="Ports").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Ports")
    assert len(gone) == 2


def test_a_page_that_stays_without_its_code_says_so(page: Page, polite: Server) -> None:
    page.goto(polite.url)
    expect(row(page, "gemma")).to_be_visible()
    page.route("**/assets/Ports-*.js", lambda route: route.fulfill(status=404))
    page.get_by_role("navigation").get_by_role("link", name="Ports").click()
    expect(page.get_by_role("alert")).to_contain_text("This page could not be loaded")
    page.unroute("**/assets/Ports-*.js")
    page.get_by_role("button", name="Reload").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Ports")


def test_an_answer_that_is_older_than_an_event_does_not_undo_it(page: Page, polite: Server) -> None:
    page.request.post(f"{polite.url}/api/models/unload")
    held: list[tuple[Route, APIResponse]] = []

    def hold_the_first(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append((route, route.fetch()))

    page.route("**/api/models", hold_the_first)
    with page.expect_request("**/api/models"):
        page.goto(polite.url)
    # The page asks once more when it has heard of the load: what would go is another question then.
    with page.expect_response("**/api/models"):
        assert page.request.post(f"{polite.url}/api/models/load/gemma").ok
    expect(row(page, "gemma")).to_have_count(0)
    route, old = held[0]
    assert [model["state"] for model in old.json()["models"] if model["id"] == "gemma"] != ["ready"]
    route.fulfill(response=old)
    expect(state(page, "gemma")).to_have_attribute("data-state", "ready")


def test_a_request_is_opened_copied_and_exported(page: Page, tmp_path: Path) -> None:
    text = config(start_port=free_run(8).start, engine=FAKE, more="captureBuffer: 5\n")
    with serving(tmp_path, text) as server:
        body = {"model": "gemma", "messages": [{"role": "user", "content": "What is a cat?"}], "max_tokens": 2}
        headers = {"Authorization": "Bearer very-secret-key"}
        chats = f"{server.url}/v1/chat/completions"
        assert page.request.post(chats, data=body, headers=headers).ok
        page.goto(f"{server.url}/ui/activity")
        page.get_by_role("button", name=re.compile("^Open request")).click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_role("tabpanel")).to_contain_text("What is a cat?")
        expect(dialog.get_by_role("tabpanel")).to_contain_text("assistant")
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        dialog.get_by_role("button", name="Copy as curl").click()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert "/v1/chat/completions" in copied
        assert "What is a cat?" in copied
        assert "very-secret-key" not in copied
        dialog.get_by_role("tab", name="Answer (200)").click()
        expect(dialog.get_by_role("tabpanel")).to_contain_text("choices")
        page.screenshot(path=ARTEFACTS / "capture.png")
        page.keyboard.press("Escape")
        for kind, end in (("CSV", "csv"), ("Markdown", "md")):
            with page.expect_download() as download:
                page.get_by_role("button", name=kind, exact=True).click()
            download.value.save_as(tmp_path / end)
            assert "gemma" in (tmp_path / end).read_text()


def test_whoever_stops_an_answer_has_not_seen_it_fail(page: Page, polite: Server) -> None:
    page.goto(f"{polite.url}/ui/activity")
    row_of_it = {"id": 1, "at": 1.0, "model": "gemma", "path": "/x", "status": 200, "error": "the client left"}
    nothing = dict.fromkeys(
        ("queue_seconds", "load_seconds", "first_token_seconds", "prompt_tokens", "cached_tokens", "completion_tokens")
    )
    answer = {"data": [row_of_it | nothing | {"total_seconds": 1, "requested": "gemma"}], "page": 1, "total_pages": 1}
    page.route("**/api/activity?page=*", lambda route: route.fulfill(json=answer | {"limit": 25, "total": 1}))
    page.reload()
    badge = page.get_by_label("Table of requests").get_by_text("stopped")
    expect(badge).to_be_visible()
    expect(badge).not_to_contain_class("bad")


def test_from_a_line_of_the_log_to_its_model(page: Page, polite: Server) -> None:
    page.request.post(f"{polite.url}/api/models/load/gemma")
    page.goto(f"{polite.url}/ui/logs")
    page.get_by_role("log").get_by_role("link", name="gemma", exact=True).first.click()
    expect(page).to_have_url(f"{polite.url}/ui/models/gemma")


def test_a_stranger_is_drawn_where_nobody_is_planned(page: Page, polite: Server) -> None:
    page.goto(f"{polite.url}/ui/ports")
    free = page.locator("[data-look='free']").last
    port = int(free.get_attribute("data-port") or 0)
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", port))
        stranger.listen()
        page.get_by_role("button", name="Look again").click()
        expect(page.locator(f"[data-port='{port}']")).to_have_attribute("data-look", "stranger")


def test_a_temperature_that_no_model_takes_is_refused_in_words(page: Page, polite: Server) -> None:
    page.goto(f"{polite.url}/ui/chat")
    page.get_by_role("button", name="Parameters").click()
    temperature = page.get_by_label("Temperature")
    temperature.fill("9")
    expect(page.get_by_role("alert")).to_have_text("From 0 to 2")
    expect(temperature).to_have_attribute("aria-invalid", "true")
    temperature.blur()
    expect(temperature).to_have_value("9")
    temperature.fill("0.5")
    expect(page.get_by_role("alert")).to_have_count(0)
