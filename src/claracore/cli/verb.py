"""What is a verb of the command line: what does it take, and how do the words that were typed get to its function?

Declared as values beside the function, read by argparse. A library that reads signatures (typer, with pydantic) takes
three times as long to import as everything else that `claracore ps` does.
"""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from claracore.cli.ending import USAGE, end
from claracore.cli.terminal import beside

NEAR = 0.7
"""How alike a word and a name must be (`difflib`'s ratio) for one to be meant by the other."""

SHIELD = "\0"
"""Before a word that begins with a dash and is no option; no word of a command line can hold it."""

Words = Callable[[str], Sequence[str]]
"""From what has been typed of a word to the words that it may become."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One parameter of a verb's function: an option when it has flags, else a word at its place."""

    about: str
    flags: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    """As `ArgumentParser.add_argument` takes them."""
    complete: Words | None = None
    """What the shell offers for it."""

    def add_to(self, parser: argparse.ArgumentParser, parameter: str) -> None:
        """Have `parser` read it as `parameter` of the function."""
        settings = {"help": self.about, **self.settings}
        if self.flags:
            action = parser.add_argument(*self.flags, dest=parameter, **settings)
        else:
            action = parser.add_argument(parameter, **settings)
        if self.complete is not None:
            complete = self.complete
            # argcomplete's way to ask for words, by an attribute of the action (its README, "Specifying completers").
            action.completer = lambda prefix, **_: complete(prefix)  # type: ignore[attr-defined]


def option(
    *flags: str,
    about: str,
    kind: Callable[[str], Any] = str,
    default: object = None,
    **settings: Any,  # noqa: ANN401 - as argparse has it
) -> Argument:
    """Return an option with a value; `kind` makes it of the text, or raises ValueError."""
    return Argument(about, flags, {"type": kind, "default": default, "metavar": _metavar(kind), **settings})


def many(*flags: str, about: str, kind: Callable[[str], Any] = str, **settings: Any) -> Argument:  # noqa: ANN401 - as argparse has it
    """Return an option that may be given more than once: a list, or None."""
    return Argument(about, flags, {"type": kind, "action": "append", "metavar": _metavar(kind), **settings})


def flag(*flags: str, about: str) -> Argument:
    """Return an option without a value, which is off unless it is given."""
    return Argument(about, flags, {"action": "store_true"})


def switch(name: str, *, about: str, default: bool | None) -> Argument:
    """Return an option without a value that may be given as `--name` and as `--no-name`; `default` where neither is."""
    return Argument(about, (name,), {"action": argparse.BooleanOptionalAction, "default": default})


def word(
    *,
    about: str,
    kind: Callable[[str], Any] = str,
    complete: Words | None = None,
    **settings: Any,  # noqa: ANN401 - as argparse has it
) -> Argument:
    """Return a word that must be there; with `nargs` "?", "*" or "+" none, any number, or at least one."""

    def read(text: str) -> object:
        return kind(text.removeprefix(SHIELD))

    read.__name__ = getattr(kind, "__name__", "")  # argparse names it in "invalid int value"
    return Argument(about, (), {"type": read, **settings}, complete)


def shielded(words: Sequence[str], takes: Iterable[Argument]) -> list[str]:
    """Return words of which argparse does not take those for options that are none.

    It would with what comes after `--` (parse_intermixed_args of Python 3.11), and with the value of an option that
    begins with a dash, unless that is an option, too.
    """
    options = [argument for argument in takes if argument.flags]
    flags = {flag for argument in options for flag in argument.flags}
    valued = {flag for argument in options if "type" in argument.settings for flag in argument.flags}
    end = words.index("--") if "--" in words else len(words)
    found: list[str] = []
    for word in words[:end]:
        if found and found[-1] in valued and word.startswith("-") and word.partition("=")[0] not in flags:
            name = found.pop()
            word = f"{name}={word}" if name.startswith("--") else f"{name}{word}"  # noqa: PLW2901
        found.append(word)
    return [*found, *(SHIELD + word if word.startswith("-") else word for word in words[end + 1 :])]


def within(least: int, most: int | None = None) -> Callable[[str], int]:
    """Return what reads a number of this range; it raises ArgumentTypeError for others."""

    def number(text: str) -> int:
        value = int(text)
        if value < least or (most is not None and value > most):
            limits = f"at least {least}" if most is None else f"from {least} to {most}"
            raise argparse.ArgumentTypeError(f"{value} is not {limits}")
        return value

    number.__name__ = "int"  # argparse names it in "invalid int value"
    return number


def decimal_within(least: float, most: float) -> Callable[[str], float]:
    """Return what reads a number of this range, whole or not; it raises ArgumentTypeError for others and for nan."""

    def number(text: str) -> float:
        value = float(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text} is not from {least:g} to {most:g}")
        return value

    number.__name__ = "float"  # argparse names it in "invalid float value"
    return number


