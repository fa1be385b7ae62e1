"""Which argument list does a model's command line stand for, and where does its port go?

`cmd` is text until the model starts: `${PORT}`, `${SOCKET}` and (in cmdStop) `${PID}` are bound only then, because
only then they are certain. No shell is involved. Splitting comes first and binding second, so that a socket path with
a space stays one argument.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from claracore.core.config.model import ModelConfig

EMBEDDING_FLAGS = frozenset({"--embedding", "--embeddings"})
RANKING_FLAGS = frozenset({"--rerank", "--reranking"})
"""Flags of llama-server that make an embedder or a reranker of a model."""
LATE = re.compile(r"\$\{(PORT|SOCKET|PID)\}")
COMMENT_LINE = re.compile(r"^[ \t]*#.*\n?", re.MULTILINE)
LINE_JOIN = re.compile(r"\\[ \t]*\r?\n")
POSIX_PIECE = re.compile(r"""[^\s'"\\]+|'[^']*'|"(?:[^"\\]|\\.)*"|\\.|\s+""", re.DOTALL)
WINDOWS_PIECE = re.compile(r'[^\s"]+|"[^"]*"|\s+')
# POSIX, "Double-Quotes": before any other sign the backslash stays.
IN_DOUBLE_QUOTES = re.compile(r'\\(["\\$`])')
PROTECTED = re.compile(r"\\.", re.DOTALL)


def without_comments(cmd: str) -> str:
    """Drop the lines of `cmd` that start with #."""
    return COMMENT_LINE.sub("", cmd) if "#" in cmd else cmd


class Word(NamedTuple):
    """One argument, and which of its signs a shell would have taken for its own."""

    text: str
    """What the program gets."""
    bare: str
    """The part outside of quotes, without what a backslash protects."""
    live: str
    """... and the part in double quotes, where a shell would still put variables in place."""


def split(cmd: str, *, windows: bool = False) -> list[str]:
    """Split a command line into arguments.

    Lines that start with # are dropped, a backslash at the end of a line joins it with the next. Quotes and
    backslashes are POSIX's; with `windows`, only double quotes group and a backslash is an ordinary character. Raises
    ValueError for a quote that is not closed or a backslash at the very end.
    """
    words: list[str] = []
    word: str | None = None
    for part in _pieces(cmd, windows=windows):
        if part[0].isspace():
            if word is not None:
                words.append(word)
            word = None
        else:
            word = (word or "") + _unquoted(part, windows=windows)
    return words if word is None else [*words, word]


def words_of(cmd: str) -> list[Word]:
    """Split a command line as `split` does, and tell what of each argument is quoted. Raises what `split` raises."""
    words: list[Word] = []
    within = False
    for part in _pieces(cmd, windows=False):
        if part[0].isspace():
            within = False
            continue
        bare = "" if part[0] in "\"'\\" else part
        piece = Word(_unquoted(part, windows=False), bare, PROTECTED.sub("", part[1:-1]) if part[0] == '"' else bare)
        if within:
            last = words.pop()
            piece = Word(last.text + piece.text, last.bare + piece.bare, last.live + piece.live)
        words.append(piece)
        within = True
    return words


class SpannedWord(NamedTuple):
    """One argument, and where it stands in the text of the command: offsets, the end excluded."""

    text: str
    start: int
    end: int


def spanned(cmd: str) -> list[SpannedWord]:
    """Split a command line as `split` does, and tell where each argument stands. Raises what `split` raises."""
    blank = LINE_JOIN.sub(_blanks, COMMENT_LINE.sub(_blanks, cmd))
    spans: list[tuple[int, int]] = []
    at, within = 0, False
    for part in _matched(blank, POSIX_PIECE):
        start, at = at, at + len(part)
        if part[0].isspace():
            within = False
        else:
            spans.append((spans.pop()[0] if within else start, at))
            within = True
    return [SpannedWord(text, start, end) for text, (start, end) in zip(split(cmd), spans, strict=True)]


