"""A page is left while what it asked for is under way, and the world goes on: what comes then is of no harm."""

from __future__ import annotations

import re
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Page, Route, expect

from ui.stand import Server

PAGES = {
    "models/smollm2": "/choices",
    "ports": "/api/ports",
    "activity": "/api/activity",
    "config": "/api/config",
    "setup": "/api/setup/stores",
    "nodes": "/api/nodes",
    "system": "/api/doctor",
}
"""With what each asks for last."""


def post(server: Server, path: str) -> None:
    with urlopen(Request(f"{server.url}{path}", b"{}", {"Content-Type": "application/json"})) as answer:  # noqa: S310 - ours
        assert answer.status == 200


@pytest.mark.parametrize("name", PAGES)
def test_answers_that_come_after_a_page_was_left(page: Page, parrots: Server, name: str) -> None:
    held: list[Route] = []
    state = page.get_by_role("main").locator("[data-model=smollm2]").get_by_text("ready")
    page.goto(f"{parrots.url}/ui/models")
    expect(page.get_by_role("navigation").get_by_role("status")).to_contain_text("Live")
    page.route(re.compile(r"/(api|v1)/(?!events)"), lambda route: held.append(route))  # noqa: PLW0108 - Playwright marks what it is given
    with page.expect_request(lambda request: PAGES[name] in request.url):
        page.evaluate(
            "to => { history.pushState(null, '', to); dispatchEvent(new PopStateEvent('popstate')) }", f"/ui/{name}"
        )
    page.get_by_role("navigation").get_by_role("link", name="Models").click()
    post(parrots, "/api/models/load/smollm2")
    expect(state).to_be_visible()
    for route in held:
        route.continue_()
        route.request.response()
    page.unroute_all()
    post(parrots, "/api/models/unload")
    expect(state).to_be_hidden()
