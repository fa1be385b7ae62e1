"""How does a model's command say a tuning, so that everything else in it stays as a person wrote it?

Values are replaced in their place; a flag that is missing comes at the end, where it also overrides what a macro says.
A comment line above the first change tells what was measured.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from claracore.core.config.command import SpannedWord, spanned
from claracore.core.tune.tuning import Tuning

THREADS = ("--threads", "-t")
THREADS_BATCH = ("--threads-batch", "-tb")
BATCH = ("--batch-size", "-b")
MICRO_BATCH = ("--ubatch-size", "-ub")
CPU_EXPERTS = ("--n-cpu-moe", "-ncmoe")
ALL_EXPERTS = ("--cpu-moe", "-cmoe")
FLASH_ATTENTION = ("--flash-attn", "-fa")
SWITCHED = frozenset({"on", "off", "auto", "true", "false", "enabled", "disabled", "0", "1"})
TUNED = "# tuned"
OLD_NOTE = re.compile(rf"^[ \t]*{TUNED}\b.*\n?", re.MULTILINE)
DEFAULT_BATCH = 2048


def tuned_command(command: str, tuning: Tuning, *, note: str = "", switch_has_value: bool = True) -> str:
    """Return a command with a tuning in it; `note` becomes a comment line in place of an earlier one.

    `switch_has_value`: whether the engine wants `--flash-attn on` rather than `--flash-attn`. Raises ValueError for a
    command that cannot be split.
    """
    text = _CommandText(OLD_NOTE.sub("", command) if note else command)
    if tuning.threads is not None:
        text.put(THREADS, str(tuning.threads))
        if text.value(THREADS_BATCH) is not None:
            text.put(THREADS_BATCH, str(tuning.threads))
    if tuning.micro_batch is not None:
        if tuning.micro_batch > int(text.value(BATCH) or DEFAULT_BATCH):
            text.put(BATCH, str(tuning.micro_batch))
        text.put(MICRO_BATCH, str(tuning.micro_batch))
    if tuning.cpu_experts is not None:
        text.take_out(ALL_EXPERTS)
        text.put(CPU_EXPERTS, str(tuning.cpu_experts))
    if tuning.flash_attention is not None:
        text.switch(FLASH_ATTENTION, on=tuning.flash_attention, has_value=switch_has_value)
    return text.result(note)


def number_in(command: str, names: Sequence[str]) -> int | None:
    """Return the number behind the last of the flags `names`; None without one. Raises ValueError."""
    value = _CommandText(command).value(names)
    return int(value) if value is not None else None


@dataclass(frozen=True, slots=True)
class _Edit:
    start: int
    end: int
    text: str


class _CommandText:
    """A command under change: positions are those of the text as it was."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.words = spanned(text)
        self.edits: list[_Edit] = []
        self.added: list[str] = []

    def value(self, names: Sequence[str]) -> str | None:
        """Return the value of the last of these flags; None without one."""
        found = self._value_word(names)
        if found is None:
            return None
        name, equals, value = found.text.partition("=")
        return value if equals and name in names else found.text

    def put(self, names: Sequence[str], value: str) -> None:
        """Give the flag a value: the last one that there is, which counts, or one at the end."""
        found = self._value_word(names)
        if found is None:
            self.added.append(f"{names[0]} {value}")
        elif found.text.partition("=")[0] in names:
            self.edits.append(_Edit(found.start, found.end, f"{found.text.partition('=')[0]}={value}"))
        else:
            self.edits.append(_Edit(found.start, found.end, value))

    def switch(self, names: Sequence[str], *, on: bool, has_value: bool) -> None:
        """Turn a flag on or off that is a switch with older engines, and has a value with newer ones."""
        found = next((place for place in reversed(range(len(self.words))) if self.words[place].text in names), None)
        following = self.words[found + 1] if found is not None and found + 1 < len(self.words) else None
        if not has_value:
            if found is not None and not on:
                self.take_out(names)
            elif found is None and on:
                self.added.append(names[0])
        elif following is not None and following.text in SWITCHED:
            self.edits.append(_Edit(following.start, following.end, "on" if on else "off"))
        elif found is not None:
            self.edits.append(_Edit(self.words[found].end, self.words[found].end, " on" if on else " off"))
        else:
            self.added.append(f"{names[0]} {'on' if on else 'off'}")

    def take_out(self, names: Sequence[str]) -> None:
        """Take out a flag without a value, wherever it is."""
        self.edits += [_Edit(word.start, word.end, "") for word in self.words if word.text in names]

    def result(self, note: str) -> str:
        """Return the text with all changes, and the note above the first."""
        text = self.text
        first = min((edit.start for edit in self.edits), default=None)
        for edit in sorted(self.edits, key=lambda edit: -edit.start):
            text = text[: edit.start] + edit.text + text[edit.end :]
        comment = f"{TUNED}: {note}\n" if note else ""
        if first is not None:
            line = text.rfind("\n", 0, first) + 1
            indent = text[line : len(text) - len(text[line:].lstrip(" \t"))]
            return self._with_added(text[:line] + (indent + comment if comment else "") + text[line:], "")
        return self._with_added(text, comment) if self.added else text

    def _with_added(self, text: str, comment: str) -> str:
        if not self.added:
            return text
        body = text.rstrip()
        if "\n" not in body and not comment:
            return " ".join([body, *self.added]) + text[len(body) :]
        return body + "\n" + comment + "\n".join(self.added) + "\n"

    def _value_word(self, names: Sequence[str]) -> SpannedWord | None:
        """Return the word that has the value of the last of these flags: the one behind it, or `--flag=value`."""
        for place in reversed(range(len(self.words))):
            word = self.words[place]
            if word.text in names and place + 1 < len(self.words):
                return self.words[place + 1]
            if "=" in word.text and word.text.partition("=")[0] in names:
                return word
        return None
