"""What is there where nothing is yet, the charts of the last hour, and how much moves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from fakes.ports import free_run
from ui.stand import FAKE, Server, config, serving
from ui.test_models import row


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that has not answered anything."""
    with serving(tmp_path_factory.mktemp("fresh"), config(start_port=free_run(4).start, engine=FAKE)) as server:
        yield server


def test_where_nothing_is_one_step_leads_on(page: Page, fresh: Server) -> None:
    page.goto(f"{fresh.url}/ui/activity")
    expect(page.get_by_role("heading", name="No model was loaded yet")).to_be_visible()
    history = page.get_by_label("History")
    expect(history.get_by_role("heading", name="No requests yet")).to_be_visible()
    history.get_by_label("Result").select_option(index=1)
    history.get_by_role("button", name="Show all requests").click()
    history.get_by_role("link", name="Say hello in the chat").click()
    expect(page).to_have_url(f"{fresh.url}/ui/chat")

    page.goto(f"{fresh.url}/ui/models/gone")
    page.get_by_role("link", name="See those that there are").click()
    page.get_by_label("Filter models").fill("xyzzy")
    page.get_by_role("button", name="Show all models").click()
    expect(row(page, "gemma")).to_be_visible()
    expect(page.get_by_label("Filter models")).to_have_value("")

    page.goto(f"{fresh.url}/ui/logs/gemma")
    expect(page.get_by_role("heading", name="Nothing was logged yet")).to_be_visible()
    expect(page.get_by_text("server prints comes here as it loads")).to_be_visible()


def test_the_last_hour_is_charted(page: Page, fresh: Server) -> None:
    page.goto(f"{fresh.url}/ui/system")
    hour = page.get_by_label("The last hour")
    for title in ("Tokens/s", "Requests", "Memory", "Load"):
        expect(hour.get_by_role("heading", name=title)).to_be_visible()
    expect(hour.get_by_role("img")).to_have_count(4, timeout=40_000)  # two samples, five seconds from each other


def test_what_moves_is_short_and_rests_for_who_wants_that(browser: Browser, fresh: Server) -> None:
    longest = """() => Math.max(0, ...[...document.querySelectorAll('*')].flatMap((element) =>
      getComputedStyle(element).transitionDuration.split(',').map((text) => parseFloat(text) * 1000)))"""
    for motion, most in (("no-preference", 200), ("reduce", 0)):
        context = browser.new_context(reduced_motion="reduce" if motion == "reduce" else "no-preference")
        page = context.new_page()
        page.goto(fresh.url)
        expect(row(page, "gemma")).to_be_visible()
        assert page.evaluate(longest) <= most
        context.close()
