"""What is answered late, when a person has asked for something else or has gone on, overwrites nothing newer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from fakes.ports import free_run
from ui.gate import Gate, to
from ui.stand import ENGINE, FAKE, SMOLLM2, Server, config, serving
from ui.test_config import replace_all
from ui.test_models import row

SAVED = "Saved and taken over"


@pytest.fixture
def text() -> str:
    return config(start_port=free_run(8).start, engine=FAKE)


def opened(page: Page, server: Server, query: str = "") -> None:
    page.goto(f"{server.url}/ui/config{query}")
    expect(page.get_by_test_id("verdict")).to_have_text("valid")


def test_what_is_read_before_a_save_is_not_shown_after_it(page: Page, tmp_path: Path, text: str) -> None:
    with serving(tmp_path, text) as server:
        opened(page, server)
        save, editor = page.get_by_role("button", name="Save"), page.get_by_role("textbox", name="Configuration")
        replace_all(page, text.replace("ttl: 600", "ttl: 601"))
        gate = Gate(page, to("/api/config"))  # The page hears of its own save, and looks.
        with gate.closes():
            save.click()
        replace_all(page, text.replace("ttl: 600", "ttl: 602"))
        with page.expect_response(lambda answer: answer.request.method == "PUT"):
            save.click()
        gate.open()
        expect(page.get_by_role("button", name="Discard")).to_be_disabled()
        expect(editor).to_contain_text("ttl: 602")
        assert "ttl: 602" in server.config.read_text()


def test_a_change_of_the_form_that_is_under_way_is_saved(page: Page, tmp_path: Path, text: str) -> None:
    with serving(tmp_path, text) as server:
        opened(page, server, "?model=smollm2")
        field = page.get_by_label("Unload after")
        expect(field).to_have_value("600")
        gate = Gate(page, to("/api/config/form", "POST"))
        field.fill("700")
        with gate.closes():
            # The click takes the focus from the field, and with that there is something to save.
            page.get_by_role("button", name="Save").click(force=True)
        gate.open()
        expect(page.get_by_text(SAVED)).to_be_visible()
        assert "ttl: 700" in server.config.read_text()


def test_reasons_for_a_port_are_those_of_the_one_asked_for_last(page: Page, parrots: Server) -> None:
    page.goto(f"{parrots.url}/ui/ports")
    field, dialog = page.get_by_label("Ask about any port"), page.get_by_role("dialog")
    gate = Gate(page, to("/api/ports/9"))
    with gate.closes():
        field.fill("9")
        field.press("Enter")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    field.fill("10")
    field.press("Enter")
    expect(dialog).to_contain_text("port 10 is")
    gate.open()
    expect(dialog).to_contain_text("port 10 is")


def test_the_folder_is_the_one_that_was_opened_last(page: Page, parrots: Server, tmp_path: Path) -> None:
    (tmp_path / "wanted").mkdir()
    gate = Gate(page, to("/api/setup/browse"))
    with gate.closes():
        page.goto(f"{parrots.url}/ui/setup")
    field, folders = page.get_by_label("Folder", exact=True), page.get_by_label("Folders").get_by_role("listitem")
    field.fill(str(tmp_path))
    field.press("Enter")
    expect(folders.filter(has_text="wanted")).to_be_visible()
    gate.open()
    expect(folders.filter(has_text="wanted")).to_be_visible()


def test_the_profile_that_is_shown_is_the_one_in_force(page: Page, tmp_path: Path, text: str) -> None:
    with serving(tmp_path, f"profiles: {{work: {{pins: {{gpt-4: gemma}}}}}}\n{text}") as server:
        page.goto(server.url)
        choice = page.get_by_label("Profile")
        expect(choice).to_have_value("")
        page.route("**/api/profiles/active", refused, times=1)
        choice.select_option("work")
        expect(page.get_by_text("not now")).to_be_visible()
        expect(choice).to_have_value("")


def refused(route: Route) -> None:
    route.fulfill(status=409, json={"error": {"message": "not now"}})


def test_a_dialog_that_was_left_closes_no_other_one(page: Page, tmp_path: Path) -> None:
    models = f'  flag:\n    cmd: |\n      {ENGINE} --model "{SMOLLM2}" --no-such-flag\n'
    with serving(tmp_path, config(start_port=free_run(8).start, models=models, engine=FAKE)) as server:
        page.goto(server.url)
        row(page, "flag").get_by_role("button", name="Load").click()
        remedy, dialog = page.get_by_role("button", name="Take --no-such-flag out"), page.get_by_role("dialog")
        gate = Gate(page, to("/remedies", "POST"))
        with gate.closes():
            remedy.click()
        dialog.get_by_role("button", name="Leave it").click()
        remedy.click()
        expect(dialog).to_contain_text("flag has a new command")
        gate.open(status=409)
        expect(dialog).to_contain_text("flag has a new command")
        expect(page.get_by_role("log", name="Messages").locator(".bad")).to_have_text(
            [re.compile("model 'flag' failed")]
        )
