"""What was painted stays in the browser: after a reload, beside other tabs, within a bound, and where none is kept."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from fakes import senses
from fakes.ports import free_run
from ui.stand import ARTEFACTS, FAKE, Server, config, serving
from ui.test_attachments import ALL_ARE_OLD, NAMES

SENSES = f'"{sys.executable}" -E -S "{senses.__file__}" --host 127.0.0.1 --port ${{PORT}}'
MODELS = f"""\
  brush:
    name: The brush
    cmd: '{SENSES}'
    capabilities: {{in: [text], out: [image]}}
  pencil:
    name: The pencil
    cmd: '{SENSES}'
    capabilities: {{in: [text], out: [image]}}
"""


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two models that paint."""
    text = config(start_port=free_run(8).start, models=MODELS, engine=FAKE)
    with serving(tmp_path_factory.mktemp("paintings"), text) as server:
        yield server


def opened(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/ui/chat/images")
    expect(page.get_by_label("Painting model")).to_have_value("The brush")


def wished(page: Page, prompt: str) -> None:
    page.get_by_label("What to paint").fill(prompt)
    page.get_by_role("button", name="Paint", exact=True).click()


def painted(page: Page, prompt: str) -> None:
    wished(page, prompt)
    expect(sheets(page).first).to_contain_text(prompt)


def sheets(page: Page) -> Locator:
    return page.get_by_role("region", name="Painted")


def kept(page: Page, count: int) -> None:
    """Wait until the page says that the browser has so many."""
    words = f"Now {count} painting{'' if count == 1 else 's'}," if count else "the oldest go first."
    expect(page.get_by_test_id("paintings-kept")).to_contain_text(words)


def test_what_was_painted_is_there_after_a_reload(page: Page, stand: Server, tmp_path: Path) -> None:
    opened(page, stand)
    expect(page.get_by_test_id("paintings-kept")).to_have_text(
        "What is painted is kept in this browser: the last 50 paintings, at most 100 MiB; the oldest go first."
    )
    page.get_by_label("Size").select_option("512x512")
    page.get_by_label("How many").fill("2")
    page.get_by_label("Seed").fill("5")
    painted(page, "A lighthouse in the fog")
    kept(page, 1)
    assert page.evaluate("Object.values(localStorage).join('').length") < 20_000, "pictures are not kept there"
    page.evaluate(ALL_ARE_OLD)
    page.reload()
    page.wait_for_function(f"async () => !(await ({NAMES})()).includes('kept:orphan')")
    assert len(page.evaluate(NAMES)) == 2
    expect(sheets(page)).to_contain_text("A lighthouse in the fog")
    expect(sheets(page)).to_contain_text(re.compile(r"The brush · 512 . 512 · seed 5 · took \d"))
    expect(sheets(page).get_by_role("img")).to_have_count(2)
    kept(page, 1)
    page.screenshot(path=ARTEFACTS / "images-kept.png")
    with page.expect_download() as fetched:
        sheets(page).get_by_role("link", name="Download").nth(1).click()
    fetched.value.save_as(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == senses.png(512, 512, 6)


def test_a_wish_is_used_again(page: Page, stand: Server) -> None:
    opened(page, stand)
    page.get_by_label("Size").select_option("768x768")
    page.get_by_label("How many").fill("2")
    page.get_by_label("Seed").fill("9")
    painted(page, "A cat")
    kept(page, 1)
    page.reload()
    expect(page.get_by_label("What to paint")).to_have_value("")
    sheets(page).get_by_role("button", name="Use again").click()
    expect(page.get_by_label("What to paint")).to_be_focused()
    with page.expect_request("**/v1/images/generations") as asked:
        page.get_by_role("button", name="Paint", exact=True).click()
    assert asked.value.post_data_json == {
        "model": "brush",
        "prompt": "A cat",
        "n": 2,
        "response_format": "b64_json",
        "size": "768x768",
        "seed": 9,
    }


def test_one_is_deleted_and_taken_back(page: Page, stand: Server) -> None:
    opened(page, stand)
    for prompt in ("A lighthouse", "A cat", "A tree"):
        painted(page, prompt)
    kept(page, 3)
    headings = sheets(page).get_by_role("heading")
    delete = page.get_by_role("button", name="Delete “A cat”")
    delete.click()
    expect(headings).to_have_text(["A tree", "A lighthouse"])
    expect(page.get_by_role("button", name="Delete “A lighthouse”")).to_be_focused()
    expect(page.get_by_text("“A cat” is deleted")).to_be_visible()
    page.wait_for_function(f"async () => (await ({NAMES})()).length === 2")
    page.get_by_role("button", name="Undo").click()
    kept(page, 3)
    page.reload()
    expect(headings).to_have_text(["A tree", "A cat", "A lighthouse"])
    expect(sheets(page).get_by_role("img")).to_have_count(3)
    delete.click()
    kept(page, 2)
    page.wait_for_function(f"async () => (await ({NAMES})()).length === 2")
    page.reload()
    expect(headings).to_have_text(["A tree", "A lighthouse"])


def test_two_tabs_keep_what_both_have_painted(page: Page, stand: Server) -> None:
    other = page.context.new_page()
    for each in (page, other):
        opened(each, stand)
    wished(page, "A lighthouse")
    wished(other, "A cat")
    for each in (page, other):
        kept(each, 2)
        expect(sheets(each).get_by_role("img")).to_have_count(2)
    for each in (page, other):
        each.reload()
        kept(each, 2)
        expect(sheets(each).get_by_role("img")).to_have_count(2)
    other.get_by_role("button", name="Delete “A lighthouse”").click()
    expect(sheets(page).get_by_role("heading")).to_have_text(["A cat"])
    other.get_by_role("button", name="Undo").click()
    expect(sheets(page).get_by_role("img")).to_have_count(2)
    kept(page, 2)


def test_the_oldest_go_first(page: Page, stand: Server) -> None:
    opened(page, stand)
    page.evaluate(FIFTY)
    page.reload()
    kept(page, 50)
    expect(sheets(page).first).to_contain_text("This picture is no longer there.")
    expect(sheets(page).get_by_role("img")).to_have_count(1)
    painted(page, "A cat")
    expect(sheets(page).last.get_by_role("heading")).to_have_text("wish 1")
    expect(sheets(page)).to_have_count(50)
    kept(page, 50)
    page.wait_for_function(f"async () => (await ({NAMES})()).length === 1")
    page.reload()
    expect(sheets(page).first).to_contain_text("A cat")
    kept(page, 50)


@pytest.mark.parametrize("store", ["refused", "full"])
def test_a_browser_that_keeps_nothing_paints_and_says_so_once(page: Page, stand: Server, store: str) -> None:
    if store == "refused":
        page.add_init_script("IDBFactory.prototype.open = () => { throw new DOMException('no', 'SecurityError'); };")
    opened(page, stand)
    if store == "full":
        # The browser's own limit, not a stand-in for it.
        session = page.context.new_cdp_session(page)
        session.send("Storage.overrideQuotaForOrigin", {"origin": stand.url, "quotaSize": 1})
    words = page.get_by_text("This browser does not keep what is painted")
    for number, prompt in enumerate(("A lighthouse", "A cat")):
        painted(page, prompt)
        expect(page.get_by_text("not kept", exact=True)).to_have_count(number + 1)
        expect(words).to_have_count(1 - number)
        if not number:
            page.get_by_role("button", name="Close").click()
            expect(words).to_have_count(0)
    expect(sheets(page).get_by_role("img")).to_have_count(2)
    page.screenshot(path=ARTEFACTS / f"images-{store}.png")
    page.get_by_role("link", name="Models", exact=True).click()
    page.go_back()
    expect(sheets(page).get_by_role("img")).to_have_count(2)
    page.get_by_role("button", name="Delete “A cat”").click()
    expect(sheets(page)).to_have_count(1)
    page.get_by_role("button", name="Undo").click()
    expect(sheets(page).get_by_role("img")).to_have_count(2)
    page.reload()
    expect(page.get_by_label("Painting model")).to_have_value("The brush")
    expect(sheets(page)).to_have_count(0)


FIFTY = """() => new Promise((done) => {
  for (let n = 0; n < 50; n++) {
    const pictures = [{ url: `kept:mine${n}`, ending: 'png' }];
    const more = { model: 'brush', size: '', seed: null, bytes: 6, seconds: 1 };
    const painting = { id: `id${n}`, at: 1000 + n, prompt: `wish ${n}`, pictures, ...more };
    localStorage[`claracore.chat.painting.id${n}`] = JSON.stringify(painting);
  }
  indexedDB.open('claracore.chat').onsuccess = ({ target: { result: base } }) => {
    const change = base.transaction('contents', 'readwrite');
    change.objectStore('contents').put({ content: 'data:,', at: Date.now() }, 'kept:mine0');
    change.oncomplete = done;
  };
})"""
"""The browser has fifty paintings, and the picture of the oldest."""
