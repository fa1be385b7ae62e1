"""Speaking and painting: what is said is written down, answers are read aloud, and pictures are painted."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from fakes import senses
from fakes.ports import free_run
from ui.conftest import page_with
from ui.picking import pick
from ui.stand import ARTEFACTS, AXE, FAKE, Server, config, serving

SENSES = f'"{sys.executable}" -E -S "{senses.__file__}" --host 127.0.0.1 --port ${{PORT}}'
MODELS = f"""\
  writer:
    name: The writer
    cmd: '{SENSES}'
    capabilities: {{in: [audio], out: [text]}}
  voice:
    name: The voice
    cmd: '{SENSES}'
    capabilities: {{in: [text], out: [audio]}}
  brush:
    name: The brush
    cmd: '{SENSES}'
    capabilities: {{in: [text], out: [image]}}
  listener:
    cmd: '{SENSES}'
    capabilities: {{in: [text, audio], out: [text], context: 4096}}
"""
TOGETHER = """\
  senses:
    swap: false
    exclusive: false
    members: [writer, voice, brush, listener]
"""
MICROPHONE = "--use-fake-device-for-media-stream"
"""Chromium then hears a beep each second."""


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Models that hear, speak and paint."""
    text = config(start_port=free_run(8).start, models=MODELS, engine=FAKE, more=TOGETHER)
    with serving(tmp_path_factory.mktemp("speech"), text) as server:
        yield server


@pytest.fixture
def microphone(browser: Browser, stand: Server) -> Iterator[Page]:
    with page_with(browser, MICROPHONE) as page:
        page.context.grant_permissions(["microphone"], origin=stand.url)
        yield page


def opened(page: Page, server: Server, model: str) -> None:
    page.goto(f"{server.url}/ui/chat?model={model}")
    expect(page.get_by_label("Your message")).to_be_visible()


def answered(page: Page) -> None:
    page.get_by_label("Your message").fill("Say something.")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Regenerate")).to_be_visible()


def test_what_is_said_is_written_into_the_message(microphone: Page, stand: Server) -> None:
    page = microphone
    opened(page, stand, "smollm2")
    page.get_by_label("Your message").fill("Hello")
    page.get_by_role("button", name="Speak instead of typing").click()
    end = page.get_by_role("button", name="End recording, and write it down")
    expect(end).to_be_visible()
    page.screenshot(path=ARTEFACTS / "chat-recording.png")
    with page.expect_request("**/v1/audio/transcriptions") as asked:
        end.click()
    assert "multipart/form-data" in asked.value.headers["content-type"]
    written = page.get_by_label("Your message")
    expect(written).not_to_have_value("Hello")
    said = written.input_value()
    assert said.startswith("Hello heard "), said
    assert said.endswith(" s of wav as writer"), said
    expect(page.get_by_role("button", name="Speak instead of typing")).to_be_visible()


def test_a_transcriber_that_fails_says_why(microphone: Page, stand: Server) -> None:
    page = microphone
    page.route(
        "**/v1/audio/transcriptions",
        lambda route: route.fulfill(status=400, json={"error": {"message": "it is too quiet", "code": "x"}}),
    )
    opened(page, stand, "smollm2")
    page.get_by_role("button", name="Speak instead of typing").click()
    page.get_by_role("button", name="End recording, and write it down").click()
    expect(page.get_by_text("What was said is not written down: it is too quiet")).to_be_visible()


