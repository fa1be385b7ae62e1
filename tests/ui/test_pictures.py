"""The interface looks as it did: ten states, compared with their pictures; what differs is shown as a picture."""

from __future__ import annotations

import io

import pytest
from PIL import Image, ImageChops
from playwright.sync_api import Browser

from ui.recorded import Recording, replaying
from ui.stand import ARTEFACTS
from ui.states import ANSWER, FOLDER, STATES, State, picture

STEPS = 48
"""Of 255: what a renderer of another version makes of the edge of a letter is less."""
MOST = 0.005
"""Of all pixels; a line of text that moves by its height changes more."""


def difference(before: Image.Image, now: Image.Image) -> Image.Image:
    """Return where two pictures differ visibly: white there, black elsewhere. They have the same size."""
    return ImageChops.difference(before, now).convert("L").point(lambda steps: 255 if steps > STEPS else 0)


def share(mask: Image.Image) -> float:
    """Return how much of a mask is white, from 0 to 1."""
    return mask.histogram()[255] / (mask.width * mask.height)


def shown_together(before: Image.Image, now: Image.Image, mask: Image.Image) -> Image.Image:
    """Return both side by side, and what differs in red over a pale copy beside them."""
    pale = Image.blend(now, Image.new("RGB", now.size, "white"), 0.7)
    marked = Image.composite(Image.new("RGB", now.size, "red"), pale, mask)
    whole = Image.new("RGB", (now.width * 3, now.height))
    for place, part in enumerate((before, now, marked)):
        whole.paste(part, (now.width * place, 0))
    return whole


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.name)
def test_it_looks_as_it_did(browser: Browser, state: State) -> None:
    recording = Recording.read(FOLDER / f"{state.recording}.json.gz")
    with replaying(recording, ANSWER) as replay:
        now = Image.open(io.BytesIO(picture(browser, state, recording, replay))).convert("RGB")
        assert not replay.unknown, "tools/pictures.py record: the pages ask for what is not in the recording"
    before = Image.open(FOLDER / f"{state.name}.png").convert("RGB")
    assert now.size == before.size
    mask = difference(before, now)
    if share(mask) > MOST:
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        file = ARTEFACTS / f"difference-{state.name}.png"
        shown_together(before, now, mask).save(file)
        raise AssertionError(f"{share(mask):.1%} differs: see {file}; as it should be? tools/pictures.py accept")


def test_a_line_that_moved_is_a_difference() -> None:
    """The comparison itself: a small shift of a small text is seen, an edge that is a little paler is not."""
    before, moved, paler = (Image.new("RGB", (400, 300), "white") for _ in range(3))
    before.paste("black", (20, 20, 120, 32))
    moved.paste("black", (20, 34, 120, 46))
    paler.paste((30, 30, 30), (20, 20, 120, 32))
    assert share(difference(before, moved)) > MOST
    assert share(difference(before, paler)) == 0
    together = shown_together(before, moved, difference(before, moved))
    assert together.size == (1200, 300)
    assert together.getpixel((800 + 60, 40)) == (255, 0, 0)
