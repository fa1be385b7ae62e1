"""What happened and what happens: history with filters, the timeline of loads, and the logs."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from ui.picking import pick
from ui.stand import ARTEFACTS, Server

CHAT = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}


def test_history_is_filtered_and_loads_are_on_a_timeline(page: Page, parrots: Server) -> None:
    for model in ("smollm2", "gemma"):
        assert page.request.post(f"{parrots.url}/v1/chat/completions", data={"model": model, **CHAT}).ok
    assert page.request.post(f"{parrots.url}/v1/chat/completions", data={"model": "none", **CHAT}).status == 404
    page.goto(f"{parrots.url}/ui/activity")
    rows = page.get_by_label("Table of requests").get_by_role("row")
    expect(rows.filter(has_text="smollm2").first).to_be_visible()
    expect(page.get_by_label("History").get_by_text("captureBuffer")).to_be_visible()
    pick(page.get_by_label("History").get_by_role("combobox", name="Model"), "gemma")
    expect(rows.filter(has_text="smollm2")).to_have_count(0)
    expect(rows.filter(has_text="gemma").first).to_be_visible()

    lanes = page.get_by_role("list", name="Which model was loaded when").get_by_role("listitem")
    of = page.get_by_role("link", name="gemma", exact=True)
    expect(lanes.filter(has=of)).to_contain_text("loaded")
    page.get_by_role("button", name="24 h").click()
    gone = lanes.filter(has=page.get_by_role("link", name="smollm2", exact=True))
    expect(gone).to_contain_text(re.compile("loaded .*, then unloaded for gemma"))
    expect(page.get_by_label("Loads and swaps")).to_contain_text("Unloaded smollm2.")
    page.screenshot(path=ARTEFACTS / "activity-whole.png", full_page=True)


def test_requests_of_a_session_are_found_by_its_name(page: Page, parrots: Server) -> None:
    chats = f"{parrots.url}/v1/chat/completions"
    page.goto(f"{parrots.url}/ui/activity")
    columns = page.get_by_label("Table of requests").get_by_role("columnheader")
    rows = page.get_by_label("Table of requests").get_by_role("row")
    for session in ("task-1", "task-2"):
        headers = {"X-Session-ID": session}
        assert page.request.post(chats, data={"model": "smollm2", **CHAT}, headers=headers).ok
    expect(columns.filter(has_text="Session")).to_be_visible()
    expect(rows.filter(has_text="task-2").first).to_be_visible()
    page.get_by_role("button", name="task-1").click()
    expect(rows.filter(has_text="task-2")).to_have_count(0)
    expect(rows.filter(has_text="task-1")).to_have_count(1)
    page.screenshot(path=ARTEFACTS / "activity-sessions.png", full_page=True)


def test_a_request_is_found_by_the_id_that_its_answer_has(page: Page, parrots: Server) -> None:
    chats = f"{parrots.url}/v1/chat/completions"
    ids = [page.request.post(chats, data={"model": "smollm2", **CHAT}).headers["x-request-id"] for _ in range(2)]
    page.goto(f"{parrots.url}/ui/activity")
    rows = page.get_by_label("Table of requests").get_by_role("row").filter(has_text="smollm2")
    page.get_by_label("History").get_by_label("Find").fill(ids[0])
    expect(rows).to_have_count(1)
    rows.get_by_role("button", name="all about request").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(ids[0])
    expect(dialog.get_by_role("button", name="Copy the request id")).to_be_visible()
    page.screenshot(path=ARTEFACTS / "activity-request.png")
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme="dark")
    page.screenshot(path=ARTEFACTS / "activity-request-phone.png")
    page.keyboard.press("Escape")
    expect(rows.get_by_role("button", name="all about request")).to_be_focused()


def test_a_log_is_live_filtered_paused_and_downloaded(page: Page, parrots: Server, tmp_path: Path) -> None:
    page.request.post(f"{parrots.url}/api/models/load/smollm2")
    page.goto(f"{parrots.url}/ui/logs/smollm2")
    log = page.get_by_role("log", name="Log of smollm2")
    expect(log).to_contain_text("listening on")

    def prints(text: str) -> None:
        assert page.request.post(f"{parrots.url}/upstream/smollm2/control/print", params={"text": text}).ok

    prints("\x1b[31ma red line\x1b[0m")
    expect(log.get_by_text("a red line")).to_contain_class("c1")
    page.get_by_label("Find in the log").fill("red")
    expect(log).not_to_contain_text("listening on")
    page.get_by_label("Find in the log").fill("")
    page.get_by_role("button", name="Pause").click()
    prints("told while paused")
    expect(page.get_by_role("button", name="Go on")).to_contain_text("1")
    expect(log).not_to_contain_text("told while paused")
    page.get_by_role("button", name="Go on").click()
    expect(log).to_contain_text("told while paused")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    download.value.save_as(tmp_path / "log")
    assert "a red line\n" in (tmp_path / "log").read_text()


def test_the_system_page_tells_versions_and_what_is_wrong(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/ui/system")
    expect(page.get_by_label("Versions")).to_contain_text("embedded")
    expect(page.get_by_label("Hardware").get_by_role("meter", name="Processor in use")).to_be_visible()
    expect(page.get_by_label("Memory", exact=True)).to_contain_text(re.compile("free .* GiB of .* GiB"))
    expect(page.get_by_label("Doctor").get_by_role("listitem").first).to_be_visible()