@pytest.mark.parametrize("first", ["Speak instead of typing", "Record sound for the model"])
def test_a_recording_that_is_taken_back_before_there_is_sound_is_none(
    microphone: Page, stand: Server, first: str
) -> None:
    """Whoever presses twice quickly is told of no failure, and the microphone is free."""
    page = microphone
    page.add_init_script(
        """
        window.tracks = [];
        const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        navigator.mediaDevices.getUserMedia = async (wish) => {
          const stream = await ask(wish);
          window.tracks.push(...stream.getTracks());
          return stream;
        };"""
    )
    opened(page, stand, "listener")
    button = page.get_by_role("button", name=first)
    expect(button).to_be_visible()
    button.evaluate("button => { for (let times = 0; times < 4; times++) button.click(); }")
    page.wait_for_function(
        "() => window.tracks.length === 2 && window.tracks.every((each) => each.readyState === 'ended')"
    )
    expect(button).to_be_visible()
    expect(page.get_by_role("log", name="Messages").locator(".notice")).to_have_count(0)
    expect(page.get_by_label("Attachment 1: Recording")).to_have_count(0)


def test_a_recording_goes_to_a_model_that_hears(microphone: Page, stand: Server) -> None:
    page = microphone
    opened(page, stand, "smollm2")
    expect(page.get_by_role("button", name="Record sound for the model")).to_have_count(0)
    pick(page.get_by_label("Model of the conversation"), "listener")
    page.get_by_role("button", name="Record sound for the model").click()
    page.get_by_role("button", name="End recording, and attach it").click()
    expect(page.get_by_label("Attachment 1: Recording")).to_be_visible()
    page.get_by_label("Your message").press("Enter")
    expect(page.get_by_role("article", name="Answer")).to_contain_text("wav 16000 Hz")


def test_a_refused_microphone_is_explained(page: Page, stand: Server) -> None:
    opened(page, stand, "smollm2")
    page.get_by_role("button", name="Speak instead of typing").click()
    expect(
        page.get_by_text(re.compile("There is no microphone|does not allow this page to use the microphone"))
    ).to_be_visible()


def test_an_answer_is_read_aloud_and_stopped(page: Page, stand: Server) -> None:
    opened(page, stand, "listener")
    page.get_by_label("Your message").fill("word " * 100)
    page.keyboard.press("Enter")
    with page.expect_request("**/v1/audio/speech") as asked:
        page.get_by_role("button", name="Read aloud").click()
    body = json.loads(asked.value.post_data or "")
    assert (body["model"], body["voice"]) == ("voice", "first")
    assert body["input"].startswith("text word word")
    stop = page.get_by_role("button", name="Stop reading")
    expect(stop).to_be_visible()
    expect(page.get_by_text("The voice prepares to read")).to_have_count(0)
    stop.click()
    expect(page.get_by_role("button", name="Read aloud")).to_be_visible()


def test_a_short_answer_ends_by_itself_and_a_refusal_is_said(page: Page, stand: Server) -> None:
    opened(page, stand, "listener")
    answered(page)
    page.get_by_role("button", name="Read aloud").click()
    expect(page.get_by_role("button", name="Read aloud")).to_be_visible()
    page.get_by_label("Your message").fill("refuse")
    page.route(
        "**/v1/audio/speech",
        lambda route: route.fulfill(status=400, json={"error": {"message": "this voice is hoarse", "code": "x"}}),
    )
    page.get_by_role("button", name="Read aloud").click()
    expect(page.get_by_text("It cannot be read aloud: this voice is hoarse")).to_be_visible()
    expect(page.get_by_role("button", name="Stop reading")).to_have_count(0)


