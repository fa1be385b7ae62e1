"""What does GitHub's API say of a project's releases?

Read as data from a stranger: another shape is an error, lists are bounded, and an asset whose name, size or address
could not be used is not in the result. GitHub, "REST API endpoints for releases": `tag_name`, `prerelease`, `draft`,
`published_at`, `assets[]` with `name`, `size`, `digest` (`sha256:...`, since June 2025), `browser_download_url`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, TypeVar
from urllib.parse import urlsplit

import msgspec

from claracore.core.pull.reference import is_safe_path
from claracore.errors import ClaraCoreError

Kind = TypeVar("Kind")
MOST_ASSETS: Final = 1_000
"""GitHub's own limit for one release."""
LARGEST_BYTES: Final = 2 << 30
"""GitHub's own limit for one asset."""
_TAG: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,79}")
_DIGEST: Final = re.compile(r"sha256:([0-9a-f]{64})")


class WrongRelease(ClaraCoreError):
    """What should be releases is none, or not in their shape; 502."""

    status = 502
    code = "wrong_release"
    cause = "What should be a release is none, or not in a shape that is known."
    way_out = "Take another version; the message says what was read."


@dataclass(frozen=True, slots=True)
class ReleaseAsset:
    """One file of a release. `sha256` is None where the place does not say it: such a file is not installed."""

    name: str
    size: int
    """In bytes."""
    sha256: str | None
    url: str


@dataclass(frozen=True, slots=True)
class Release:
    """One release: its tag, and its files."""

    tag: str
    assets: tuple[ReleaseAsset, ...]
    prerelease: bool = False
    published_at: str = ""
    """As the place writes it (ISO 8601)."""

    def asset(self, name: str) -> ReleaseAsset | None:
        """Return the file of this name."""
        return next((asset for asset in self.assets if asset.name == name), None)


class _Asset(msgspec.Struct):
    name: str
    size: int
    browser_download_url: str
    digest: str | None = None
    state: str = "uploaded"


class _Release(msgspec.Struct):
    tag_name: str
    assets: list[_Asset]
    prerelease: bool = False
    draft: bool = False
    published_at: str | None = None


def releases_of(data: object) -> list[Release]:
    """Return the releases of one page of `/repos/OWNER/NAME/releases`, in its order. Raises WrongRelease."""
    return [_release(one) for one in _converted(data, list[_Release]) if not one.draft and _TAG.fullmatch(one.tag_name)]


def release_of(data: object) -> Release:
    """Return the one release of `/releases/latest` or `/releases/tags/TAG`. Raises WrongRelease."""
    found = _converted(data, _Release)
    if _TAG.fullmatch(found.tag_name) is None:
        raise WrongRelease(f"a release has a tag that cannot be used: {found.tag_name[:80]!r}")
    return _release(found)


def is_tag(text: str) -> bool:
    """Whether a text could be the tag of a release."""
    return _TAG.fullmatch(text) is not None and ".." not in text


def _converted(data: object, kind: type[Kind]) -> Kind:
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise WrongRelease(f"the answer is not in the shape of releases: {error}") from error


def _release(found: _Release) -> Release:
    if len(found.assets) > MOST_ASSETS:
        raise WrongRelease(f"{found.tag_name} has {len(found.assets)} files, more than a release can have")
    assets = tuple(_asset(asset) for asset in found.assets if _is_usable(asset))
    names = [asset.name for asset in assets]
    if len(set(names)) < len(names):
        raise WrongRelease(f"{found.tag_name} has two files with one name")
    return Release(found.tag_name, assets, found.prerelease, found.published_at or "")


def _is_usable(asset: _Asset) -> bool:
    parts = urlsplit(asset.browser_download_url) if len(asset.browser_download_url) < 2_000 else None
    is_address = parts is not None and parts.scheme in {"http", "https"} and bool(parts.netloc)
    is_name = "/" not in asset.name and is_safe_path(asset.name)
    return is_address and is_name and asset.state == "uploaded" and 0 < asset.size <= LARGEST_BYTES


def _asset(asset: _Asset) -> ReleaseAsset:
    digest = _DIGEST.fullmatch((asset.digest or "").lower())
    return ReleaseAsset(asset.name, asset.size, digest[1] if digest else None, asset.browser_download_url)
