"""What does the command line take: verbs, options, examples, exit codes?"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping

from claracore.cli.examples import EXITS, EXITS_OF, LONG, NEEDS, examples
from claracore.cli.index import ABOUT, ELSEWHERE, PROG, VERBS, verb
from claracore.cli.verb import Argument, Parser, Verb, VerbGroup, declare
from reference.tables import table

HEAD = """\
# Command line

<!-- Made from src/claracore/cli by tools/docs_reference.py; a test keeps it up to date. -->

`claracore` without a verb serves, and takes the options of `serve`. `claracore help VERB` and `claracore VERB --help`
say the same as this page. Verbs that ask a server find it by `--url`, by `CLARACORE_URL`, or by themselves, and send
the key in `CLARACORE_API_KEY`.
"""
BESIDE = """
What a code means for a verb beside that is said there. `--install-completion` teaches bash, zsh or fish verbs, options
and names of models. `claracore engine ...` is the built-in llama-server with its own flags ([engines](../engines.md)).
"""


def verbs() -> Iterator[tuple[str, Verb]]:
    """Return every verb that can be called, with its whole name."""
    for name in VERBS:
        found = verb(name)
        if isinstance(found, VerbGroup):
            if found.alone is not None:
                yield name, found.alone
            yield from ((f"{name} {below}", one) for below, one in found.verbs.items())
        else:
            yield name, found


def page() -> str:
    """Return docs/reference/command-line.md."""
    codes = table(("exit code", "meaning"), [(str(code), meaning) for code, meaning in EXITS.items()])
    others = ", ".join(f"`{word}` for `{ours}`" for word, ours in ELSEWHERE.items())
    alone = f"\nWithout a verb, beside the options of `serve`:\n\n{_options(ABOUT)}"
    known = f"\nWords that other programs have get a hint: {others}.\n"
    sections = "".join(_section(name, found) for name, found in verbs())
    return f"{HEAD}\n{codes}{BESIDE}{alone}{known}{sections}"


def _section(name: str, found: Verb) -> str:
    says = " ".join((found.function.__doc__ or "").split())
    parts = [f"\n## {PROG} {name}\n", says + "\n"]
    if found.takes:
        parts.append(_options(found.takes))
    if lines := examples(name):
        parts.append(f"{_how_run(name)}```sh\n{lines}```\n")
    if own := EXITS_OF.get(name):
        parts.append("Exit codes: " + ", ".join(f"{code}: {meaning}" for code, meaning in own.items()) + ".\n")
    return "\n".join(parts)


def _how_run(name: str) -> str:
    """Return what tests/docs reads before a fence."""
    if name in LONG:
        return "<!-- run by make test-long -->\n"
    return f"<!-- not run: {NEEDS[name]} -->\n" if name in NEEDS else ""


def _options(takes: Mapping[str, Argument]) -> str:
    parser = Parser(PROG, add_help=False)
    declare(parser, takes)
    actions = parser._actions  # noqa: SLF001 - argparse says it nowhere else
    rows = [(f"`{_written(action)}`", _default(action), takes[action.dest].about) for action in actions]
    return table(("option", "default", "meaning"), rows)


def _written(action: argparse.Action) -> str:
    """Return an argument as it is written: its name, and a word for its value."""
    value = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    if action.choices:
        value = "|".join(map(str, action.choices))
    if not action.option_strings:
        value = action.metavar if isinstance(action.metavar, str) else action.dest
        return {"?": f"[{value}]", "*": f"[{value} ...]", "+": f"{value} ..."}.get(str(action.nargs), value)
    flags = ", ".join(action.option_strings)
    return flags if action.nargs == 0 else f"{flags} {value}"


def _default(action: argparse.Action) -> str:
    if isinstance(action, argparse.BooleanOptionalAction):
        return {True: "on", False: "off"}.get(action.default, "")
    if action.default in {None, False, argparse.SUPPRESS, ""} or action.default == []:
        return ""
    return f"`{action.default}`"
