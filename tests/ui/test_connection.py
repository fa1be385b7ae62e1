"""When ClaraCore goes away and comes back, the page says so and goes on by itself."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from fakes.ports import free_run
from ui.stand import config, serving


def test_it_reconnects_after_a_restart(page: Page, tmp_path: Path) -> None:
    with serving(tmp_path, config(start_port=free_run(8).start)) as server:
        page.goto(server.url)
        status = page.get_by_role("navigation").get_by_role("status")
        expect(status).to_contain_text("Live")
        server.stop()
        expect(page.get_by_test_id("lost")).to_be_visible()
        server.config.write_text(server.config.read_text().replace("name: SmolLM2 135M", "name: Another name"))
        server.start()
        expect(page.get_by_text("Another name")).to_be_visible()
        expect(page.get_by_test_id("lost")).to_have_count(0)
        expect(status).to_contain_text("Live")


def test_the_page_follows_a_configuration_that_changes(page: Page, tmp_path: Path) -> None:
    with serving(tmp_path, config(start_port=free_run(8).start)) as server:
        page.goto(server.url)
        expect(page.get_by_text("SmolLM2 135M", exact=True)).to_be_visible()
        good = server.config.read_text()
        server.config.write_text("models: {a: {ttl: -9}}")
        expect(page.get_by_text("The configuration file has errors")).to_be_visible()
        server.config.write_text(good.replace("name: SmolLM2 135M", "name: Another name"))
        expect(page.get_by_text("Another name")).to_be_visible()
        expect(page.get_by_text("The configuration file has errors")).to_have_count(0)
