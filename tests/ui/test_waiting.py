"""What a load is at, and why one failed, on the row of the model."""

from __future__ import annotations

import json
import re
import urllib.parse
import urllib.request
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from fakes.ports import free_run
from ui.stand import AXE, ENGINE, FAKE, SMOLLM2, Server, config, serving

WEIGHTS = "srv    load_model: loading model 'm.gguf'"
CONTEXT = "llama_context: constructing llama_context"
WARMUP = "cmn          init: llama threadpool init, n_threads = 2"
MODELS = f"""\
  slow:
    cmd: ${{engine}} --loading
  flag:
    cmd: |
      {ENGINE} --model "{SMOLLM2}" --no-such-flag
      --ctx-size 512 --threads 1
  gone:
    cmd: |
      {ENGINE} --model /nowhere/gone.gguf
"""


def row(page: Page, model: str) -> Locator:
    return page.locator(f"[data-model='{model}']")


def asked(server: Server, path: str) -> dict[str, object]:
    with urllib.request.urlopen(server.url + path) as answer:  # noqa: S310 - a server of ours
        found: dict[str, object] = json.load(answer)
        return found


def control(server: Server, order: str) -> None:
    port = asked(server, "/api/models/slow")["port"]
    urllib.request.urlopen(f"http://127.0.0.1:{port}/control/{order}", data=b"").close()


def prints(server: Server, line: str) -> None:
    control(server, f"print?text={urllib.parse.quote(line)}")


def load(page: Page, model: str) -> None:
    row(page, model).get_by_role("button", name=re.compile("^Load")).click()


def accessible(page: Page) -> None:
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document).then(({violations}) => violations.map(({id}) => id))")
    assert found == []


def test_a_load_says_what_it_is_at_and_why_a_start_failed_with_what_may_help(page: Page, tmp_path: Path) -> None:
    with serving(tmp_path, config(start_port=free_run(8).start, models=MODELS, engine=FAKE)) as server:
        page.goto(server.url)
        load(page, "slow")
        expect(row(page, "slow")).to_contain_text("reading weights")  # by its health check, which says how far it is
        expect(row(page, "slow").get_by_role("progressbar")).to_be_visible()
        for line, words in ((CONTEXT, "making the context"), (WARMUP, "warming up"), (WEIGHTS, "reading weights")):
            prints(server, line)
            expect(row(page, "slow")).to_contain_text(words)
            assert "100 %" not in row(page, "slow").inner_text()
        control(server, "ready")
        expect(row(page, "slow")).not_to_contain_text("reading weights")

        load(page, "gone")
        failure = row(page, "gone").locator("[data-failure]")
        expect(failure).to_contain_text("Did not start: /nowhere/gone.gguf is not there")
        expect(failure).to_contain_text("failed to open GGUF file '/nowhere/gone.gguf' (No such file")
        expect(failure).to_contain_text("Correct the path in the command")
        accessible(page)


def test_a_button_shows_what_it_changes_does_it_and_takes_it_back(page: Page, tmp_path: Path) -> None:
    with serving(tmp_path, config(start_port=free_run(8).start, models=MODELS, engine=FAKE)) as server:
        before = server.config.read_text()
        page.goto(server.url)
        load(page, "flag")
        failure = row(page, "flag").locator("[data-failure='flag']")
        failure.get_by_role("button", name="Take --no-such-flag out").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("--no-such-flag")
        expect(dialog).to_contain_text("flag has a new command")
        assert server.config.read_text() == before, "nothing is written before a person says so"
        dialog.get_by_role("button", name="Leave it").click()
        expect(dialog).to_have_count(0)
        failure.get_by_role("button", name="Take --no-such-flag out").click()
        written = dialog.get_by_role("button", name="Write and load")
        expect(written).to_be_enabled()  # `press` does not wait for what it has worked out
        written.press("Enter")
        page.get_by_text("is written, and it is loaded").hover()  # what is pointed at stays while it loads
        expect(row(page, "flag").locator("[data-state]")).to_have_attribute("data-state", "ready", timeout=60_000)
        expect(failure).to_have_count(0)
        expect(row(page, "flag").locator("[data-control=run]")).to_be_focused()
        assert server.config.read_text() == before.replace(" --no-such-flag", " ")
        page.get_by_role("button", name="Undo").click()
        expect(row(page, "flag").locator("[data-state]")).to_have_attribute("data-state", "stopped", timeout=60_000)
        assert server.config.read_text() == before


def test_on_a_phone_a_failure_fits(page: Page, tmp_path: Path) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    with serving(tmp_path, config(start_port=free_run(8).start, models=MODELS, engine=FAKE)) as server:
        page.goto(server.url)
        load(page, "gone")
        expect(row(page, "gone").locator("[data-failure]")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
