"""The nginx of the guide, run in front of a ClaraCore: it lets through what clients need."""

from __future__ import annotations

import re
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from docs.fences import ROOT, fences
from e2e.instance import instance
from fakes.nginx import NGINX, nginx

NAME = "ai.example.com"
GUIDE = ROOT / "docs" / "guides" / "home-server.md"
MEGABYTE = 1 << 20


def of_the_guide(url: str) -> str:
    """Return what stands in its `server`, but for the certificate, in front of the server at `url`."""
    text = next(fence.text for fence in fences(GUIDE) if fence.language == "nginx")
    inside = text.partition("{")[2].rpartition("}")[0]
    plain = re.sub(r"^ *(?:listen|server_name|ssl_\w+) .*\n", "", inside, flags=re.MULTILINE)
    assert "127.0.0.1:5800" in plain
    return plain.replace("127.0.0.1:5800", urlsplit(url).netloc)


@pytest.mark.skipif(NGINX is None, reason="needs nginx")
def test_names_and_large_bodies_pass(tmp_path: Path) -> None:
    named = next(fence.text for fence in fences(GUIDE) if fence.name == "config.yaml")
    (tmp_path / "config.yaml").write_text(f"{named}models: {{}}\n")
    (tmp_path / "nginx").mkdir()
    with instance(tmp_path, "--config", "config.yaml") as server:
        here = server.ready()
        with nginx(tmp_path / "nginx", of_the_guide(here.url)) as port:
            asked = HTTPConnection("127.0.0.1", port, timeout=30)
            asked.request("GET", "/v1/models", headers={"Host": NAME})
            answer = asked.getresponse()
            assert (answer.status, answer.read()[:17]) == (200, b'{"object":"list",')
            body = b'{"model": "none", "messages": [], "more": "%s"}' % (b"x" * 2 * MEGABYTE)
            asked.request("POST", "/v1/chat/completions", body, {"Host": NAME, "Content-Type": "application/json"})
            refused = asked.getresponse()
            assert (refused.status, b"model_not_found" in refused.read()) == (404, True)
            asked.request("POST", "/api/models/unload", headers={"Host": NAME})
            assert asked.getresponse().status in {401, 403}, "a request through a proxy changed something without a key"
            asked.close()
