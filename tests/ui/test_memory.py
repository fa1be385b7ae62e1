"""Memory decides who stays: bars of the devices, what a load would bring about, and why somebody went."""

from __future__ import annotations

import contextlib
import http.client
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect

from fakes.ports import free_run
from hardware.nvml import Script, build
from ui.stand import ARTEFACTS, AXE, ENGINE, FAKE, GEMMA, SMOLLM2, Server
from ui.test_models import row

PHONE: ViewportSize = {"width": 390, "height": 844}
CARDS = ((24576, 1500), (12288, 200))


@contextlib.contextmanager
def by_memory(folder: Path, models: str, *, settings: str = "", cards: Script | None = None) -> Iterator[Server]:
    """Serve these models where memory decides who stays; `cards` are what the machine has of GPUs."""
    text = f"""\
startPort: {free_run(8).start}
macros: {{engine: '{ENGINE}', fake: '{FAKE}'}}
models:
{models}
routing: {{router: {{use: memory, settings: {{memory: {{{settings}}}}}}}}}
"""
    environ = {"LD_LIBRARY_PATH": str(cards.library.parent)} if cards is not None else {}
    server = Server(folder, environ=environ)
    server.config.write_text(text)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def loaded(page: Page, server: Server, *models: str) -> None:
    for model in models:
        assert page.request.post(f"{server.url}/api/models/load/{model}", timeout=60_000).ok, model


def asked(server: Server, method: str, path: str) -> int:
    """Ask without a page, whose console would have an error for a refusal; return the status."""
    connection = http.client.HTTPConnection(server.listen, timeout=60)
    with contextlib.closing(connection):
        connection.request(method, path)
        return connection.getresponse().status


def bars(page: Page) -> Locator:
    return page.get_by_label("Memory", exact=True)


def on(page: Page, device: str) -> Locator:
    return page.get_by_role("list", name=f"Models on {device}")


REAL = f"""\
  gemma: {{cmd: '${{engine}} -m "{GEMMA}" -c 2048 -t 1'}}
  smol: {{cmd: '${{engine}} -m "{SMOLLM2}" -c 2048 -t 1'}}
  huge: {{cmd: '${{engine}} -m "{SMOLLM2}" -t 1', memory: {{ram: 900GiB}}}}
"""


def test_two_real_models_share_the_memory_until_one_must_go(page: Page, tmp_path: Path) -> None:
    with by_memory(tmp_path, REAL, settings="reserve: {ram: 0}, budget: {ram: 4GiB}") as server:
        page.goto(server.url)
        expect(row(page, "smol")).to_contain_text(re.compile(r"Fits: takes \d+ MiB of ram \(estimated\)"))
        expect(row(page, "huge")).to_contain_text("Never fits: takes 900 GiB of ram, where it can have 4.0 GiB")
        loaded(page, server, "smol", "gemma")
        for model in ("smol", "gemma"):
            expect(
                on(page, "ram").get_by_role("button", name=re.compile(rf"^{model} .* MiB \(measured\)"))
            ).to_be_visible()
        expect(bars(page)).to_contain_text(re.compile("beyond the budget .* GiB, free 3.* GiB of"))

        sizes = [page.request.get(f"{server.url}/api/models/{model}").json()["memory"] for model in ("smol", "gemma")]
        most = max(sum(size["devices"].values()) for size in sizes) // 2**20 + 1
        server.config.write_text(server.config.read_text().replace("ram: 4GiB", f"ram: {most}MiB"))
        assert page.request.post(f"{server.url}/api/config/reload").ok
        assert page.request.post(f"{server.url}/api/models/unload/gemma").ok
        expect(row(page, "gemma").locator(".hint")).to_have_text(
            re.compile(r"^Will unload smol \(frees \d+ MiB, [\d.]+ m?s to load again\)$")
        )
        row(page, "gemma").get_by_role("button", name=re.compile("^Load gemma. Will unload smol")).click()
        expect(on(page, "ram").get_by_role("button", name=re.compile("^gemma"))).to_be_visible(timeout=60_000)
        expect(on(page, "ram").get_by_role("button", name=re.compile("^smol"))).to_have_count(0)

        page.goto(f"{server.url}/ui/activity")
        why = re.compile(r"unloaded for gemma: gemma takes \d+ MiB of ram, where \d+ MiB were free")
        expect(page.get_by_label("Loads and swaps")).to_contain_text(why)
        lanes = page.get_by_role("list", name="Which model was loaded when").get_by_role("listitem")
        expect(lanes.filter(has_text="smol")).to_contain_text(why)
        page.screenshot(path=ARTEFACTS / "memory-swaps.png", full_page=True)


