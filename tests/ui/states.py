"""Which states of the interface are compared with how they looked before, and how does a page get into each?

Each state is shown from a recording of a real server (`recorded.py`); `tools/pictures.py` makes recordings and pictures
anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, ViewportSize, expect

from ui.recorded import Recording, Replay

FOLDER = Path(__file__).parent / "pictures"
DESKTOP: ViewportSize = {"width": 1360, "height": 860}
PHONE: ViewportSize = {"width": 390, "height": 844}
QUESTION = "How does a swap work?"
ANSWER = r"""
A request names a model. If another one is in its way, ClaraCore

1. lets its answers end,
2. saves its conversations,
3. stops it and starts the model that was asked for.

| model | port | memory |
|:------|-----:|-------:|
| qwen3 | 8100 | 6.1 GiB |
| gemma-3 | 8101 | 9.4 GiB |

```sh
curl http://127.0.0.1:5800/v1/models
```

Reading a prompt of $n$ tokens takes $t = n / v$ seconds; that is what a saved conversation saves.
"""


def asked(page: Page) -> None:
    """Ask something in the chat and wait for the whole answer."""
    box = page.get_by_role("textbox", name="Your message")
    box.fill(QUESTION)
    box.press("Enter")
    expect(page.get_by_text("that is what a saved conversation saves")).to_be_visible()


def starred(page: Page) -> None:
    """Have the models that are loaded stand first."""
    for name in ("smollm2-135m-instruct-q4_1", "gemma-3-270m-q4_k_m"):
        page.get_by_role("button", name=f"Favourite {name}").click()
    page.mouse.move(0, 0)


@dataclass(frozen=True)
class State:
    """One page of one recording; `shown` are texts that it has when it is complete."""

    name: str
    recording: str
    path: str
    shown: tuple[str, ...]
    viewport: ViewportSize
    theme: Literal["light", "dark"]
    steps: Callable[[Page], None] = lambda _: None


MODELS = ("other programs", "estimated", "Llama 3.2 3B")
FIRST = ("Get and chat", "tokens/s expected")
STATES = (
    State("models", "several", "models", MODELS, DESKTOP, "light", starred),
    State("models-phone", "several", "models", MODELS, PHONE, "dark"),
    State("first-minute", "empty", "setup", FIRST, DESKTOP, "dark"),
    State("first-minute-phone", "empty", "setup", FIRST, PHONE, "light"),
    State("chat", "several", "chat", ("loaded",), DESKTOP, "light", asked),
    State("chat-phone", "several", "chat", ("loaded",), PHONE, "dark", asked),
    State("ports", "several", "ports", ("Models without a range", "8300"), DESKTOP, "light"),
    State("activity", "several", "activity", ("By model", "Timeline"), DESKTOP, "dark"),
    State("config", "several", "config", ("startPort", "the configuration in force"), DESKTOP, "light"),
    State("system", "several", "system", ("Processor", "other programs"), DESKTOP, "dark"),
)


def complete(page: Page, state: State) -> None:
    """Wait until a page shows all that it has."""
    for text in state.shown:
        expect(page.get_by_text(text).locator("visible=true").first).to_be_visible(timeout=60_000)


def picture(browser: Browser, state: State, recording: Recording, replay: Replay) -> bytes:
    """Return the PNG of a page in a state. The clock stands at the moment of the recording, and nothing moves."""
    context = browser.new_context(
        viewport=state.viewport, color_scheme=state.theme, reduced_motion="reduce", timezone_id="UTC", locale="en-GB"
    )
    page = context.new_page()
    page.clock.set_fixed_time(recording.at)
    page.goto(f"{replay.url}/ui/{state.path}")
    complete(page, state)
    state.steps(page)
    replay.fall_silent()
    page.evaluate("document.fonts.ready")
    shot = before = b""
    while not shot or shot != before:
        before, shot = shot, page.screenshot(animations="disabled", caret="hide")
    context.close()
    return shot
