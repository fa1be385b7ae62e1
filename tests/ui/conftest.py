"""A browser, a page that forgives no error, and a server that most tests share."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="the dev dependency playwright drives the browser")

from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from fakes.ports import free_run
from ui.stand import FAKE, ODD, SMALL, SMOLLM2, STATIC, Server, config, serving

WAIT_MS = 30_000
"""For what comes at once on a machine that has nothing else to do."""

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
EXPECTED = re.compile(
    r"Failed to load resource: (net::ERR_|the server responded with a status of (400|401|403|404|409|412|422|502|503))"
    r"|was preloaded using link preload but not used within a few seconds"
)
"""
Chromium writes these for answers that the interface shows in its own words, and where a page is drawn late, as on a
machine that has much else to do.
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = [
        name
        for name, there in (
            ("a Chromium", CHROMIUM),
            ("the built interface: make ui", STATIC.is_file()),
            ("the small models: make models", SMOLLM2.is_file()),
        )
        if not there
    ]
    if missing:
        for item in items:
            if Path(item.fspath).parent == Path(__file__).parent:
                item.add_marker(pytest.mark.skip(reason=f"needs {', '.join(missing)}"))
    # Last of all: Playwright keeps an event loop running in this thread, and asyncio.run() refuses to work beside it.
    items.sort(key=lambda item: Path(item.fspath).parent == Path(__file__).parent)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@contextlib.contextmanager
def page_with(browser: Browser, flag: str) -> Iterator[Page]:
    """Have a page in a browser of its own with one more flag; its console may say what it likes."""
    launched = browser.browser_type.launch(executable_path=CHROMIUM, args=[*FLAGS, flag])
    page = launched.new_page()
    page.set_default_timeout(WAIT_MS)
    yield page
    launched.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh browser profile; an error in its console fails the test."""
    context = browser.new_context(viewport={"width": 1360, "height": 860})
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))

    def heard(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not EXPECTED.search(message.text):
            errors.append(message.text)

    page.on("console", heard)
    yield page
    context.close()
    assert errors == []


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with real models; tests leave it as they find it."""
    with serving(tmp_path_factory.mktemp("server"), config(start_port=free_run(8).start, models=SMALL)) as server:
        yield server


@pytest.fixture(scope="session")
def parrots(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The same with model servers that only seem to be some: ready at once, done at once."""
    with serving(
        tmp_path_factory.mktemp("parrots"), config(start_port=free_run(8).start, models=ODD, engine=FAKE)
    ) as server:
        yield server