ON_CARDS = """\
  coder: {cmd: '${fake}', memory: {gpu: 9GiB, ram: 1GiB}}
  embed: {cmd: '${fake}', memory: {gpu1: 2GiB}}
  large: {cmd: '${fake}', memory: {gpu: 16GiB}}
  mute: {cmd: '${fake}'}
  giant: {cmd: '${fake}', memory: {gpu: 30GiB}}
  tiny: {cmd: '${fake}', memory: {gpu1: 60MiB}}
"""


@pytest.fixture
def two_cards(tmp_path: Path) -> Script:
    folder = tmp_path / "driver"
    folder.mkdir()
    script = build(folder)
    script.write(*CARDS, processes={(0, 1): 1500, (1, 1): 200})
    return script


@pytest.fixture
def carded(tmp_path: Path, two_cards: Script) -> Iterator[Server]:
    with by_memory(tmp_path, ON_CARDS, cards=two_cards) as server:
        yield server


def test_a_load_on_two_cards_is_foreseen(page: Page, carded: Server, two_cards: Script) -> None:
    loaded(page, carded, "coder", "embed", "tiny")
    page.goto(carded.url)
    expect(on(page, "gpu0").get_by_role("button")).to_have_text(["coder 9.0 GiB (declared)"])
    expect(on(page, "gpu1").get_by_role("button")).to_have_count(2)
    expect(bars(page)).to_contain_text("other programs 1.5 GiB, kept free 500 MiB, free 13.0 GiB of 24.0 GiB")
    expect(row(page, "large")).to_contain_text(re.compile("Will unload coder .frees 10.0 GiB, .* to load again"))
    expect(row(page, "giant")).to_contain_text("Never fits: takes 30.0 GiB of gpu0, where it can have 23.5 GiB")
    expect(row(page, "mute")).to_contain_text("Will unload coder")

    row(page, "coder").get_by_role("button", name=re.compile("^Pin")).click()
    expect(row(page, "large")).to_contain_text("Does not fit beside coder, which is pinned")
    row(page, "coder").get_by_role("button", name="Unpin").click()
    expect(row(page, "large")).to_contain_text("Will unload coder")

    # Another program takes most of the card: seen without anybody doing anything here.
    two_cards.write((24576, 12500), CARDS[1], processes={(0, 1): 12500, (1, 1): 200})
    expect(row(page, "large")).to_contain_text("12.2 GiB used by other programs")
    expect(row(page, "large")).to_contain_text("Does not fit now: takes 16.0 GiB of gpu0")


def test_what_a_segment_is_is_said_on_hover_and_by_keyboard(page: Page, carded: Server) -> None:
    loaded(page, carded, "embed", "tiny")
    page.goto(carded.url)
    tiny = on(page, "gpu1").get_by_role("button", name="tiny 60.0 MiB (declared)")
    before = bars(page).bounding_box()
    tiny.hover()
    expect(bars(page).locator("strong", has_text="tiny 60.0 MiB (declared)")).to_be_visible()
    page.mouse.move(0, 0)
    expect(bars(page).locator("strong", has_text="tiny 60.0 MiB (declared)")).to_have_count(0)
    on(page, "gpu1").get_by_role("button").first.focus()
    expect(bars(page).locator("strong", has_text="embed 2.0 GiB (declared)")).to_be_visible()
    page.keyboard.press("Tab")
    expect(tiny).to_be_focused()
    expect(bars(page).locator("strong", has_text="tiny 60.0 MiB (declared)")).to_be_visible()
    assert bars(page).bounding_box() == before
    page.keyboard.press("Enter")
    page.get_by_role("group", name="Unload tiny?").get_by_role("link", name="Open").click()
    expect(page).to_have_url(f"{carded.url}/ui/models/tiny")
    table = page.get_by_role("region", name="What it takes of each device")
    expect(table.get_by_role("row").filter(has_text="gpu1")).to_contain_text("60.0 MiB")
    expect(page.get_by_label("Memory", exact=True)).to_contain_text("What is declared counts")


