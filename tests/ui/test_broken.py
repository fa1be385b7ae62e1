"""What does a person see when an answer breaks off, or is written in another tab?"""

from __future__ import annotations

import json
from pathlib import Path

from playwright.sync_api import Page, Route, expect

from fakes.ports import free_run
from ui.stand import FAKE, ODD, Server, config, serving
from ui.talking import answers, done, held, say

IN_SIGHT = """() => {
  const { bottom } = document.querySelector('main form.card').getBoundingClientRect();
  return bottom <= innerHeight && document.documentElement.scrollHeight <= innerHeight;
}"""


def test_an_answer_that_the_network_cuts_can_be_gone_on_with(page: Page, tmp_path: Path) -> None:
    with serving(tmp_path, config(start_port=free_run(8).start, models=ODD, engine=FAKE)) as server:
        page.set_viewport_size({"width": 1280, "height": 860})
        page.route("**/v1/chat/completions", held)
        page.goto(f"{server.url}/ui/chat?model=smollm2")
        say(page, "Tell me a story.")
        answer = answers(page)
        expect(answer.locator(".markdown")).to_be_visible()
        server.kill()
        expect(answer).to_contain_text("The connection to ClaraCore broke off amid the answer")
        expect(page.get_by_test_id("lost")).to_be_visible()
        assert page.evaluate(IN_SIGHT)
        page.set_viewport_size({"width": 390, "height": 844})
        page.wait_for_function(IN_SIGHT)
        server.start()
        expect(page.get_by_test_id("lost")).to_have_count(0)
        page.unroute("**/v1/chat/completions")
        said = answer.locator(".markdown").inner_text()
        answer.get_by_role("button", name="Continue").click()
        done(answer)
        assert answer.locator(".markdown").inner_text().startswith(said)


def test_a_model_server_that_breaks_off_leads_to_its_log(page: Page, parrots: Server) -> None:
    def cut(route: Route) -> None:
        asked = json.loads(route.request.post_data or "{}")
        route.continue_(post_data=json.dumps(asked | {"fake": {"chunks": 6, "cut_after": 3}}))

    page.route("**/v1/chat/completions", cut)
    page.goto(f"{parrots.url}/ui/chat?model=smollm2")
    say(page, "Tell me a story.")
    answer = answers(page)
    expect(answer).to_contain_text("The server of model 'smollm2' broke off its answer")
    expect(answer).not_to_contain_text("claracore logs")
    expect(answer.get_by_role("button", name="Continue")).to_be_visible()
    answer.get_by_role("link", name="What it printed").click()
    expect(page).to_have_url(f"{parrots.url}/ui/logs/smollm2")


def test_another_tab_knows_that_an_answer_is_being_written(page: Page, parrots: Server) -> None:
    page.route("**/v1/chat/completions", held)
    page.goto(f"{parrots.url}/ui/chat?model=smollm2")
    say(page, "Tell me a story.")
    expect(answers(page).locator(".markdown")).to_be_visible()
    other = page.context.new_page()
    other.goto(f"{parrots.url}/ui/chat")
    answer = answers(other)
    expect(answer).to_contain_text("being written in another tab")
    for name in ("Continue", "Regenerate", "Ask again"):
        expect(answer.get_by_role("button", name=name)).to_have_count(0)
    page.close(run_before_unload=False)
    expect(answer).to_contain_text("not finished")
    expect(answer.get_by_role("button", name="Continue")).to_be_visible()
    other.close()


def test_an_answer_of_which_nothing_was_said_can_be_asked_for_again(page: Page, parrots: Server) -> None:
    page.route("**/v1/chat/completions", lambda _: None)
    page.goto(f"{parrots.url}/ui/chat?model=smollm2")
    say(page, "Say hello.")
    expect(answers(page)).to_have_attribute("aria-busy", "true")
    page.reload()
    page.unroute("**/v1/chat/completions")
    answers(page).get_by_role("button", name="Ask again").click()
    done(answers(page))
    expect(answers(page).locator(".markdown")).to_be_visible()
