"""No model yet: one click from a suggestion or a search of the hub to the first answer, and what stands in the way."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from claracore.host.locks import locked
from fakes.engine_with_cards import engine_with_cards
from fakes.fake_hub import FakeHub, Fault, fake_hub
from ui.stand import ARTEFACTS, GEMMA, SMOLLM2, from_nothing
from ui.test_first_start import accessible
from zoo.synthetic import Shape

REPO = "small/SmolLM2-135M-Instruct-GGUF"
SLOW = 60_000


@pytest.fixture(scope="module")
def bodies() -> tuple[bytes, bytes]:
    return SMOLLM2.read_bytes(), GEMMA.read_bytes()


@pytest.fixture
def hub(bodies: tuple[bytes, bytes]) -> Iterator[FakeHub]:
    """A hub that has every suggestion, small, and a repository that is none."""
    from claracore.host.library.suggested import suggestions

    small, larger = bodies
    repos = {each.repo: {f"it-{each.quantization}.gguf": small} for each in suggestions()}
    repos[REPO] = {"SmolLM2-135M-Instruct-Q4_K_M.gguf": small, "SmolLM2-135M-Instruct-Q8_0.gguf": larger}
    with fake_hub(repos=repos) as hub:
        hub.about[REPO] = {
            "downloads": 123_456,
            "likes": 42,
            "gguf": {"total": 134_515_008, "context_length": 8192},
            "tags": ["license:apache-2.0"],
        }
        yield hub


def shot(page: Page, name: str) -> None:
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"first-model-{name}.png", full_page=True)


def fits_a_phone(page: Page, name: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    shot(page, name)
    page.set_viewport_size({"width": 1360, "height": 860})


def test_one_click_to_the_first_answer(page: Page, hub: FakeHub, tmp_path: Path) -> None:
    held = Fault(hold_after=40_000_000)
    hub.faults.append(held)
    with from_nothing(tmp_path, **hub.environ()) as server:
        page.goto(server.url)
        cards = page.get_by_role("list", name="Suggestions for this machine").get_by_role("listitem")
        expect(cards).to_have_count(6)
        expect(cards.get_by_text(re.compile(r"^fits(, but slow)?: [\d.]+ tokens/s expected$"))).to_have_count(6)
        expect(cards.first).to_contain_text("recommended")
        expect(cards.first).to_contain_text("93.8 MiB", timeout=SLOW)  # the hub's own size, and not the list's
        assert len([one for one in hub.asked("hub") if "/tree/" in one.path]) == 6, "the hub is asked once about each"
        accessible(page)
        shot(page, "suggestions")
        fits_a_phone(page, "suggestions-phone")

        cards.first.get_by_role("button", name="Get and chat").click()
        card = page.get_by_role("region", name="Getting")
        expect(card.get_by_role("heading")).to_be_focused()
        expect(card.get_by_role("progressbar")).to_have_attribute("aria-valuenow", re.compile(r"[1-9]\d"), timeout=SLOW)
        expect(card.get_by_role("listitem").first).to_have_attribute("aria-current", "step")
        expect(card.get_by_text(re.compile(r"\d+ % · .* of 93.8 MiB"))).to_be_visible()
        expect(cards).to_have_count(0)
        accessible(page)
        shot(page, "under-way")
        fits_a_phone(page, "under-way-phone")

        page.reload()  # finds its place again
        expect(card.get_by_role("progressbar")).to_have_attribute("aria-valuenow", re.compile(r"[1-9]\d"))
        held.release.set()
        expect(page).to_have_url(re.compile(f"^{re.escape(server.url)}/ui/chat"), timeout=SLOW)
        expect(page.locator("#main")).to_be_focused()
        page.get_by_role("button", name="Say hello.").click()
        answer = page.get_by_role("article", name="Answer")
        expect(answer.locator("p").first).to_have_text(re.compile(r"\w{2}"), timeout=SLOW)
        shot(page, "answer")
        assert (tmp_path / "config/claracore/config.yaml").is_file()
        assert list((tmp_path / "data/claracore/models").rglob("*.gguf"))
        assert not list(tmp_path.glob("*.yaml"))
        page.goto(f"{server.url}/ui/setup")
        expect(page.get_by_role("heading", name="Get models")).to_be_visible()
        expect(card).to_have_count(0)


def test_a_search_goes_with_what_is_typed_and_tells_what_fits(page: Page, hub: FakeHub, tmp_path: Path) -> None:
    outdated = Fault(hold_after=0)
    hub.search_faults.append(outdated)
    with from_nothing(tmp_path, **hub.environ()) as server:
        page.goto(server.url)
        words = page.get_by_label("Model on the hub")
        words.fill("qwen")
        assert outdated.held.wait(30)
        words.fill("smollm2-135m")
        found = page.get_by_role("list", name="Found on the hub")
        rows = found.get_by_role("button")
        expect(rows).to_have_count(2)
        outdated.release.set()
        row = found.get_by_role("button", name=re.compile("of small"))
        for fact in ("135M", "8k context", "apache-2.0", "123k", "42"):
            expect(row).to_contain_text(fact)
        accessible(page)
        shot(page, "search")
        words.press("ArrowDown")
        expect(rows.first).to_be_focused()
        page.keyboard.press("ArrowDown")
        expect(rows.nth(1)).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("radio", checked=True)).to_be_focused(timeout=SLOW)
        expect(page.get_by_text("Planned by the header on the hub")).to_be_visible(timeout=SLOW)
        marks = page.get_by_text(re.compile(r"^fits: \d+ tokens/s expected · 8k context$"))
        expect(marks).to_have_count(2)
        faster, slower = (int(re.search(r"\d+", mark)[0]) for mark in marks.all_inner_texts())  # type: ignore[index]
        assert faster > slower
        accessible(page)
        shot(page, "variants")
        fits_a_phone(page, "variants-phone")
        page.get_by_role("button", name="Back to what was found").click()
        expect(rows).to_have_count(2)
        expect(rows.nth(1)).to_be_focused()
        words.fill("nothing like it")
        expect(page.get_by_text("Nothing on the hub with GGUF files is called")).to_be_visible()
        words.fill(f"https://huggingface.co/{REPO}")
        expect(page.get_by_text("Press Enter to look at this repository.")).to_be_visible()
        words.fill("x" * 201)
        expect(page.get_by_text("Nothing on the hub with GGUF files is called")).to_be_visible()
        expect(page.get_by_role("alert")).to_have_count(0)


def test_one_of_which_no_model_can_be_made_is_deleted(page: Page, hub: FakeHub, tmp_path: Path) -> None:
    hub.repos["small/wrong-GGUF"] = {"wrong-Q4_0.gguf": b"GGUF, it says"}
    with from_nothing(tmp_path, **hub.environ()) as server:
        page.goto(f"{server.url}/ui/setup?get=small/wrong-GGUF")
        page.get_by_role("button", name="Get and chat:").click()
        card = page.get_by_role("region", name="Getting")
        expect(card).to_contain_text("It is downloaded, but cannot be served", timeout=SLOW)
        expect(card.get_by_role("button", name="Get another")).to_be_visible()
        assert list(tmp_path.rglob("wrong-Q4_0.gguf"))
        card.get_by_role("button", name="Delete it").click()
        card.get_by_role("button", name="Delete what is here?").click()
        expect(card).to_have_count(0)
        assert not list(tmp_path.rglob("wrong-Q4_0.gguf"))


def test_whoever_leads_here_may_name_the_repository(page: Page, hub: FakeHub, tmp_path: Path) -> None:
    with from_nothing(tmp_path, **hub.environ()) as server:
        page.goto(f"{server.url}/ui/setup?get={REPO}")
        expect(page.get_by_text("Q8_0").first).to_be_visible(timeout=SLOW)
        expect(page.locator("#reference")).to_have_value(REPO)


def test_every_step_can_be_cancelled(page: Page, hub: FakeHub, tmp_path: Path) -> None:
    held = Fault(hold_after=20_000_000)
    hub.faults.append(held)
    with from_nothing(tmp_path, **hub.environ()) as server:
        page.goto(server.url)
        get = page.get_by_role("button", name="Get and chat")
        get.first.click()
        card = page.get_by_role("region", name="Getting")
        expect(card.get_by_role("progressbar")).to_have_attribute("aria-valuenow", re.compile("[1-9]"), timeout=SLOW)
        card.get_by_role("button", name="Pause").click()
        expect(card.get_by_text("Paused at")).to_be_visible()
        card.get_by_role("button", name="Go on").click()
        held.release.set()
        again = Fault(hold_after=20_000_000)
        hub.faults.append(again)
        card.get_by_role("button", name="Cancel").click()
        card.get_by_role("button", name="Delete what is here?").click()
        expect(get).to_have_count(6)
        again.release.set()
        expect(page.get_by_role("list", name="Downloads")).to_have_count(0)
        assert not list((tmp_path / "data").rglob("*.part"))


def test_a_set_up_and_a_load_can_be_cancelled(page: Page, hub: FakeHub, tmp_path: Path) -> None:
    engine, written = tmp_path / "engine", tmp_path / "config" / "claracore"
    engine.mkdir()
    written.mkdir(parents=True)
    engine_with_cards(engine, more=("--loading",))
    with from_nothing(tmp_path, **hub.environ(), PATH=f"{engine}:{os.environ['PATH']}") as server:
        page.goto(server.url)
        get = page.get_by_role("button", name="Get and chat")
        card = page.get_by_role("region", name="Getting")
        step = card.locator("[aria-current=step]")
        with locked(written):  # somebody else writes there: so long the set-up lasts
            get.first.click()
            expect(step).to_contain_text("Set up", timeout=SLOW)
            expect(card).to_contain_text("Choosing context and memory for this machine")
            card.get_by_role("button", name="Cancel").click()
            card.get_by_role("button", name="Delete what is here?").click()
            expect(get).to_have_count(6)
            assert not list((tmp_path / "data").rglob("*.gguf"))

        get.nth(1).click()
        expect(step).to_contain_text("Load", timeout=SLOW)
        expect(card).to_contain_text("reading weights")
        shot(page, "load")
        card.get_by_role("button", name="Cancel").click()
        expect(card).to_have_count(0)
        page.goto(f"{server.url}/ui/models")
        expect(page.locator("[data-model]")).to_have_count(1)  # and not the one that was cancelled
        expect(page.locator("[data-state]")).to_have_attribute("data-state", "stopped", timeout=SLOW)


def test_who_looks_at_something_else_meanwhile_is_told_how_far_it_is(page: Page, hub: FakeHub, tmp_path: Path) -> None:
    held = Fault(hold_after=40_000_000)
    hub.faults.append(held)
    with from_nothing(tmp_path, **hub.environ()) as server:
        page.goto(server.url)
        page.get_by_role("button", name="Get and chat").first.click()
        under_way = page.get_by_test_id("under-way")
        expect(page.get_by_role("region", name="Getting")).to_be_visible(timeout=SLOW)
        expect(under_way).to_have_count(0)
        page.get_by_role("link", name="Logs").click()
        expect(under_way).to_contain_text(re.compile(r": Download\s*[1-9]\d? % · "), timeout=SLOW)
        accessible(page)
        fits_a_phone(page, "elsewhere-phone")
        page.reload()
        expect(under_way.get_by_role("link", name="Show")).to_have_attribute("href", "/ui/setup")
        held.release.set()
        messages = page.get_by_role("log", name="Messages")
        expect(messages).to_contain_text("is ready", timeout=SLOW)
        expect(under_way).to_have_count(0)
        messages.get_by_role("button", name="Say hello").click()
        expect(page).to_have_url(re.compile("/ui/chat"))
        expect(page.get_by_text("It is loaded and answers at once.")).to_be_visible()


def test_without_a_network_it_says_so_and_how_to_go_on(page: Page, tmp_path: Path) -> None:
    with from_nothing(tmp_path, HF_ENDPOINT="http://127.0.0.1:9", NO_PROXY="*") as server:
        page.goto(server.url)
        alert = page.get_by_role("alert")
        expect(alert).to_contain_text("The hub cannot be reached now", timeout=SLOW)
        expect(alert).to_contain_text("127.0.0.1:9 cannot be reached")
        expect(alert.get_by_role("button", name="Try again")).to_be_visible()
        get = page.get_by_role("button", name="Get and chat")
        expect(get).to_have_count(6)
        get.first.click()
        expect(alert.filter(has_text="HTTPS_PROXY")).to_be_visible(timeout=SLOW)
        accessible(page)
        shot(page, "offline")


def test_a_gated_model_takes_a_token_where_it_is_asked_for(page: Page, hub: FakeHub, tmp_path: Path) -> None:
    hub.gated |= set(hub.repos)
    with from_nothing(tmp_path, **hub.environ()) as server:
        page.goto(server.url)
        expect(page.get_by_text("asks who you are").first).to_be_visible(timeout=SLOW)
        page.get_by_role("button", name="Get and chat").first.click()
        alert = page.get_by_role("alert")
        expect(alert).to_contain_text("This model wants to know who you are", timeout=SLOW)
        accessible(page)
        shot(page, "gated")
        held = Fault(hold_after=1_000_000)
        hub.faults.append(held)
        alert.get_by_label("Token").fill(hub.token)
        alert.get_by_role("button", name="Keep").click()
        expect(page.get_by_role("region", name="Getting")).to_be_visible(timeout=SLOW)
        held.release.set()


def test_what_the_disk_cannot_hold_is_not_begun(page: Page, hub: FakeHub, tmp_path: Path) -> None:
    hub.sizes = dict.fromkeys((path for files in hub.repos.values() for path in files), 1 << 44)
    with from_nothing(tmp_path, **hub.environ()) as server:
        page.goto(server.url)
        expect(page.get_by_role("button", name="No room on the disk")).to_have_count(6, timeout=SLOW)
        page.get_by_label("Model on the hub").fill(REPO)
        page.get_by_role("button", name="Look").click()
        expect(page.get_by_text(re.compile(r"It needs 16.0 TiB, and .* are free."))).to_be_visible(timeout=SLOW)


def test_a_model_that_cannot_be_loaded_says_why_and_offers_a_way_out(page: Page, hub: FakeHub, tmp_path: Path) -> None:
    image = Shape("llama", 2, 576, 9, 3, 1536, 8192, 2048, "Q4_1", tied=True, template="{{ messages }}").image()
    hub.repos = {
        repo: {path: image.header.ljust(image.size, b"\0") for path in files} for repo, files in hub.repos.items()
    }
    with from_nothing(tmp_path, **hub.environ()) as server:
        page.goto(server.url)
        page.get_by_role("button", name="Get and chat").first.click()
        card = page.get_by_role("region", name="Getting")
        expect(card.get_by_role("button", name="Try again")).to_be_visible(timeout=SLOW)
        expect(card.get_by_role("listitem").nth(2)).to_have_attribute("aria-current", "step")
        card.get_by_text("What its server printed last").click()
        expect(card.get_by_label("What its server printed last")).to_contain_text("error loading model")
        assert page.evaluate("document.documentElement.scrollWidth") <= 1360
        accessible(page)
        shot(page, "failed")
        card.get_by_role("link", name="Look at it").click()
        expect(page).to_have_url(re.compile("/ui/models/"))
        expect(page.get_by_label("Command")).to_be_visible()
