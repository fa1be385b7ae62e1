"""A load that is waited for in the chat: it fails, it is stopped, it is about to be beside another one."""

from __future__ import annotations

import contextlib
import http.client
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from fakes.ports import free_run
from ui.picking import pick
from ui.stand import ARTEFACTS, ENGINE, FAKE, SMOLLM2, Server, config, serving
from ui.talking import answers, briefly, done, pane, say
from ui.test_waiting import accessible, asked, control

MODELS = f"""\
  slow:
    cmd: ${{engine}} --loading
  flag:
    cmd: |
      {ENGINE} --model "{SMOLLM2}" --no-such-flag
      --ctx-size 512 --threads 1
"""
ASIDE = """\
  aside:
    swap: false
    exclusive: false
    members: [slow]
"""


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Server]:
    """A server with one model that loads until it is told to be ready, and one that does not start."""
    with serving(tmp_path, config(start_port=free_run(8).start, models=MODELS, engine=FAKE, more=ASIDE)) as server:
        yield server


def loading(server: Server, page: Page) -> Locator:
    """Ask the slow model something and wait until it loads."""
    page.goto(f"{server.url}/ui/chat?model=slow")
    say(page, "Say hello.")
    expect(answers(page)).to_contain_text("reading weights")  # its server listens
    return answers(page)


def crash(server: Server) -> None:
    """End the slow model's server, which has no time to answer."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        control(server, "crash?code=3")


def stopped(page: Page) -> None:
    page.locator("form").get_by_role("button", name="Stop").click()
    expect(answers(page)).to_contain_text("stopped")


def shown(page: Page, name: str) -> None:
    """Take pictures, in both themes and on a phone."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.screenshot(path=ARTEFACTS / f"{name}-{scheme}.png", animations="disabled")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.screenshot(path=ARTEFACTS / f"{name}-phone.png")
    page.set_viewport_size({"width": 1360, "height": 860})


def test_a_model_that_does_not_start_says_why_and_what_may_help_in_the_chat(page: Page, slow: Server) -> None:
    page.goto(f"{slow.url}/ui/chat?model=flag")
    briefly(page)
    say(page, "Say hello.")
    failure = answers(page).locator("[data-failure='flag']")
    expect(failure).to_contain_text("Did not start: ")
    expect(failure).to_contain_text("--no-such-flag")
    expect(answers(page)).not_to_contain_text("failed:")  # the raw error
    accessible(page)
    shown(page, "chat-not-started")

    failure.get_by_role("button", name="Try again").click()  # and it is tried, and not refused for a while
    expect(answers(page).get_by_test_id("waiting")).to_be_visible()
    expect(failure).to_be_visible(timeout=60_000)
    failure.get_by_role("button", name="Take --no-such-flag out").click()
    page.get_by_role("dialog").get_by_role("button", name="Write and load").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(failure).to_have_count(0)
    answers(page).get_by_role("button", name="Try again").click()
    done(answers(page))
    expect(answers(page)).to_contain_text("tokens/s", timeout=60_000)
    page.reload()
    expect(answers(page)).to_contain_text("tokens/s")


def test_a_load_that_nobody_waits_for_any_more_can_be_ended(page: Page, slow: Server) -> None:
    answer = loading(slow, page)
    stopped(page)
    goes_on = answer.get_by_test_id("goes-on")
    expect(goes_on).to_contain_text(re.compile(r"^slow goes on loading( \(.*\))?\. Nobody waits for it\."))
    accessible(page)
    shown(page, "chat-goes-on")
    page.reload()
    goes_on.get_by_role("button", name="Cancel load of slow").click()
    expect(goes_on).to_have_count(0)
    expect(page.get_by_role("group", name="Messages of the conversation")).to_be_focused()
    expect(page.get_by_text("slow is not loaded any further")).to_be_visible()
    assert asked(slow, "/api/models/slow")["state"] in {"stopped", "stopping"}


def test_a_load_that_was_tried_again_can_be_ended_too(page: Page, slow: Server) -> None:
    answer = loading(slow, page)
    crash(slow)
    expect(answer.locator("[data-failure]")).to_be_visible()
    answer.get_by_role("button", name="Try again").click()
    expect(answer).to_contain_text("Loading slow")
    stopped(page)
    answer.get_by_role("button", name="Cancel load of slow").click()
    expect(answer.get_by_test_id("goes-on")).to_have_count(0)


def test_a_load_that_somebody_else_waits_for_is_left_alone(page: Page, slow: Server) -> None:
    answer = loading(slow, page)
    other = threading.Thread(target=lambda: asked(slow, "/upstream/slow/health"))
    other.start()
    expect(page.locator("[data-testid=waiting]")).to_be_visible()
    page.wait_for_function(
        "fetch('/api/models/slow').then((answer) => answer.json()).then(({waiting}) => waiting === 2)"
    )
    stopped(page)
    expect(answer.get_by_test_id("goes-on")).to_have_count(0)
    control(slow, "ready")
    other.join()
    expect(answer.get_by_test_id("goes-on")).to_have_count(0)


def test_a_comparison_counts_in_a_model_that_is_just_starting(page: Page, slow: Server) -> None:
    page.request.post(f"{slow.url}/api/models/load/smollm2", timeout=60_000)
    page.goto(f"{slow.url}/ui/chat?model=smollm2")
    page.get_by_role("button", name="Compare").click()
    pick(pane(page, 2).get_by_role("combobox"), "slow")
    plan = page.get_by_test_id("plan")
    expect(plan).to_contain_text("then slow is loaded beside it")
    page.evaluate("void fetch('/api/models/load/slow', { method: 'POST' })")
    expect(plan).to_contain_text("These two fit together: SmolLM2 135M answers first, slow is being loaded beside it")
    expect(pane(page, 2).locator("[data-state]")).to_contain_text("42 %")  # its server listens
    control(slow, "ready")
    expect(plan).to_contain_text("These two are loaded and answer at the same time.")