def test_without_such_models_there_are_no_such_buttons(page: Page, parrots: Server) -> None:
    opened(page, parrots, "smollm2")
    answered(page)
    for name in ("Read aloud", "Speak instead of typing", "Record sound for the model"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
    expect(page.get_by_role("tab", name="Images")).to_have_count(0)


def test_pictures_are_painted_and_downloaded(page: Page, stand: Server, tmp_path: Path) -> None:
    page.goto(f"{stand.url}/ui/chat")
    page.get_by_role("tab", name="Images").click()
    page.get_by_label("Painting model").click()
    expect(page.get_by_role("listbox", name="Models").get_by_role("option")).to_have_text([re.compile("The brush")])
    page.keyboard.press("Escape")
    page.get_by_label("What to paint").fill("A lighthouse in the fog")
    page.get_by_label("Size").select_option("512x512")
    page.get_by_label("How many").fill("2")
    page.get_by_label("Seed").fill("5")
    with page.expect_request("**/v1/images/generations") as asked:
        page.get_by_role("button", name="Paint").click()
    assert asked.value.post_data_json == {
        "model": "brush",
        "prompt": "A lighthouse in the fog",
        "n": 2,
        "response_format": "b64_json",
        "size": "512x512",
        "seed": 5,
    }
    painted = page.get_by_role("region", name="Painted")
    expect(painted.get_by_role("img")).to_have_count(2)
    assert painted.get_by_role("img").first.evaluate("image => image.decode().then(() => image.naturalWidth)") == 512
    with page.expect_download() as fetched:
        painted.get_by_role("link", name="Download").first.click()
    assert fetched.value.suggested_filename == "a-lighthouse-in-the-fog-1.png"
    fetched.value.save_as(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == senses.png(512, 512, 5)
    page.screenshot(path=ARTEFACTS / "images.png")


def test_painting_is_stopped_and_refusals_are_said(page: Page, stand: Server) -> None:
    page.goto(f"{stand.url}/ui/chat")
    page.get_by_role("tab", name="Images").click()
    page.get_by_label("What to paint").fill("hold")
    page.get_by_role("button", name="Paint").click()
    expect(page.get_by_test_id("painting")).to_contain_text("The brush paints")
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Paint")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    page.get_by_label("What to paint").fill("refuse")
    page.get_by_role("button", name="Paint").click()
    expect(page.get_by_role("alert")).to_have_text("it will not do that")
    page.get_by_label("How many").fill("99")
    expect(page.get_by_role("button", name="Paint")).to_be_disabled()
    expect(page.get_by_text("From 1 to 8 pictures.")).to_be_visible()


def test_painting_goes_on_while_the_person_is_elsewhere_and_pictures_stay(page: Page, stand: Server) -> None:
    page.goto(f"{stand.url}/ui/chat")
    page.get_by_role("tab", name="Images").click()
    painted = page.get_by_role("region", name="Painted")
    for prompt in ("A lighthouse", "A cat"):
        page.get_by_label("What to paint").fill(prompt)
        page.get_by_role("button", name="Paint").click()
        expect(painted.first).to_contain_text(prompt)
    expect(painted).to_have_count(2)
    page.get_by_label("What to paint").fill("hold")
    page.get_by_role("button", name="Paint").click()
    page.get_by_role("link", name="Models", exact=True).click()
    expect(page.get_by_role("heading", name="Models", exact=True)).to_be_visible()
    page.go_back()
    expect(page.get_by_role("tab", name="Images")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_test_id("painting")).to_contain_text("The brush paints")
    expect(page.get_by_label("What to paint")).to_have_value("hold")
    expect(painted).to_have_count(2)
    page.get_by_role("tab", name="Embeddings").click()
    page.get_by_label("Texts, one a line").fill("one\ntwo")
    page.get_by_role("tab", name="Chat", exact=True).click()
    page.go_back()
    expect(page.get_by_label("Texts, one a line")).to_have_value("one\ntwo")
    page.get_by_role("tab", name="Images").click()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Paint")).to_be_visible()


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not installed: make ui")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_of_images_is_accessible_and_fits_a_phone(page: Page, stand: Server, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.goto(f"{stand.url}/ui/chat")
    page.get_by_role("tab", name="Images").click()
    page.get_by_label("What to paint").fill("a very long wish " * 20)
    page.get_by_role("button", name="Paint").click()
    expect(page.get_by_role("region", name="Painted").get_by_role("img")).to_be_visible()
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found["violations"]] == []
    page.set_viewport_size({"width": 390, "height": 844})
    page.screenshot(path=ARTEFACTS / f"images-phone-{scheme}.png")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
