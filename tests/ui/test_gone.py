"""Is what matters seen? The end of a log whose lines wrap, and that the model of a conversation is gone."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from fakes.ports import free_run
from ui.picking import pick
from ui.stand import FAKE, ODD, Server, config, serving
from ui.talking import answers, done, say

LONG = "llama_model_loader: - kv 17: tokenizer.ggml.tokens arr[str,32000] = " + "token " * 60
TO_END = "each => each.scrollHeight - each.scrollTop - each.clientHeight"


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
