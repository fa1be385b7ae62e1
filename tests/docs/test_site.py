"""The documentation as a site: every page is in it, every link leads somewhere, and no other host is asked."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import docs_site
import pytest
from playwright.sync_api import sync_playwright

from docs.fences import ROOT
from ui.conftest import CHROMIUM, FLAGS

LOADING = {
    "script": "src",
    "link": "href",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "use": "href",
}


class Loads(HTMLParser):
    """What a page has a browser fetch by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if values.get("rel") not in {"canonical", "prev", "next"}:
            self.found.append(values.get(LOADING.get(tag, "")) or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs") / "site"
    docs_site.build(folder)
    return folder


def test_every_page_is_in_it(site: Path) -> None:
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").with_suffix("")
        place = name.parent if name.name == "README" else name
        assert (site / place / "index.html").is_file(), f"{page} is not in the site"


def test_every_page_is_in_the_navigation(site: Path) -> None:
    home = (site / "index.html").read_text()
    for page in site.rglob("index.html"):
        path = str(page.parent.relative_to(site))
        if path != ".":
            assert f'href="./{path}/"' in home, f"{path} is not in the navigation"


def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    for page in site.rglob("*.html"):
        loads = Loads()
        loads.feed(page.read_text())
        foreign = [place for place in loads.found if urlsplit(place).netloc]
        assert not foreign, f"{page.relative_to(site)} loads {foreign}"
    for sheet in site.rglob("*.css"):
        foreign = re.findall(r"(?:url\(|@import )[\"']?(?:https?:)?//[^)\"' ]+", sheet.read_text())
        assert not foreign, f"{sheet.relative_to(site)} loads {foreign}"


def root_with(folder: Path, text: str) -> Path:
    (folder / "docs").mkdir(parents=True)
    (folder / "docs" / "README.md").write_text(f"# Home\n\n{text}\n")
    (folder / "docs" / "other.md").write_text("# Other\n\n## Here\n")
    return folder


def test_what_leads_somewhere_is_built(tmp_path: Path) -> None:
    docs_site.build(tmp_path / "site", root_with(tmp_path / "root", "[there](other.md#here)"))
    assert 'href="other/#here"' in (tmp_path / "site" / "index.html").read_text()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[there](nowhere.md)", "nowhere.md is not in the site"),
        ("[there](other.md#not-here)", "anchor does not exist"),
        ("[there](#not-here)", "anchor does not exist"),
        ('<a href="nowhere.md">there</a>', "page does not exist"),
    ],
)
def test_what_leads_nowhere_fails(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises((docs_site.WrongLink, docs_site.BuildFailed)) as refused:
        docs_site.build(tmp_path / "site", root_with(tmp_path / "root", text))
    assert words in re.sub(r"\x1b\[[0-9;]*m", "", str(refused.value))
    assert not (tmp_path / "site").exists()


class Quiet(SimpleHTTPRequestHandler):
    """Files of a folder, without a line for each."""

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=site)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_a_browser_reads_and_searches_it_and_asks_no_other_host(address: str) -> None:
    asked: set[str] = set()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.on("request", lambda request: asked.add(urlsplit(request.url).netloc))
        for path in ("/", "/guides/first-model/", "/reference/errors/", "/configuration/"):
            page.goto(address + path)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (
                f"{path} is too wide for a phone"
            )
        page.locator('label[for="__search"]:visible').first.click()
        page.keyboard.type("insufficient_memory")
        page.get_by_role("link").filter(has_text="Errors").first.wait_for()
        browser.close()
    assert asked == {urlsplit(address).netloc}
