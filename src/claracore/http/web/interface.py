"""Which bytes does a browser get at `/docs` and below `/ui`?

The files of `web/static`, which `tools/build_ui.py` makes; a checkout without them gets a page that says what to run.
Names below `/ui/assets` carry a hash of their content and are kept for a year; everything else is asked for each time
and answered with 304 when it is the same. A path that is no file is a page of the interface: it gets the entry file,
and the interface reads the path. Nothing here knows about models.
"""

from __future__ import annotations

import hashlib
import mimetypes
from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from claracore.errors import NotFound

router = APIRouter(include_in_schema=False)

STATIC = Path(__file__).with_name("static")
YEAR_SECONDS = 365 * 24 * 3600

# Only our own files run, and nothing is fetched from elsewhere. Images and sound may be data: and blob: because people
# put them into a chat; styles of the configuration editor live in a shadow root as adopted sheets, which need no
# exception. Workers are scripts.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src data: blob:; "
    "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SAFE_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

NOT_BUILT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>ClaraCore</title>
<h1>ClaraCore is running, its web interface is not built yet</h1>
<p>This is a source checkout. Build the interface once, then reload this page:</p>
<pre>make ui</pre>
<p>It uses the Node.js of this machine, or one from PyPI if there is none. The API works without it:
<a href="/v1/models">/v1/models</a>, <a href="/running">/running</a>, <a href="/api/ports">/api/ports</a>, and
everything in <a href="/openapi.json">/openapi.json</a>.</p>
</html>
"""


@router.api_route("/ui", methods=["GET", "HEAD"])
def entry() -> RedirectResponse:
    """Lead to the interface."""
    return RedirectResponse("/ui/", 302)


@router.api_route("/favicon.ico", methods=["GET", "HEAD"])
@router.api_route("/apple-touch-icon.png", methods=["GET", "HEAD"])
def icon() -> RedirectResponse:
    """Lead to the icon, for those who ask where icons used to be."""
    return RedirectResponse("/ui/favicon.svg", 302)


@router.api_route("/docs", methods=["GET", "HEAD"])
def operations(request: Request) -> Response:
    """Answer with the page that describes the API; its files are ours too (`ui/public/docs`)."""
    return _page(request, "docs/index.html")


@router.api_route("/ui/{path:path}", methods=["GET", "HEAD"])
def interface(request: Request, path: str) -> Response:
    """Answer with a file of the interface, or with its entry file. Raises NotFound for a file that is not there."""
    if ".." in path.split("/"):
        raise NotFound(f"no such file: /ui/{path}")
    file = static_file(path)
    if file is not None:
        return _file(request, file)
    if path.startswith("assets/"):
        raise NotFound(f"no such file: /ui/{path}; the interface was updated, reload the page")
    return _page(request, "index.html")


def _page(request: Request, path: str) -> Response:
    page = static_file(path)
    if page is None:
        return Response(NOT_BUILT, 503, SAFE_HEADERS | {"Cache-Control": "no-store"}, "text/html")
    return _file(request, page, getattr(request.state, "base_path", ""))


def static_file(path: str, root: Path | None = None) -> Path | None:
    """Return the file below the built interface that a path names; None for folders, strangers and what is not there.

    >>> static_file("../interface.py") is None
    True
    """
    folder = (root or STATIC).resolve()
    try:
        found = (folder / path).resolve()
        ours = found.is_relative_to(folder) and found.suffix != ".gz" and found.is_file()
    except (OSError, ValueError):  # a name too long, or with a NUL
        return None
    return found if ours else None


def _file(request: Request, file: Path, base_path: str = "") -> Response:
    """Answer with a file; a page names what belongs to it below `base_path`."""
    hashed = file.parent.name == "assets"
    packed = file.with_name(file.name + ".gz")
    squeezed = not base_path and packed.is_file() and "gzip" in request.headers.get("accept-encoding", "")
    body = (packed if squeezed else file).read_bytes()
    if base_path:
        body = body.replace(b'="/ui/', f'="{base_path}/ui/'.encode())
    headers = SAFE_HEADERS | {
        "Cache-Control": f"public, max-age={YEAR_SECONDS}, immutable" if hashed else "no-cache",
        "ETag": f'"{hashlib.sha256(body).hexdigest()[:20]}"',
        "Vary": "Accept-Encoding",
    }
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    if squeezed:
        headers["Content-Encoding"] = "gzip"
    media = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return Response(body, 200, headers, media)
