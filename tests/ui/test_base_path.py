"""The interface below a path of a proxy: a real nginx, a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from playwright.sync_api import Page, expect

from fakes.nginx import NGINX, nginx
from fakes.ports import free_run
from ui.stand import FAKE, Server, config, serving

pytestmark = pytest.mark.skipif(NGINX is None, reason="needs nginx")

LEFT_THERE = "location /llm/ {{ proxy_pass {url}; }}"
TAKEN_OFF = (
    "location /tools/llm/ {{ proxy_pass {url}/; proxy_set_header Host $http_host; "
    "proxy_set_header X-Forwarded-Prefix /tools/llm; }}"
)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Was told the path, and the name under which pages know it: this proxy passes on neither."""
    text = config(start_port=free_run(8).start, engine=FAKE, more="allowed_hosts: [127.0.0.1]\n")
    with serving(tmp_path_factory.mktemp("told"), text, "--base-path", "/llm/") as server:
        yield server


@pytest.fixture(scope="module")
def untold(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Hears of the path with each request."""
    text = config(start_port=free_run(8).start, engine=FAKE)
    with serving(tmp_path_factory.mktemp("untold"), text) as server:
        yield server


@pytest.mark.parametrize(
    ("server_name", "way"),
    [("told", (LEFT_THERE, "/llm")), ("untold", (TAKEN_OFF, "/tools/llm"))],
    ids=["path left there", "path taken off"],
)
def test_everything_is_below_the_path(
    page: Page, request: pytest.FixtureRequest, tmp_path: Path, server_name: str, way: tuple[str, str]
) -> None:
    location, base = way
    server: Server = request.getfixturevalue(server_name)
    asked: list[str] = []
    page.on("request", lambda call: asked.append(call.url))
    with nginx(tmp_path, location.format(url=server.url)) as port:
        root = f"http://127.0.0.1:{port}{base}"
        page.goto(f"{root}/")
        expect(page).to_have_url(re.compile(re.escape(f"{root}/ui/")))
        expect(page.get_by_text("SmolLM2 135M")).to_be_visible()
        expect(page.get_by_role("navigation").get_by_role("status")).to_contain_text("Live")
        for name in ("Activity", "Ports", "Configuration", "System"):
            page.get_by_role("navigation").get_by_role("link", name=name).click()
            expect(page.get_by_role("heading", level=1)).to_contain_text(name)
        expect(page).to_have_url(f"{root}/ui/system")
        expect(page.get_by_text(f"{root}/v1", exact=True)).to_be_visible()
        page.goto(f"{root}/ui/models/smollm2")
        page.get_by_role("button", name="Load").first.click()
        expect(page.get_by_text("ready", exact=False).first).to_be_visible()
        page.get_by_role("link", name="All models").click()
        expect(page).to_have_url(f"{root}/ui/models")
        page.goto(f"{root}/docs")
        expect(page.get_by_text("/api/models", exact=True)).to_be_visible()
        with urlopen(f"{root}/openapi.json") as answer:  # noqa: S310 - our own
            assert json.load(answer)["servers"] == [{"url": base}]
        page.goto("about:blank")
    outside = [url for url in asked if not url.startswith((f"{root}/", "data:", "blob:", "about:"))]
    assert outside == []
