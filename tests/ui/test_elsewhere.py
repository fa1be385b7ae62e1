"""What the interface shows and does of a model that another machine has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from e2e.joined import Joined, X, one_joined


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Joined]:
    with one_joined(tmp_path_factory.mktemp("elsewhere"), X) as found:
        yield found


def prints(stand: Joined, text: str) -> None:
    assert stand.ask("node", "POST", f"/upstream/x/control/print?text={text}").status == 200


def test_a_model_elsewhere_is_loaded_and_unloaded_from_its_row(page: Page, stand: Joined) -> None:
    page.goto(stand.head.url)
    row = page.locator("[data-model='desk/x']")
    button = row.locator("[data-control=run]")
    expect(button).to_contain_text("Unload")
    button.click()
    expect(button).to_contain_text("Load")
    expect(row.locator("[data-state]")).to_have_attribute("data-state", "stopped")
    assert stand.ask("node", "GET", "/running").json["running"] == []
    button.click()
    expect(button).to_contain_text("Unload")


def test_a_model_elsewhere_has_a_machine_and_no_port_here(page: Page, stand: Joined) -> None:
    page.goto(stand.head.url)
    row = page.locator("[data-model='desk/x']")
    expect(row.locator("[data-state]")).to_have_attribute("data-state", "ready")
    expect(row.get_by_role("button", name="Copy the address of desk/x")).to_have_count(0)
    row.get_by_role("link").first.click()
    facts = page.get_by_label("Facts", exact=True)
    expect(facts).to_contain_text("Machine desk")
    expect(facts).not_to_contain_text("Port")


def test_the_log_of_a_model_elsewhere_goes_on_and_says_when_its_machine_goes(page: Page, stand: Joined) -> None:
    prints(stand, "line-before")
    page.goto(f"{stand.head.url}/ui/logs/desk/x")
    log = page.get_by_role("log", name="Log of desk/x")
    expect(log.get_by_text("line-before")).to_have_count(1)
    prints(stand, "line-after")
    expect(log.get_by_text("line-after")).to_have_count(1)
    stand.running["node"].process.kill()
    stand.running["node"].process.wait()
    expect(log).to_contain_text("machine 'desk' sends no more")
    expect(page.get_by_role("alert")).to_contain_text("machine 'desk' could not be asked for the log of 'x'")
    stand.start("node", X)
    stand.until_up()
    expect(page.get_by_role("alert")).to_have_count(0)
    prints(stand, "line-anew")
    expect(log.get_by_text("line-anew")).to_have_count(1)
    expect(log.get_by_text("line-after")).to_have_count(1)
