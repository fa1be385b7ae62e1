"""What in a command would a shell have read in another way?

No shell is involved in starting a model, so variables, redirections and the like reach the program as they are written.
That is rarely meant. No command is changed: each habit is returned with its way out. What stands in quotes, and the
script of a `sh -c`, is taken as meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from claracore.core.config.command import Word, words_of
from claracore.core.config.prefixes import name_of, script_at

OTHER_SHELLS = frozenset({"ssh", "wsl", "cmd", "powershell", "pwsh"})
"""They hand the rest of their words to a shell, elsewhere or of another kind."""
BUILTINS = frozenset({"cd", "export", "source", ".", "ulimit", "umask", "set", "unset", "eval", "alias", "exec"})
ONLY_PORT = re.compile(r"\$\{(?:PORT|SOCKET|PID)\}")
SIGNS = re.compile(r"[&|;<>~`$*]|^\s*(?:\w+=|\.\s|(?:cd|export|source|ulimit|umask|set|unset|eval|alias|exec)\s)")
"""Without one of these in its text a command has no such habit."""
ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=")
REDIRECTION = re.compile(r"(?:\d*|&)>>?&?(?!\|)|\d*<(?=[\w./~-]*$)")  # not <|im_end|>, nor <s>
VARIABLE = re.compile(r"\$([A-Za-z_]\w*)")
SUBSTITUTION = re.compile(r"\$\(|`")
HOME = re.compile(r"(?:^|=)~(?:/|$)")
LATE_NAMES = frozenset({"PORT", "SOCKET", "PID"})


class Habit(NamedTuple):
    """Something that only a shell understands, and what to write instead."""

    found: str
    way_out: str


def habits_in(cmd: str) -> list[Habit]:
    """Return what in a command is written for a shell, each kind once. Raises ValueError as `split` does."""
    if SIGNS.search(ONLY_PORT.sub("", cmd)) is None:
        return []
    words = words_of(cmd)
    if any(name_of(word.text.lower()) in OTHER_SHELLS for word in words[:4]):
        return []
    found = [*_of_the_beginning(words)]
    if (script := script_at([word.text for word in words])) is not None:
        del words[script]
    return [*found, *_of_the_words(words)]


def _of_the_beginning(words: Sequence[Word]) -> Iterator[Habit]:
    first = words[0] if words else Word("", "", "")
    if (variable := ASSIGNMENT.match(first.bare)) is not None:
        name = variable[1]
        yield Habit(f"no shell is involved: {name}=... at its beginning is no variable", f'write `env: ["{name}=..."]`')
    elif first.bare in BUILTINS:
        yield Habit(f"no shell is involved, and {first.bare!r} is no program", "write `sh -c '... && exec SERVER ...'`")


def _of_the_words(words: Sequence[Word]) -> Iterator[Habit]:
    kinds = set()
    for word in words:
        for kind, habit in _of_one(word):
            if kind not in kinds:
                kinds.add(kind)
                yield habit


def _of_one(word: Word) -> Iterator[tuple[str, Habit]]:
    text, bare = word.text, word.bare
    if bare == text and (bare in {"&", "&&", "||", "|", ";", "|&"} or (bare[-1:] == ";" and "=" not in bare)):
        yield "operator", _operator(bare)
    elif (sign := REDIRECTION.match(bare)) is not None and text.startswith(sign[0]):
        way_out = "remove it; what the server prints is kept: `claracore logs MODEL`"
        yield "redirection", Habit(f"no shell is involved: {text[:40]!r} reaches the program as a word", way_out)
    if HOME.search(text) is not None:
        way_out = "write the whole path, or ${env.HOME}"
        yield "home", Habit(f"no shell is involved: the ~ in {text[:40]!r} is not your home folder", way_out)
    if (variable := VARIABLE.search(word.live)) is not None:
        name = variable[1]
        way_out = f"write ${{{name}}}" if name in LATE_NAMES else f"write ${{env.{name}}}, or the whole value"
        if name == "HOME":
            way_out = "write the whole path, or ${env.HOME}"
        yield "variable", Habit(f"no shell is involved: ${name} stays as it is", way_out)
    if SUBSTITUTION.search(word.live) is not None:
        way_out = "write what it gives, or `sh -c 'exec SERVER ...'`"
        yield "substitution", Habit(f"no shell is involved: {text[:40]!r} stays as it is", way_out)
    if "*" in bare and text.endswith(".gguf"):
        yield "pattern", Habit(f"no shell is involved: {text[:80]!r} stands for no file", "write the whole path")


def _operator(sign: str) -> Habit:
    found = f"no shell is involved: {sign!r} reaches the program as a word"
    if sign == "&":
        return Habit(found, "remove it; the server stays in the foreground, and ClaraCore does not wait for its end")
    if sign in {"|", "|&"}:
        return Habit(found, "remove what follows; what the server prints is kept: `claracore logs MODEL`")
    return Habit(found, "write only the server's command, or `sh -c '... && exec SERVER ...'`")
