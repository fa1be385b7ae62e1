"""How does the text of a command say another placement, so that everything else stays as it was typed?

Flags that say where a model lies, and with how much context, are taken out with the reasons that were generated above
them, and others are put in their places. A command of one line stays one; in one of several lines each flag gets a
line of its own below its reason.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from typing import Final

from claracore.core.config.command import SpannedWord, spanned
from claracore.core.config.word_lines import COMMENT, line_of, with_lines, without_words
from claracore.core.fit.command import is_reason, quoted
from claracore.core.fit.drafting import KIND_FLAG, PREDICTION
from claracore.core.fit.flags import Flag
from claracore.core.fit.server_flags import FLASH_ATTENTION, SWITCH_NAMES, VALUE_NAMES, WORDS_OF_A_SWITCH, behind_llama
from claracore.core.fit.yamltext import COMMENT_WIDTH, comment

PLACED_VALUES: Final = frozenset(
    {
        "context", "gpu_layers", "cpu_experts", "tensor_split", "device", "split_mode", "main_gpu", "cache_type_k",
        "cache_type_v", "batch", "micro_batch", "parallel", "override_tensor",
    }
)  # fmt: skip
PLACED_SWITCHES: Final = frozenset({"unified", "not_unified", "all_experts", "projector_in_ram", "full_window"})
DRAFTED_FLAG: Final = "--spec-draft-n-max"
OTHER_VALUES: Final = {
    "--ctx-checkpoints": "checkpoints", "--swa-checkpoints": "checkpoints", "-ctxcp": "checkpoints",
    "--cache-ram": "prompt_cache", "-cram": "prompt_cache",
}  # fmt: skip
"""Flags of what is kept in RAM later; they decide nothing when a model is loaded."""


class NoPlaceForFlags(ValueError):
    """A command in which flags cannot be exchanged: it runs a script, or a program that is no llama-server."""


def placed_name(word: str) -> str | None:
    """Return what a flag says of a placement, by one name for all its spellings; None for any other word."""
    flag = word.replace("_", "-") if word.startswith("--") else word  # as llama.cpp does
    flag = flag.partition("=")[0] if word.startswith("--") else flag
    value, switch = VALUE_NAMES.get(flag), SWITCH_NAMES.get(flag)
    if value in PLACED_VALUES:
        return value
    if switch in PLACED_SWITCHES:
        return switch
    return "flash_attention" if flag in FLASH_ATTENTION else OTHER_VALUES.get(flag)


def _predicting(words: Sequence[str]) -> frozenset[str]:
    """Return the flags by which a model drafts for itself, if it does: they come and go with where it lies."""
    predicts = (KIND_FLAG, PREDICTION) in pairwise(words)
    return frozenset({KIND_FLAG, DRAFTED_FLAG}) if predicts else frozenset()


def placed_flags(found: Sequence[Flag]) -> list[Flag]:
    """Return those of the flags that say where a model lies."""
    own = _predicting([word for flag in found for word in flag.words])
    return [flag for flag in found if placed_name(flag.words[0]) is not None or flag.words[0] in own]


def placed_words(cmd: str) -> list[str]:
    """Return the words of a command that say where its model lies. Raises ValueError (NoPlaceForFlags)."""
    return [word.text for part in _parts(spanned(cmd)) for word in part]


def says(cmd: str, found: Sequence[Flag]) -> bool:
    """Tell whether a command says the placement of these flags; what is kept in RAM later is no part of it."""
    try:
        written = _telling(_parts(spanned(cmd)))
    except ValueError:
        return False
    words = [SpannedWord(word, 0, 1) for flag in found for word in flag.words]
    return written == _telling(_placed(words))


def _telling(parts: Iterable[Sequence[SpannedWord]]) -> dict[str | None, str]:
    values = {placed_name(part[0].text): part[-1].text if len(part) > 1 else "" for part in parts}
    return {name: value for name, value in values.items() if name not in OTHER_VALUES.values()}


def with_flags(cmd: str, found: Sequence[Flag]) -> str:
    """Return the command with these flags in place of those that say where the model lies.

    Raises ValueError for a command that cannot be split, NoPlaceForFlags.
    """
    text = cmd.rstrip()
    words = spanned(text)
    taken = list(_parts(words))
    exchanged = _lines_exchanged if "\n" in text else _one_line
    return exchanged(text, taken, found) + cmd[len(text) :]


def with_placement_of(cmd: str, other: str) -> str:
    """Return `cmd` with the flags and the reasons that `other` has for where the model lies. Raises as `with_flags`."""
    words = spanned(other)
    lines = other.split("\n")
    found = []
    for number, parts in groupby(_parts(words), key=lambda part: line_of(other, part[0].start)):
        above = lines[_first_reason(lines, number) : number]
        reason = " ".join(line.strip().removeprefix("#").strip() for line in above)
        found.append(Flag(tuple(word.text for part in parts for word in part), reason))
    return with_flags(cmd, found)


def _parts(words: Sequence[SpannedWord]) -> Iterator[list[SpannedWord]]:
    """Yield each flag of a command that says where the model lies, with its value. Raises NoPlaceForFlags."""
    return _placed(words[_behind_program(words) :])


def _placed(words: Sequence[SpannedWord]) -> Iterator[list[SpannedWord]]:
    last: SpannedWord | None = None
    predicting = _predicting([word.text for word in words])
    for word, following in pairwise([*words, SpannedWord("", 0, 0)]):
        name = placed_name(word.text) or (word.text if word.text in predicting else None)
        if word is last or name is None:
            continue
        takes_value = name not in PLACED_SWITCHES and "=" not in word.text
        if name == "flash_attention":
            takes_value = following.text in WORDS_OF_A_SWITCH
        if takes_value and following.end:
            last = following
            yield [word, following]
        else:
            yield [word]


def _behind_program(words: Sequence[SpannedWord]) -> int:
    """Return where the arguments of the llama-server begin: `taskset -c 0-7` before it is not a context."""
    argv = [word.text for word in words]
    begin = behind_llama(argv)
    if begin is None and argv and "${" in argv[0]:
        begin = 1  # a macro starts it
    if begin is None:
        raise NoPlaceForFlags("its command is no plain command line of a llama-server")
    return begin


def _lines_exchanged(text: str, taken: Sequence[Sequence[SpannedWord]], found: Sequence[Flag]) -> str:
    """Exchange flags of a command in several lines."""
    lines = without_words(text, [word for part in taken for word in part])
    before = text.split("\n")
    at = {placed_name(part[0].text): line_of(text, part[0].start) for part in reversed(taken)}
    for number in {line_of(text, part[0].start) for part in taken}:
        if lines[number] is None:
            for above in range(_first_reason(before, number), number):
                lines[above] = None
    end = len(before)
    place = min(at.values(), default=end)
    added: defaultdict[int, list[str]] = defaultdict(list)
    for flag in found:
        place = at.get(placed_name(flag.words[0]), place)
        added[place] += [*comment(flag.reason, 0), " ".join(map(quoted, flag.words))]
    # What is put where a line stays (it had other words, too) goes behind it.
    shifted: defaultdict[int, list[str]] = defaultdict(list)
    for number, new in sorted(added.items()):
        shifted[number + (lines.get(number) is not None)] += new
    if end in shifted and lines.get(end - 1) is not None:
        lines[end - 1] = re.sub(r"[ \t]*\\[ \t]*$", "", str(lines[end - 1]))
    return with_lines(lines, shifted)


def _first_reason(lines: Sequence[str], number: int) -> int:
    """Return the first of the lines above `number` that are a generated reason; `number` itself for none.

    A reason is one sentence, wrapped: what a person has written above or below it does not belong to it.
    """
    first = number
    while first > 0 and COMMENT.match(lines[first - 1]):
        first -= 1
    for begin in range(first, number):
        if is_reason(lines[begin].strip().removeprefix("#").strip()):
            wrapped = all(_is_full(line, following) for line, following in pairwise(lines[begin:number]))
            return begin if wrapped else number
    return number


def _is_full(line: str, following: str) -> bool:
    """Tell whether a comment was wrapped behind this line: the next word had no room in it."""
    word = following.strip().removeprefix("#").split()[:1]
    return bool(word) and len(line.strip()) + 1 + len(word[0]) > COMMENT_WIDTH


def _one_line(text: str, taken: Sequence[Sequence[SpannedWord]], found: Sequence[Flag]) -> str:
    """Exchange flags of a command in one line."""
    new = " ".join(quoted(word) for flag in found for word in flag.words)
    if not taken:
        return f"{text} {new}".rstrip()
    first = taken[0][0].start
    kept = "".join(_between(text, [word for part in taken for word in part], first))
    return f"{text[:first]}{new}{kept}"


def _between(text: str, words: Sequence[SpannedWord], first: int) -> Iterator[str]:
    """Yield what stands between and behind the words that are taken out."""
    at = first
    for word in words:
        left = text[at : word.start].rstrip()
        yield f" {left.lstrip()}" if left.strip() else ""
        at = word.end
    yield text[at:]
