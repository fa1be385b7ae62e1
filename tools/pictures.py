"""How does the interface look? Makes the recordings and pictures that the tests compare, and those of the README.

    python tools/pictures.py record    # from real servers: tests/ui/pictures/*.json.gz
    python tools/pictures.py accept    # the states of tests/ui/states.py as they look now: tests/ui/pictures/*.png
    python tools/pictures.py readme    # docs/pictures/swap.webp, a swap of real models that moves

Needs the built interface (`make ui`), the small models (`make models`) and Chromium.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from PIL import Image
from playwright.sync_api import Browser, expect, sync_playwright

from fakes.ports import free_run
from ui.conftest import CHROMIUM, FLAGS
from ui.recorded import Recording, record, replaying
from ui.stand import GEMMA, SMOLLM2, Server, config, from_nothing, serving
from ui.states import ANSWER, DESKTOP, FOLDER, STATES, complete, picture
from ui.suggested import suggested_hub
from zoo.families import GEMMAS, LLAMAS, QWENS
from zoo.synthetic import write

MOVING = ROOT / "docs" / "pictures" / "swap.webp"
SHOWN = {
    "Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf",
    "Llama-3.2-3B-Instruct-f16.gguf",
    "Qwen3-30B-A3B-UD-Q4_K_XL.gguf",
    "qwen2.5-14b-instruct-q5_k_m.gguf",
    "Qwen2.5-VL-7B-Instruct-Q4_K_M.gguf",
    "Qwen2.5-Coder-0.5B-Q8_0.gguf",
}
ASKED = ("smollm2-135m-instruct", "gemma-3-270m", "smollm2-135m-instruct")
LATE_MS = 3000
"""For what a page asks for when it has shown the rest."""
FRAMES_A_SECOND = 8
AFTER_SECONDS = 2
"""How long the picture that moves goes on when the answer has ended."""
ASK = """() => {
  const body = { model: 'gemma', max_tokens: 64, messages: [{ role: 'user', content: 'Say hello.' }] };
  const headers = { 'Content-Type': 'application/json' };
  fetch('/v1/chat/completions', { method: 'POST', headers, body: JSON.stringify(body) })
    .then((answer) => answer.text()).then(() => { window.answered = true; });
}"""


def main() -> int:
    """Do what the arguments say; return the exit status."""
    parser = argparse.ArgumentParser(description="Make pictures of the interface.")
    parser.add_argument("what", choices=("record", "accept", "readme"))
    what = parser.parse_args().what
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        if what == "record":
            with several(browser) as server:
                keep(browser, server, "several")
            with empty() as server:
                keep(browser, server, "empty")
        elif what == "accept":
            accept(browser)
        else:
            swap(browser)
        browser.close()
    return 0


def keep(browser: Browser, server: Server, name: str) -> None:
    """Keep what a server answers to the pages of all states that are shown from this recording."""
    context = browser.new_context(viewport=DESKTOP)
    recording = Recording(at=time.time())
    record(context, server.url, recording)
    for state in STATES:
        if state.recording == name:
            page = context.new_page()
            page.goto(f"{server.url}/ui/{state.path}")
            complete(page, state)
            page.wait_for_timeout(LATE_MS)
            page.close()
    context.close()
    FOLDER.mkdir(exist_ok=True)
    recording.write(FOLDER / f"{name}.json.gz")


@contextlib.contextmanager
def several(browser: Browser) -> Iterator[Server]:
    """Serve the small models, both loaded, beside large ones (files with a hole) that nobody has asked for."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for member in (member for member in (*GEMMAS, *LLAMAS, *QWENS) if member.file in SHOWN):
            write(folder / "models" / member.file, member.image())
        for small in (SMOLLM2, GEMMA):
            (folder / "models" / small.name).symlink_to(small)
        with from_nothing(folder, "--models-folder", str(folder / "models")) as server:
            for model in ASKED:
                ask(browser, server, model)
            yield server


@contextlib.contextmanager
def empty() -> Iterator[Server]:
    """Serve nothing yet, beside a hub that has what is suggested."""
    with (
        tempfile.TemporaryDirectory() as name,
        suggested_hub() as hub,
        from_nothing(Path(name), **hub.environ()) as server,
    ):
        yield server


def accept(browser: Browser) -> None:
    """Keep all states as they look now."""
    for state in STATES:
        recording = Recording.read(FOLDER / f"{state.recording}.json.gz")
        with replaying(recording, ANSWER) as replay:
            shot = Image.open(io.BytesIO(picture(browser, state, recording, replay))).convert("RGB")
            shot.save(FOLDER / f"{state.name}.png", optimize=True)
            print(state.name, *sorted(replay.unknown))


def ask(browser: Browser, server: Server, model: str) -> None:
    """Have a model answer something."""
    page = browser.new_page()
    body = {"model": model, "max_tokens": 64, "stream": True, "messages": [{"role": "user", "content": "Say hello."}]}
    expect(page.request.post(f"{server.url}/v1/chat/completions", data=body, timeout=300_000)).to_be_ok()
    page.close()


def swap(browser: Browser) -> None:
    """Make the picture of a swap: the page of the models while a request asks for the one that is not loaded."""
    with tempfile.TemporaryDirectory() as name, serving(Path(name), config(start_port=free_run(8).start)) as server:
        page = browser.new_page(viewport={"width": 1280, "height": 640})
        ask(browser, server, "smollm2")
        page.goto(f"{server.url}/ui/models")
        expect(page.get_by_text("SmolLM2 135M").first).to_be_visible()
        frames, ended = [], 0.0
        while not ended or time.monotonic() - ended < AFTER_SECONDS:
            frames.append(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))
            if len(frames) == FRAMES_A_SECOND:
                page.evaluate(ASK)
            if not ended and page.evaluate("window.answered === true"):
                ended = time.monotonic()
            page.wait_for_timeout(1000 / FRAMES_A_SECOND)
    MOVING.parent.mkdir(exist_ok=True)
    frames[0].save(
        MOVING, save_all=True, append_images=frames[1:], duration=1000 // FRAMES_A_SECOND, loop=0, quality=70, method=6
    )
    print(f"{MOVING}: {len(frames)} frames, {MOVING.stat().st_size >> 10} KiB")


if __name__ == "__main__":
    raise SystemExit(main())
