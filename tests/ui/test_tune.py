"""A model is tuned from its page: each trial as it comes, what is best, and one click that writes it."""

from __future__ import annotations

import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from fakes.ports import free_run
from ui.stand import SMOLLM2, Server, serving

SCRIPT = Path(__file__).parents[1] / "tune" / "scripted.py"


@pytest.fixture
def tunable(tmp_path: Path) -> Iterator[Server]:
    """Serve one model whose server is scripted: faster without flash attention."""
    program = tmp_path / "llama-server"
    program.write_text(f"#!{sys.executable} -ES\n" + SCRIPT.read_text(encoding="utf-8"), encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    models = f'  small:\n    cmd: {program} --port ${{PORT}} -m "{SMOLLM2}" -c 4096 -t 1\n'
    with serving(tmp_path, f"startPort: {free_run(4).start}\nmodels:\n{models}") as server:
        yield server


def test_the_best_is_found_and_written(page: Page, tunable: Server) -> None:
    page.goto(f"{tunable.url}/ui/models/small")
    card = page.get_by_label("Tuning", exact=True)
    card.get_by_role("button", name="Tune").click()
    expect(card.get_by_role("row").nth(1)).to_contain_text("as configured")
    expect(card.get_by_text(re.compile("^Best: .*flash attention off"))).to_be_visible()
    assert "flash-attn" not in tunable.config.read_text()
    card.get_by_role("button", name="Write it").click()
    expect(card.get_by_text("Written; a later set-up keeps it.")).to_be_visible()
    expect(page.get_by_label("Command", exact=True)).to_contain_text("--flash-attn off")
    assert "--flash-attn off" in tunable.config.read_text()
    assert "# tuned: reads " in tunable.config.read_text()


def test_whoever_stops_it_has_the_model_as_it_was(page: Page, tunable: Server) -> None:
    (tunable.folder / "slow").touch()
    before = tunable.config.read_text()
    page.goto(f"{tunable.url}/ui/models/small")
    card = page.get_by_label("Tuning", exact=True)
    card.get_by_role("button", name="Tune").click()
    expect(card.get_by_text("Trying: as configured")).to_be_visible()
    card.get_by_role("button", name="Stop").click()
    expect(card.get_by_text("Stopped: nothing was written")).to_be_visible()
    expect(card.get_by_role("button", name="Tune")).to_be_visible()
    expect(page.locator(".badge", has_text="stopped").first).to_be_visible()
    assert tunable.config.read_text() == before
