"""How does ClaraCore keep something small from one start to the next that it can also do without?

In one JSON file of its own, read and written as a whole. What is missing, damaged, larger than such a file ever is, or
of another version, is nothing; where the disk refuses, what should be in the file is known for as long as the object
lives. The log says either once, and with what consequence.

Not for what may not be lost in silence, as keys and the machines that have joined: there a damaged file is an error.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import msgspec

from claracore.core.units import MIB
from claracore.host.disk import keep, keep_private, private_folder
from claracore.host.locks import locked

LARGEST_BYTES: Final = 16 * MIB
PATIENCE_SECONDS: Final = 1.0
_DAMAGE: Final = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
"""What the reading of any bytes as JSON, and of any JSON as something else, may raise."""
_logged: dict[Path, str] = {}
"""What the log has said last of each file, until it was written again."""

Content = TypeVar("Content")
logger = logging.getLogger("claracore.state")


def typed(kind: type[Content]) -> Callable[[Any], Content]:
    """Return what reads plain data as a type that msgspec knows; a `Path` is text."""
    return partial(msgspec.convert, type=kind, dec_hook=_path)


def plain(content: object) -> Any:  # noqa: ANN401 - whatever JSON can be
    """Return plain data, which `typed` reads."""
    return msgspec.to_builtins(content, enc_hook=_text)


class StateFile(Generic[Content]):
    """One file; for any thread, and for several processes at a time. Every method blocks for the disk."""

    def __init__(
        self,
        path: Path | None,
        decode: Callable[[Any], Content],
        *,
        without: str,
        encode: Callable[[Content], Any] = plain,
        version: int | None = None,
        flush: bool = False,
        private: bool = True,
    ) -> None:
        """Without a path the content is in memory only.

        `decode` may raise what is in `_DAMAGE`. `without` says, after "at the next start", what happens without the
        file. A file whose `version` is another one is nothing. `flush`, `private`: as `disk.keep` and `keep_private`.
        """
        self.path = path
        self._decode = decode
        self._encode = encode
        self._without = without
        self._version = version
        self._flush = flush
        self._keep = keep_private if private else keep
        self._unwritten: Content | None = None
        """What should be in the file."""
        self._turn = threading.Lock()

    def read(self) -> Content | None:
        """Return what is kept; None where nothing is, or nothing that can be used."""
        if self._unwritten is not None or self.path is None:
            return self._unwritten
        try:
            found = json.loads(_content(self.path))
            if self._version is not None and found["version"] != self._version:
                return None
            return self._decode(found)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, *_DAMAGE) as error:
            _log_once(self.path, f"{self.path} cannot be read ({_reason(error)}): {self._without}")
            return None

    def write(self, content: Content) -> None:
        """Have this be in the file, at once and whole. Raises OSError; then the file is as it was."""
        if self.path is None:
            self._unwritten = content
            return
        self._keep(self.path, json.dumps(self._encode(content), indent=1).encode(), flush=self._flush)
        self._written(self.path)

    def save(self, content: Content) -> None:
        """Have this be in the file or, where the disk refuses, in memory."""
        try:
            self.write(content)
        except OSError as error:
            self._unwritten = content
            _log_once(self.path, f"{self.path} cannot be written ({_reason(error)}): at the next start {self._without}")

    def change(self, edit: Callable[[Content | None], Content]) -> Content:
        """Save what `edit` makes of what is kept, and return it; no other process changes it meanwhile.

        One that has the lock for more than a second (it is frozen) may lose its change by ours.
        """
        with self._turn, ExitStack() as stack:
            if self.path is not None:
                with suppress(OSError):  # where no lock can be, nothing can be written, which is said then
                    private_folder(self.path.parent)
                    stack.enter_context(locked(self.path.with_suffix(".lock"), patience_seconds=PATIENCE_SECONDS))
            content = edit(self.read())
            self.save(content)
        return content

    def remove(self) -> None:
        """Have no file. Raises OSError."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
            self._written(self.path)
        self._unwritten = None

    def _written(self, path: Path) -> None:
        self._unwritten = None
        _logged.pop(path, None)


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        raw = file.read(LARGEST_BYTES + 1)
    if len(raw) > LARGEST_BYTES:
        raise ValueError(f"more than {LARGEST_BYTES // MIB} MiB")
    return raw


def _reason(error: BaseException) -> str:
    """Return what is wrong, in one line."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def _log_once(path: Path | None, message: str) -> None:
    if path is not None and _logged.get(path) != message:
        _logged[path] = message
        logger.warning("%s", message)


def _text(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(type(value))


def _path(kind: type, value: Any) -> Any:  # noqa: ANN401 - as msgspec calls it
    if kind is Path:
        return Path(value)
    raise NotImplementedError(kind)
