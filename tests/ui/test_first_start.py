"""The first minutes: no configuration and no models yet, Setup finds some, and one of them answers."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

from playwright.sync_api import Page, expect

from fakes.engine_with_cards import engine_with_cards
from fit.llama_cpp import sparse_file
from ui.stand import ARTEFACTS, AXE, GEMMA, MODELS, SMOLLM2, Server, serving, started
from zoo.stores import OllamaFolder


def test_from_nothing_to_an_answer(page: Page, tmp_path: Path) -> None:
    with serving(tmp_path, None) as server:
        page.goto(server.url)
        expect(page).to_have_url(f"{server.url}/ui/setup")
        expect(page.get_by_text("Welcome.")).to_be_visible()

        page.get_by_text("A folder", exact=True).click()
        folder = page.get_by_label("Folder", exact=True)
        folder.fill(str(MODELS))
        page.get_by_role("button", name="Add", exact=True).first.click()
        page.get_by_role("button", name="Search for models").click()
        expect(page.get_by_role("heading", name="2 models found")).to_be_visible()
        differences = page.get_by_label("Differences")
        expect(differences).to_contain_text("smollm2")
        expect(differences).to_contain_text("gemma")
        page.get_by_role("checkbox", name=re.compile("Serve gemma")).uncheck()
        expect(differences).not_to_contain_text("gemma")
        page.get_by_label("Plan").locator("summary").first.click()
        expect(page.get_by_label("Plan")).to_contain_text(re.compile(r"Needs \d+ MiB"))

        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=ARTEFACTS / "setup-found.png", full_page=True)

        page.get_by_role("button", name="Apply").click()
        expect(page).to_have_url(re.compile(r"/ui/chat\?model=smollm2"))
        expect(page.locator("#main")).to_be_focused()
        expect(page.get_by_role("log", name="Messages")).to_contain_text("1 model can be used now")
        page.get_by_role("button", name="Parameters").click()
        page.get_by_label("Longest answer").fill("4")
        page.get_by_role("button", name="Say hello.").click()
        answer = page.get_by_role("article", name="Answer")
        expect(answer.get_by_text("tokens/s")).to_be_visible(timeout=60_000)
        page.screenshot(path=ARTEFACTS / "chat-first.png")
        assert "smollm2" in server.config.read_text()
        assert "gemma" not in server.config.read_text()


def test_models_of_other_programs_with_one_click(page: Page, tmp_path: Path) -> None:
    home = tmp_path / "home"
    studio = home / ".lmstudio/models/bartowski/SmolLM2-135M-Instruct-GGUF/SmolLM2-135M-Instruct-Q4_1.gguf"
    studio.parent.mkdir(parents=True)
    studio.symlink_to(SMOLLM2)
    OllamaFolder(home / ".ollama/models").pull("gemma3:270m", model=GEMMA.read_bytes())
    with started(Server(tmp_path, environ={"HOME": str(home)}, named_config=False)) as server:
        page.goto(server.url)
        section = page.get_by_role("region", name="On this machine")
        expect(section.get_by_role("heading", name="Found 2 models in LM Studio and Ollama (335 MiB)")).to_be_visible()
        section.get_by_text("Choose some").click()
        expect(section.get_by_role("checkbox")).to_have_count(2)
        section.get_by_role("checkbox", name="LM Studio").uncheck()
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=ARTEFACTS / "setup-stores.png", full_page=True)
        section.get_by_role("button", name="Use them").click()
        expect(page).to_have_url(f"{server.url}/ui/chat?model=gemma3-270m-q4_k_m")
        expect(page.locator("#main")).to_be_focused()
        messages = page.get_by_role("log", name="Messages")
        expect(messages).to_contain_text("1 model can be used now")
        expect(messages.get_by_role("button", name="Show it")).to_be_visible()
        page.get_by_role("button", name="Parameters").click()
        page.get_by_label("Longest answer").fill("4")
        page.get_by_role("button", name="Say hello.").click()
        expect(page.get_by_role("article", name="Answer").get_by_text("tokens/s")).to_be_visible(timeout=60_000)
        assert "gemma3:270m" in server.config.read_text()
        assert "smollm2" not in server.config.read_text()

        page.goto(f"{server.url}/ui/setup")
        expect(section.get_by_role("heading", name="Found 1 more model in LM Studio")).to_be_visible()
        section.get_by_role("button", name="Use it").click()
        expect(page.locator("#main")).to_be_focused()
        expect(page.get_by_text("smollm2-135m-instruct-q4_1").first).to_be_visible()
        page.goto(f"{server.url}/ui/setup")
        expect(section.get_by_text("are all in the configuration")).to_be_visible()


def test_another_placement_is_picked_on_the_setup_page_and_on_the_models_own(page: Page, tmp_path: Path) -> None:
    engine_with_cards(tmp_path)
    models = tmp_path / "models"
    models.mkdir()
    sparse_file("qwen3-32b-Q4_K_M", models / "qwen3-32b-Q4_K_M.gguf")
    with started(Server(tmp_path, environ={"PATH": f"{tmp_path}:{os.environ['PATH']}"}, named_config=False)) as server:
        page.goto(f"{server.url}/ui/setup")
        page.get_by_text("A folder", exact=True).click()
        page.get_by_label("Folder", exact=True).fill(str(models))
        page.get_by_role("button", name="Add", exact=True).first.click()
        page.get_by_role("button", name="Search for models").click()
        plan, differences = page.get_by_label("Plan"), page.get_by_label("Differences")
        plan.locator("summary").first.click()
        choices = plan.get_by_role("group", name=re.compile("Where qwen3-32b"))
        expect(choices.get_by_role("radio", name=re.compile("40k on both cards"))).to_be_checked()
        one = choices.get_by_role("radio", name=re.compile("on one card")).first
        expect(one).to_have_accessible_description(re.compile("x the context.*leaves GPU 1 free"))
        choices.get_by_text("on one card").first.click()
        expect(one).to_be_checked()
        expect(differences).to_contain_text("--device CUDA0")
        page.keyboard.press("ArrowDown")
        expect(differences).to_contain_text("--cache-type-k q8_0")
        page.keyboard.press("ArrowUp")
        expect(differences).not_to_contain_text("--cache-type-k q8_0")
        accessible(page)
        page.set_viewport_size({"width": 390, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.screenshot(path=ARTEFACTS / "setup-choices-phone.png", full_page=True)
        page.route("**/api/models/load/**", lambda route: route.abort())  # a fake's memory measures nothing
        page.get_by_role("button", name="Apply").click()
        expect(page).to_have_url(f"{server.url}/ui/chat?model=qwen3-32b-q4_k_m")
        assert "--device CUDA0" in server.config.read_text()

        page.goto(f"{server.url}/ui/models/qwen3-32b-q4_k_m")
        placement = page.get_by_role("region", name="Placement")
        expect(placement.get_by_text("in use")).to_have_count(1)
        expect(placement.get_by_text("recommended")).to_have_count(1)
        accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.screenshot(path=ARTEFACTS / "model-placement-phone.png", full_page=True)
        placement.get_by_role("button", name=TAKE).click()
        expect(page.get_by_text("from the next load on")).to_be_visible()
        expect(placement.get_by_role("button", name=TAKE)).to_have_count(0)
        expect(page.get_by_label("Command").get_by_text("--tensor-split")).to_be_visible()
        assert "choice=" not in server.config.read_text()


TAKE = re.compile("^Use this.*40k on both cards")


def accessible(page: Page) -> None:
    """Hold a page against axe, light and dark."""
    if not AXE.is_file():
        return
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    page.evaluate(AXE.read_text())
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        assert [rule["id"] for rule in found["violations"]] == [], scheme
