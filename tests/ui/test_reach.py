"""Is what matters in sight and in reach? In low windows, in logs that wrap, with keys and models that can do less."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from fakes.ports import free_run
from ui.picking import pick
from ui.stand import FAKE, ODD, Server, config, serving
from ui.talking import answers, done, say
from ui.test_attachments import attach, picture

LONG = "llama_model_loader: - kv 17: tokenizer.ggml.tokens arr[str,32000] = " + "token " * 60
TO_END = "each => each.scrollHeight - each.scrollTop - each.clientHeight"


@pytest.mark.parametrize(("width", "height"), [(960, 430), (844, 390)])
def test_all_of_the_navigation_is_reached_in_a_low_window(page: Page, parrots: Server, width: int, height: int) -> None:
    page.set_viewport_size({"width": width, "height": height})
    page.goto(f"{parrots.url}/ui/chat?model=smollm2")
    navigation = page.get_by_role("navigation")
    status = navigation.get_by_role("status").bounding_box()
    assert status is not None
    assert status["y"] + status["height"] <= height
    tabs = page.get_by_role("tablist")
    assert tabs.evaluate("each => each.scrollWidth <= each.clientWidth")
    navigation.get_by_role("link", name="System").click()
    expect(page).to_have_url(f"{parrots.url}/ui/system")


@pytest.mark.parametrize("width", [1280, 390])
def test_a_log_that_wraps_opens_at_its_end_and_stays_there(page: Page, parrots: Server, width: int) -> None:
    def printed(text: str) -> None:
        assert page.request.post(f"{parrots.url}/upstream/smollm2/control/print", params={"text": text}).ok

    page.set_viewport_size({"width": width, "height": 844})
    printed("\n".join([LONG] * 120 + ["the first end"]))
    page.goto(f"{parrots.url}/ui/logs/smollm2")
    log = page.get_by_role("log", name="Log of")
    for end, more in (("the first end", "the second end"), ("the second end", "")):
        expect(log.get_by_text(end, exact=True).last).to_be_in_viewport()
        page.wait_for_function(f"each => ({TO_END})(each) < 40", arg=log.element_handle())
        if more:
            printed("\n".join([LONG] * 36 + [more]))
    log.hover()
    page.mouse.wheel(0, -900)
    page.wait_for_function(f"each => ({TO_END})(each) > 400", arg=log.element_handle())
    printed("\n".join([LONG] * 5 + ["not followed"]))
    expect(log.get_by_text("not followed", exact=True).last).to_be_attached()
    assert log.evaluate(TO_END) > 400


def test_a_model_that_is_gone_is_not_replaced_without_a_word(page: Page, tmp_path: Path) -> None:
    with serving(tmp_path, config(start_port=free_run(8).start, models=ODD, engine=FAKE)) as server:
        page.goto(f"{server.url}/ui/chat?model=seer")
        say(page, "Hello?")
        done(answers(page))
        server.config.write_text(server.config.read_text().replace("  seer:", "  other:"))
        expect(page.get_by_text("“seer” is not there any more")).to_be_visible()
        expect(page.get_by_role("combobox", name="Model of")).to_have_value("seer")
        say(page, "Again?")
        expect(page.get_by_role("article", name="You")).to_have_count(1)
        pick(page.get_by_role("combobox", name="Model of"), "other")
        expect(page.get_by_text("is not there any more")).to_have_count(0)
        page.get_by_label("Your message").press("Enter")
        expect(page.get_by_role("article", name="You")).to_have_count(2)


def test_a_model_that_does_not_see_is_not_sent_earlier_pictures(page: Page, tmp_path: Path) -> None:
    blind = ODD + "  blind:\n    cmd: ${engine}\n    capabilities: {in: [text], out: [text]}\n"
    with serving(tmp_path, config(start_port=free_run(8).start, models=blind, engine=FAKE)) as server:
        page.goto(f"{server.url}/ui/chat?model=seer")
        attach(page, picture(40, 30))
        say(page, "Look.")
        done(answers(page))
        expect(page.get_by_test_id("left-out")).to_have_count(0)
        pick(page.get_by_role("combobox", name="Model of"), "blind")
        expect(page.get_by_test_id("left-out")).to_contain_text("blind does not see the pictures")
        with page.expect_request("**/v1/chat/completions") as asked:
            say(page, "And now?")
        sent = json.loads(asked.value.post_data or "{}")
        assert sent["messages"][0]["content"] == "[a picture]\nLook."
        expect(answers(page)).to_have_count(2)
        done(answers(page).last)


def test_a_key_that_may_only_use_models_is_told_so(page: Page, tmp_path: Path) -> None:
    with serving(tmp_path, config(start_port=free_run(8).start, more="apiKeys: [whole-key]\n", engine=FAKE)) as server:
        made = page.request.post(
            f"{server.url}/api/keys",
            data={"name": "narrow", "scopes": ["inference"]},
            headers={"Authorization": "Bearer whole-key"},
        )
        page.goto(f"{server.url}/ui/models")
        page.get_by_label("API key").fill(made.json()["key"])
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_test_id("narrow")).to_contain_text("This key may use models, but not look at the server")
        expect(page.get_by_test_id("lost")).to_have_count(0)
        page.get_by_role("button", name="Give another key").click()
        page.get_by_label("API key").fill("whole-key")
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_test_id("narrow")).to_have_count(0)
        expect(page.get_by_text("SmolLM2 135M", exact=True)).to_be_visible()
