"""With which token does the hub know us?

HF_TOKEN first, then the one that was given to ClaraCore, then the one that `hf auth login` has left. A token is shown
to nobody, written to no log, and kept in a file that only its owner may read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from claracore.errors import BadRequest, ClaraCoreError, disk_full
from claracore.host.disk import keep_private

FILE: Final = "hub-token"
VARIABLES: Final = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
LONGEST: Final = 1_000
STORED: Final = "the one stored in ClaraCore"


class TokenUnusable(ClaraCoreError):
    """The token cannot be kept."""

    code = "file_unusable"
    cause = "The hub's token cannot be kept in its file."
    way_out = "Correct the rights of the folder that the message names, or set `HF_TOKEN`."


@dataclass(frozen=True, slots=True)
class HubToken:
    """A secret, and where it comes from, for messages."""

    value: str = field(repr=False)
    source: str


class HubTokens:
    """Looks for a token each time that one is needed, so that a new one counts at once."""

    def __init__(self, state_dir: Path | None, environ: Mapping[str, str]) -> None:
        self._path = state_dir / FILE if state_dir is not None else None
        self._kept = ""
        """The one that was given, where there is no folder to keep it in."""
        self._environ = environ

    def find(self) -> HubToken | None:
        """Return the token that counts now; None without one."""
        for name in VARIABLES:
            if value := printable_token(self._environ.get(name, "")):
                return HubToken(value, name)
        if self._kept:
            return HubToken(self._kept, STORED)
        for path, source in ((self._path, STORED), (self._login_file(), "of `hf auth login`")):
            if path is not None and (value := _read(path)):
                return HubToken(value, source)
        return None

    def keep(self, value: str) -> None:
        """Store a token; an empty one forgets what was stored. Raises BadRequest, TokenUnusable, DiskFull."""
        value = value.strip()
        if value and not printable_token(value):
            raise BadRequest("a token is one word of printable characters", param="apiKey")
        if self._path is None:
            self._kept = value
            return
        try:
            if not value:
                self._path.unlink(missing_ok=True)
                return
            keep_private(self._path, value.encode("ascii"))
        except OSError as error:
            raise disk_full(self._path, error) or TokenUnusable(
                f"{self._path} cannot be written: {error.strerror or error}"
            ) from error

    def _login_file(self) -> Path | None:
        """Return where huggingface_hub keeps the token, by its own rules."""
        environ = self._environ
        if given := environ.get("HF_TOKEN_PATH"):
            return Path(os.path.expanduser(given))  # noqa: PTH111 - Path's raises for a user without a home
        if home := environ.get("HF_HOME"):
            return Path(os.path.expanduser(home)) / "token"  # noqa: PTH111 - as above
        try:
            cache = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        except RuntimeError:  # a user without a home
            return None
        return cache / "huggingface" / "token"


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return printable_token(file.read(LONGEST).decode("ascii", "replace"))
    except OSError:
        return ""


def printable_token(text: str) -> str:
    """Return a token that may stand in a header; empty for anything else."""
    text = text.strip()
    printable = text.isascii() and text.isprintable() and not any(letter.isspace() for letter in text)
    return text if printable and len(text) <= LONGEST else ""
