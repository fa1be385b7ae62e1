"""The port map: who has which port, and what happens when a stranger has one that was planned."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from playwright.sync_api import Page, expect

from fakes.ports import free_run
from ui.stand import Server, config, serving


def test_a_stranger_on_a_planned_port_is_seen_and_named(page: Page, tmp_path: Path) -> None:
    first = free_run(8).start
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", first))
        stranger.listen()
        with serving(tmp_path, config(start_port=first)) as server:
            page.goto(f"{server.url}/ui/ports")
            cell = page.locator(f"[data-port='{first}']")
            expect(cell).to_have_attribute("data-look", "conflict")
            expect(page.get_by_label("What to know")).to_contain_text(str(first))
            cell.click()
            expect(page.get_by_role("dialog")).to_contain_text(f"pid {os.getpid()}")
            expect(page.get_by_role("dialog")).to_contain_text(f"to keep {first} for models")
            page.keyboard.press("Escape")
            expect(page.get_by_role("dialog")).to_have_count(0)

            assert page.request.post(f"{server.url}/api/models/load/gemma").ok
            expect(page.locator("[data-look='serving']", has_text="gemma")).to_be_visible()
            expect(cell).to_have_attribute("data-look", "conflict")


def test_the_map_follows_what_runs(page: Page, server: Server) -> None:
    page.request.post(f"{server.url}/api/models/unload")
    page.goto(f"{server.url}/ui/ports")
    held = page.locator("[data-look='held']", has_text="smollm2")
    expect(held).to_be_visible()
    assert page.request.post(f"{server.url}/api/models/load/smollm2").ok
    expect(page.locator("[data-look='serving']", has_text="smollm2")).to_be_visible()


def test_any_port_can_be_asked_about(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/ui/ports")
    page.get_by_label("Ask about any port").fill("9")
    page.get_by_role("button", name="Why?", exact=True).click()
    expect(page.get_by_role("dialog", name="Port 9")).to_contain_text("port 9 is")
