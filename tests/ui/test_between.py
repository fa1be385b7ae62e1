"""What falls between an answer and the stream of events is shown, and once."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
from collections.abc import Callable, Iterator

from playwright.sync_api import Page, Route, expect

from ui.stand import Server

CHAT = {"model": "smollm2", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}


def post(server: Server, path: str, data: object | None = None) -> None:
    """Ask the server from outside of the browser."""
    body = json.dumps(data).encode() if data is not None else b""
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=30)
    with contextlib.closing(connection):
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        assert connection.getresponse().status == 200


@contextlib.contextmanager
def hearing(server: Server, topics: str) -> Iterator[Callable[[str], None]]:
    """Follow the stream as the page does; gives what waits for a line of it."""
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=30)
    connection.request("GET", f"/api/stream?topics={topics}")
    answer = connection.getresponse()

    def until(words: str) -> None:
        for raw in iter(answer.readline, b""):
            if words in raw.decode():
                return
        raise AssertionError(f"{words} was not told")

    until("hello")
    yield until
    connection.close()


def held(page: Page, path: str, meanwhile: Callable[[], None]) -> None:
    """Have the first answer to a path be one from before `meanwhile`, and come after it."""

    def answer(route: Route) -> None:
        old = route.fetch()
        meanwhile()
        route.fulfill(response=old)

    page.route(re.compile(re.escape(path)), answer, times=1)


def test_a_request_that_ends_between_is_on_charts_table_and_timeline(page: Page, parrots: Server) -> None:
    post(parrots, "/api/models/unload")

    def ask() -> None:
        with hearing(parrots, "activity,swap") as told:
            post(parrots, "/v1/chat/completions", {**CHAT, "model": "seer"})
            told("event: activity")

    held(page, "/api/activity?limit=500", ask)
    page.goto(f"{parrots.url}/ui/activity")
    rows = page.get_by_label("Table of requests").get_by_role("row")
    expect(rows.filter(has_text="seer").first).to_be_visible()
    many = page.evaluate("async () => (await (await fetch('/api/activity?limit=1')).json()).total")
    expect(page.get_by_text(f"{many} shown")).to_be_visible()

    def again() -> None:
        with hearing(parrots, "activity,swap") as told:
            post(parrots, "/v1/chat/completions", {**CHAT, "model": "gemma"})
            told("event: swap")

    post(parrots, "/v1/chat/completions", CHAT)
    held(page, "/api/swaps", again)
    page.reload()
    gone = page.get_by_label("Loads and swaps")
    expect(gone).to_contain_text("Unloaded smollm2.")
    lanes = page.get_by_role("list", name="Which model was loaded when").get_by_role("listitem")
    expect(lanes.filter(has=page.get_by_role("link", name="gemma", exact=True))).to_contain_text("loaded")


def test_lines_that_come_between_are_in_the_log_and_once(page: Page, parrots: Server) -> None:
    post(parrots, "/api/models/load/smollm2")

    def prints(text: str) -> None:
        with hearing(parrots, "log:smollm2") as told:
            post(parrots, f"/upstream/smollm2/control/print?text={text}")
            told(text)

    prints("line-before")
    held(page, "/api/logs?source=smollm2", lambda: prints("line-between"))
    page.goto(f"{parrots.url}/ui/logs/smollm2")
    log = page.get_by_role("log", name="Log of smollm2")
    for text in ("line-before", "line-between"):
        expect(log.get_by_text(text)).to_have_count(1)
    prints("line-after")
    expect(log.get_by_text("line-after")).to_have_count(1)


def test_more_lines_than_are_sent_one_by_one_are_there_all_the_same(page: Page, parrots: Server) -> None:
    post(parrots, "/api/models/load/smollm2")
    page.goto(f"{parrots.url}/ui/logs/smollm2")
    log = page.get_by_role("log", name="Log of smollm2")
    expect(log).to_contain_text("listening on")
    with hearing(parrots, "log:smollm2") as told:
        post(parrots, f"/upstream/smollm2/control/print?text={'%0A'.join(['flood'] * 300)}")
        told("event: resync")
    expect(log.get_by_text("flood", exact=True)).to_have_count(300)


def test_samples_and_answers_change_the_last_hour_and_nothing_is_fetched_again(page: Page, parrots: Server) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.removeprefix(parrots.url)))
    page.goto(f"{parrots.url}/ui/system")
    expect(page.get_by_role("region", name="The last hour")).to_be_visible()
    with hearing(parrots, "performance,activity") as told:
        post(parrots, "/v1/chat/completions", CHAT)
        told("event: activity")
        told("event: performance")
        told("event: performance")
    page.get_by_role("region", name="The last hour").screenshot()
    assert len([path for path in asked if path.startswith("/api/pace")]) <= 1, asked
    whole = [path for path in asked if path in {"/api/performance", "/api/performance?after=0"}]
    assert len(whole) <= 1, asked