def open_quotation(beginning: str) -> str:
    """Return the sign of the quotation that the beginning of a command line leaves open; empty when it leaves none."""
    at = 0
    while (match := POSIX_PIECE.match(beginning, at)) is not None:
        at = match.end()
    return beginning[at : at + 1].strip("\\")


def _blanks(match: re.Match[str]) -> str:
    """Return as many blanks, with the line ends that there were."""
    return re.sub(r"[^\n]", " ", match[0])


def _pieces(cmd: str, *, windows: bool) -> Iterator[str]:
    """Give the spaces, quotations, escapes and plain texts of a command line, in their order."""
    return _matched(LINE_JOIN.sub(" ", without_comments(cmd)), WINDOWS_PIECE if windows else POSIX_PIECE)


def _matched(text: str, piece: re.Pattern[str]) -> Iterator[str]:
    at = 0
    while at < len(text):
        match = piece.match(text, at)
        if match is None:
            found = text[at : at + 20]
            raise ValueError(
                f"the quotation that begins at {found!r} is not closed"
                if found[0] in "'\""
                else "a backslash at the end"
            )
        yield match[0]
        at = match.end()


def _unquoted(part: str, *, windows: bool) -> str:
    if part[0] == '"':
        return part[1:-1] if windows else IN_DOUBLE_QUOTES.sub(r"\1", part[1:-1])
    if windows:
        return part
    if part[0] == "'":
        return part[1:-1]
    return part[1:] if part[0] == "\\" else part


@dataclass(frozen=True, slots=True)
class Bound:
    """A model's texts with its port, socket and process id in place; `stop_argv` is empty when there is no cmdStop."""

    argv: tuple[str, ...]
    stop_argv: tuple[str, ...]
    env: dict[str, str]
    proxy: str
    check_endpoint: str


def bind(
    model: ModelConfig,
    *,
    port: int | None = None,
    socket: str | None = None,
    pid: int | None = None,
    windows: bool = False,
) -> Bound:
    """Return the model's command, stop command, environment, proxy and check path with the late macros in place.

    What is not given stays as it is written (`${PID}` before the start). Raises ValueError if a command cannot be
    split, which `load` has reported before.
    """
    known = {
        name: str(value) for name, value in (("PORT", port), ("SOCKET", socket), ("PID", pid)) if value is not None
    }
    fill = _filler(known)
    return Bound(
        argv=tuple(fill(argument) for argument in split(model.cmd, windows=windows)),
        stop_argv=tuple(fill(argument) for argument in split(model.cmd_stop, windows=windows)),
        env={name: fill(value) for name, _, value in (entry.partition("=") for entry in model.env)},
        proxy=fill(model.proxy),
        check_endpoint=fill(model.check_endpoint),
    )


def in_place(value: Any, *, port: int | None = None, socket: str | None = None) -> Any:  # noqa: ANN401 - plain data
    """Return plain data (a model's metadata) with port and socket in place; exactly `${PORT}` becomes the number."""
    known = {name: str(part) for name, part in (("PORT", port), ("SOCKET", socket)) if part is not None}
    fill = _filler(known)

    def inside(part: Any) -> Any:  # noqa: ANN401 - plain data
        match part:
            case "${PORT}" if port is not None:
                return port
            case str():
                return fill(part)
            case dict():
                return {key: inside(child) for key, child in part.items()}
            case list():
                return [inside(child) for child in part]
            case _:
                return part

    return inside(value)


def _filler(known: dict[str, str]) -> Callable[[str], str]:
    return lambda text: LATE.sub(lambda match: known.get(match[1], match[0]), text) if "${" in text else text


def uses_port(model: ModelConfig) -> bool:
    """Tell whether the model is to be given a TCP port."""
    return "${PORT}" in model.cmd and model.transport == "tcp"
