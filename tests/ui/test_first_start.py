"""The first minutes: no configuration and no models yet, Setup finds some, and one of them answers."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from ui.stand import ARTEFACTS, GEMMA, MODELS, SMOLLM2, Server, serving
from zoo.stores import OllamaFolder


def test_from_nothing_to_an_answer(page: Page, tmp_path: Path) -> None:
    with serving(tmp_path, None) as server:
        page.goto(server.url)
        expect(page).to_have_url(f"{server.url}/ui/setup")
        expect(page.get_by_text("Welcome.")).to_be_visible()

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
        expect(page).to_have_url(f"{server.url}/ui/models")
        page.get_by_role("link", name="Chat with").click()
        page.get_by_role("button", name="Parameters").click()
        page.get_by_label("Longest answer").fill("4")
        page.get_by_label("Your message").fill("Say hello.")
        page.keyboard.press("Enter")
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
    server = Server(tmp_path, environ={"HOME": str(home)}, named_config=False)
    server.start()
    try:
        page.goto(server.url)
        section = page.get_by_role("region", name="On this machine")
        expect(section.get_by_role("heading", name="Found 2 models in LM Studio and Ollama (335 MiB)")).to_be_visible()
        section.get_by_text("Choose some").click()
        expect(section.get_by_role("checkbox")).to_have_count(2)
        section.get_by_role("checkbox", name="LM Studio").uncheck()
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=ARTEFACTS / "setup-stores.png", full_page=True)
        section.get_by_role("button", name="Use them").click()
        expect(page).to_have_url(f"{server.url}/ui/models")
        expect(page.get_by_text("gemma3-270m-q4_k_m").first).to_be_visible()
        assert "gemma3:270m" in server.config.read_text()
        assert "smollm2" not in server.config.read_text()

        page.goto(f"{server.url}/ui/setup")
        expect(section.get_by_role("heading", name="Found 1 more model in LM Studio")).to_be_visible()
        section.get_by_role("button", name="Use them").click()
        expect(page.get_by_text("smollm2-135m-instruct-q4_1").first).to_be_visible()
        page.goto(f"{server.url}/ui/setup")
        expect(section.get_by_text("are all in the configuration")).to_be_visible()
    finally:
        server.stop()