def test_a_segment_unloads_its_model_once_that_is_confirmed(page: Page, carded: Server) -> None:
    loaded(page, carded, "embed", "tiny")
    page.goto(carded.url)
    embed = on(page, "gpu1").get_by_role("button", name=re.compile("^embed"))
    asked = page.get_by_role("group", name="Unload embed?")
    embed.focus()
    page.keyboard.press("Enter")
    expect(asked).to_contain_text("Frees 2.0 GiB of gpu1. Loading it took")
    expect(asked.get_by_role("button", name="Unload")).to_be_focused()
    page.keyboard.press("Escape")
    expect(asked).to_have_count(0)
    expect(embed).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(embed).to_have_count(0)
    expect(on(page, "gpu1")).to_be_focused()
    expect(row(page, "embed").locator("[data-state]")).to_have_attribute("data-state", "stopped")
    page.get_by_role("log", name="Messages").get_by_role("button", name="Load again").click()
    expect(embed).to_be_visible()


def test_a_segment_grows_with_the_load(page: Page, tmp_path: Path, two_cards: Script) -> None:
    models = "  slow: {cmd: '${fake} --ready-after 600', memory: {gpu: 9GiB}}\n"
    with by_memory(tmp_path, models, cards=two_cards) as server:
        page.goto(server.url)
        load = threading.Thread(target=lambda: asked(server, "POST", "/api/models/load/slow"))
        load.start()
        segment = on(page, "gpu0").get_by_role("listitem").filter(has_text="slow")
        expect(segment.locator(".fill")).to_be_visible()
        expect(segment.get_by_role("button", name=re.compile("^slow 9.0 GiB"))).to_be_visible()
        segment.get_by_role("button").click()
        page.get_by_role("group", name="Unload slow?").get_by_role("button", name="Stop").click()
        expect(segment).to_have_count(0)
        load.join()


def test_the_moment_is_told_in_a_line(page: Page, carded: Server, two_cards: Script) -> None:
    two_cards.write(*CARDS, gauges={0: (63, 71, 284), 1: (3, 38, 22)})
    page.goto(carded.url)
    moment = page.get_by_label("At this moment")
    expect(moment).to_contain_text(re.compile(r"GPU 0\s*63 %\s*71 °C · 284 W\s*GPU 1\s*3 %\s*38 °C · 22 W"))
    expect(moment).to_contain_text(re.compile(r"Requests\s*0\s*none waits"))


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not installed: make ui")
def test_bars_are_accessible_light_and_dark_and_on_a_phone(browser: Browser, page: Page, carded: Server) -> None:
    loaded(page, carded, "coder", "embed", "tiny")
    context = browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True, reduced_motion="reduce")
    phone = context.new_page()
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for shown, size in ((page, "wide"), (phone, "phone")):
        for name in ("models", "models/coder", "system"):
            shown.goto(f"{carded.url}/ui/{name}")
            expect(bars(shown)).to_contain_text("gpu0")
            assert shown.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
            shown.evaluate(AXE.read_text())
            for scheme in schemes:
                shown.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                shown.screenshot(path=ARTEFACTS / f"memory-{name.replace('/', '-')}-{size}-{scheme}.png")
                found: dict[str, Any] = shown.evaluate("axe.run(document, { resultTypes: ['violations'] })")
                told = [f"{rule['id']}: {node['html'][:200]}" for rule in found["violations"] for node in rule["nodes"]]
                assert told == [], f"{name} {size} {scheme}"
    context.close()
