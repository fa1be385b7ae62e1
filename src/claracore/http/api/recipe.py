"""How is a recipe read, and how do address, model and key get into it?

Pure. A recipe is Markdown behind a few lines `name: value`. `${address}`, `${model}`, `${key}`, `${context}` and
`${output}` in it are places to fill in; whatever else looks like that belongs to the program. A block of code may say
behind its language into which file it goes: ```` ```toml ~/.codex/config.toml ````. What stands between
`<!-- embedding -->` and `<!-- end -->` is for models of that kind.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["chat", "embedding", "reranker"]
PLACES: Final = re.compile(r"\$\{(address|model|key|context|output)\}")
LONGEST_OUTPUT: Final = 8192
_BLOCK = re.compile(r"^```(\S*)[ ]?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PART = re.compile(r"<!-- (\w+) -->\n(.*?)<!-- end -->\n", re.DOTALL)
SHELLS: Final = frozenset({"sh", "bash"})


@dataclass(frozen=True, slots=True)
class Filling:
    """What is filled in."""

    address: str = "http://127.0.0.1:5800"
    """Without a slash at its end."""
    model: str = "MODEL"
    key: str = "none"
    context: int = 32768
    """Tokens."""

    @property
    def output(self) -> int:
        """The longest answer that a program is to plan for, in tokens; some take it off the context."""
        return min(LONGEST_OUTPUT, self.context // 2)

    def of(self, place: str) -> str:
        """Return what goes into a place."""
        return str(getattr(self, place))


@dataclass(frozen=True, slots=True)
class CodeBlock:
    """A block of code of a recipe."""

    language: str
    file: str
    """Where it goes; empty for what is typed."""
    code: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one program is made to use this server."""

    name: str
    title: str
    about: str
    """What the program is, in a few words."""
    group: str
    """Among which others it is shown."""
    kinds: tuple[Kind, ...]
    """With which kinds of models it does something."""
    text: str
    """Markdown with places."""

    def blocks(self) -> list[CodeBlock]:
        """Return its blocks of code, with places."""
        return [CodeBlock(*found) for found in _BLOCK.findall(self.text)]


def read(name: str, written: str) -> Recipe:
    """Return the recipe that a file has. Raises ValueError for what is none."""
    head, separator, text = written.partition("\n\n")
    named = dict(line.split(": ", 1) for line in head.splitlines() if ": " in line)
    if not separator or {"title", "about", "group"} - named.keys():
        raise ValueError(f"the recipe {name!r} does not begin with title, about and group")
    kinds = tuple(_kind(word) for word in named.get("kinds", "chat").split(", "))
    return Recipe(name, named["title"], named["about"], named["group"], kinds, text.strip() + "\n")


def _kind(word: str) -> Kind:
    match word:
        case "chat" | "embedding" | "reranker":
            return word
    raise ValueError(f"{word!r} is no kind of model")


def part_for(text: str, kind: Kind | None) -> str:
    """Return what of a text is for a kind of models; None is for all of them."""
    return _PART.sub(lambda found: found[2] if kind in {None, found[1]} else "", text)


def filled(text: str, filling: Filling) -> str:
    """Return a recipe's text with everything in its place, such that what is pasted means the same wherever it goes."""
    done, position = [], 0
    for found in _BLOCK.finditer(text):
        done.append(PLACES.sub(lambda place: filling.of(place[1]), text[position : found.start(3)]))
        done.append(filled_code(found[1], found[3], filling))
        position = found.end(3)
    done.append(PLACES.sub(lambda place: filling.of(place[1]), text[position:]))
    return "".join(done)


def filled_code(language: str, code: str, filling: Filling) -> str:
    """Return a block with everything in its place, quoted as its language asks for it."""
    pieces, position = [], 0
    quoted = _quoted(language, code)
    for found in PLACES.finditer(code):
        pieces += [code[position : found.start()], quoted(found.start(), filling.of(found[1]))]
        position = found.end()
    return "".join([*pieces, code[position:]])


def _quoted(language: str, code: str) -> Callable[[int, str], str]:
    """Return what writes a value at a position. All languages but the shell's have it in a string, as JSON has."""
    if language not in SHELLS:
        return lambda _position, value: json.dumps(value, ensure_ascii=False)[1:-1]
    single = list(_in_single_quotes(code))

    def write(position: int, value: str) -> str:
        if single[position]:
            return json.dumps(value, ensure_ascii=False)[1:-1].replace("'", "'\\''")
        return shlex.quote(value)

    return write


def _in_single_quotes(code: str) -> Iterator[bool]:
    inside = False
    for character in code:
        inside ^= character == "'"
        yield inside