def _metavar(kind: Callable[[str], Any]) -> str | None:
    return {"int": "N", "float": "N", "Path": "PATH", "str": "TEXT"}.get(getattr(kind, "__name__", ""))


class Parser(argparse.ArgumentParser):
    """argparse's own, without abbreviations of options: a new option would change what they mean."""

    def __init__(self, prog: str, **settings: Any) -> None:  # noqa: ANN401 - as argparse has it
        super().__init__(prog=prog, allow_abbrev=False, **settings)

    def format_help(self) -> str:
        """Return what argparse says, and examples."""
        from claracore.cli.examples import examples  # noqa: PLC0415 - only whoever asks for help

        _prog, _space, verb = self.prog.partition(" ")
        lines = examples(verb)
        shown = "".join(f"  {line}\n" for line in lines.splitlines())
        return super().format_help() + (f"\nexamples:\n{shown}" if lines else "")

    def error(self, message: str) -> NoReturn:
        """End with exit code 2; say where help is instead of printing half of it."""
        order = " (a verb comes first, its options after it)" if message.startswith("unrecognized") else ""
        end(f"{message}{order}; see {self.prog} --help", USAGE, "usage", lead=f"{self.prog}: ")


def meant(word: str, names: Mapping[str, str]) -> str:
    """Ask whether the nearest was meant, from names to what they are called here; nothing where none is near."""
    near = difflib.get_close_matches(word, names, 1, NEAR)
    return f"; did you mean {names[near[0]]!r}?" if near else ""


def no_verb(name: str, names: Mapping[str, str], prog: str, help_words: str) -> NoReturn:
    """Say that a program has no verb of this name, which one may have been meant, and end with exit code 2."""
    message = f"there is no verb {name!r}{meant(name, names)} ({prog} {help_words} has them all)"
    end(message, USAGE, "usage", lead=f"{prog}: ")


def explained(summaries: Mapping[str, str]) -> str:
    """Return aligned lines of names and what they do, as wide as stdout."""
    width = max(map(len, summaries))
    return "\n".join(beside(f"  {name:<{width}}  ", summary) for name, summary in summaries.items())


def declare(parser: argparse.ArgumentParser, takes: Mapping[str, Argument]) -> None:
    """Have `parser` read arguments, by the names of a function's parameters."""
    for parameter, argument in takes.items():
        argument.add_to(parser, parameter)


@dataclass(frozen=True, slots=True)
class Verb:
    """A function and what it takes, by the names of its parameters."""

    function: Callable[..., None]
    takes: Mapping[str, Argument] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """What it does, in a line."""
        return (self.function.__doc__ or "").partition("\n")[0]

    def parser(self, prog: str) -> Parser:
        """Return what reads its words."""
        made = Parser(prog, description=self.function.__doc__)
        declare(made, self.takes)
        return made

    def run(self, prog: str, words: Sequence[str]) -> None:
        """Call the function with what the words say. Raises SystemExit(2) for words that it does not take."""
        self.call(self.parser(prog), words)

    def call(self, parser: Parser, words: Sequence[str]) -> None:
        """Call the function with what `parser` reads. Raises as `run`."""
        self.function(**vars(parser.parse_intermixed_args(shielded(words, self.takes.values()))))


@dataclass(frozen=True, slots=True)
class VerbGroup:
    """Verbs below a verb, and what it does when none of them is named."""

    summary: str
    verbs: Mapping[str, Verb]
    alone: Verb | None = None

    def parser(self, prog: str) -> Parser:
        """Return what explains the group, or reads the words of `alone`."""
        lines = explained({name: verb.summary for name, verb in self.verbs.items()})
        made = Parser(
            prog,
            description=f"{self.summary}\n\nverbs:\n{lines}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            usage=f"{prog} VERB ..." if self.alone is None else None,
        )
        if self.alone is not None:
            declare(made, self.alone.takes)
        return made

    def run(self, prog: str, words: Sequence[str]) -> None:
        """Run the verb that the first word names, or `alone`. Raises SystemExit(2) for any other word."""
        verb = self.verbs.get(words[0]) if words else None
        if verb is not None:
            verb.run(f"{prog} {words[0]}", words[1:])
            return
        is_word = bool(words) and not words[0].startswith("-")
        if is_word and (self.alone is None or all(argument.flags for argument in self.alone.takes.values())):
            no_verb(words[0], {name: name for name in self.verbs}, prog, "--help")
        parser = self.parser(prog)
        if self.alone is not None:
            self.alone.call(parser, words)
            return
        parser.parse_known_args(words[:1])  # --help
        if words:
            parser.error(f"unrecognized arguments: {' '.join(words)}")
        parser.print_help()
        raise SystemExit(USAGE)
