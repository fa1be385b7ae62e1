"""What a browser gets at / and below /ui, against a folder that stands for the built interface."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

import pytest
from fastapi import FastAPI

from claracore.errors import NotFound
from claracore.http.web import interface

DOCS = Path(__file__).resolve().parents[2] / "ui" / "public" / "docs"


class Answer:
    """One answer of the application."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""


def get(path: str, **headers: str) -> Answer:
    """Ask the router as an ASGI server does, without a network."""
    app = FastAPI(docs_url=None)
    app.include_router(interface.router)
    answer = Answer()
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, object]) -> None:
        match message:
            case {"type": "http.response.start", "status": int(status), "headers": list(sent)}:
                answer.status = status
                answer.headers = {name.decode(): value.decode() for name, value in sent}
            case {"type": "http.response.body", "body": bytes(body)}:
                answer.body += body

    asyncio.run(app(scope, receive, send))  # type: ignore[arg-type]
    return answer


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html>entry")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.html").write_text("<!doctype html>operations")
    (tmp_path / "assets" / "index-abc.js").write_text("console.log(1)")
    (tmp_path / "assets" / "index-abc.js.gz").write_bytes(gzip.compress(b"console.log(1)"))
    monkeypatch.setattr(interface, "STATIC", tmp_path)
    return tmp_path


@pytest.mark.usefixtures("built")
def test_its_path_leads_to_the_interface() -> None:
    answer = get("/ui")
    assert (answer.status, answer.headers["location"]) == (302, "/ui/")


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("path", ["/ui/", "/ui/models", "/ui/models/org/name.v1", "/ui/chat"])
def test_every_page_is_the_entry_file_and_is_asked_for_each_time(path: str) -> None:
    answer = get(path)
    assert answer.status == 200
    assert answer.body == b"<!doctype html>entry"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.usefixtures("built")
def test_hashed_files_are_kept_and_come_compressed() -> None:
    plain = get("/ui/assets/index-abc.js")
    packed = get("/ui/assets/index-abc.js", accept_encoding="gzip, br")
    assert plain.body == b"console.log(1)"
    assert gzip.decompress(packed.body) == plain.body
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["content-type"].startswith("text/javascript")
    assert "immutable" in packed.headers["cache-control"]
    assert plain.headers["etag"] != packed.headers["etag"]


@pytest.mark.usefixtures("built")
def test_what_the_browser_has_is_not_sent_again() -> None:
    tag = get("/ui/").headers["etag"]
    again = get("/ui/", if_none_match=tag)
    assert (again.status, again.body) == (304, b"")


@pytest.mark.usefixtures("built")
def test_nothing_may_be_loaded_from_elsewhere() -> None:
    policy = get("/ui/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


@pytest.mark.usefixtures("built")
def test_the_description_of_the_api_is_a_page_of_ours() -> None:
    answer = get("/docs")
    assert (answer.status, answer.body) == (200, b"<!doctype html>operations")
    assert "http" not in answer.headers["content-security-policy"]


def test_the_description_of_the_api_names_no_foreign_host() -> None:
    for file in DOCS.iterdir():
        assert "//" not in file.read_text().replace("// Shows", ""), file.name


@pytest.mark.parametrize(
    "path",
    ["../secret", "assets/../../secret", "assets", "", "index.html.gz", "a\0b", "x" * 5000, "/etc/passwd"],
    ids=["above", "above by a folder", "a folder", "nothing", "packed", "NUL", "long", "absolute"],
)
def test_only_files_of_the_interface_are_given_out(built: Path, path: str) -> None:
    (built.parent / "secret").write_text("no")
    assert interface.static_file(path, built) is None


def test_a_missing_hashed_file_is_an_error_and_not_a_page(built: Path) -> None:
    (built / "assets" / "index-abc.js").unlink()
    with pytest.raises(NotFound, match="reload"):
        get("/ui/assets/index-abc.js")


def test_a_checkout_without_the_build_says_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interface, "STATIC", tmp_path / "static")
    for path in ("/ui/", "/docs"):
        answer = get(path)
        assert answer.status == 503
        assert b"make ui" in answer.body
