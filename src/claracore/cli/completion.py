"""How does a shell complete verbs, options and the names of models? (argcomplete)"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import argcomplete
from argcomplete.shell_integration import shellcode

from claracore.cli.index import PROG, VERBS, parser, verb
from claracore.cli.serve_options import TAKES
from claracore.cli.verb import Verb, VerbGroup, declare
from claracore.errors import BadRequest

FILES = {
    "bash": Path(".bash_completions") / f"{PROG}.sh",
    "zsh": Path(".zfunc") / f"_{PROG}",
    "fish": Path(".config") / "fish" / "completions" / f"{PROG}.fish",
}
"""Where each shell's script goes, below the home. fish finds its own; the others are told."""

SHELL_SETTINGS = {
    "bash": (Path(".bashrc"), "source '{file}'"),
    "zsh": (Path(".zshrc"), "autoload -Uz compinit; compinit; source '{file}'"),
}


def complete() -> None:
    """Answer the shell and end the process: argcomplete has in the environment what is asked, and where it goes."""
    words = os.environ.get("COMP_LINE", "").split()
    argcomplete.autocomplete(_tree(words[1] if len(words) > 1 else ""))


def _tree(named: str) -> argparse.ArgumentParser:
    """Return all that may be typed; of verbs only the one that is named has arguments: others need not be imported."""
    root = parser(TAKES)
    below = root.add_subparsers()
    for name in VERBS:
        child = below.add_parser(name, prog=f"{PROG} {name}")
        if name == named:
            _fill(child, verb(name))
    return root


def _fill(parser: argparse.ArgumentParser, found: Verb | VerbGroup) -> None:
    """Give the parser of a verb what may be typed behind it."""
    if isinstance(found, Verb):
        declare(parser, found.takes)
        return
    if found.alone is not None:
        declare(parser, found.alone.takes)
    below = parser.add_subparsers()
    for name, each in found.verbs.items():
        declare(below.add_parser(name), each.takes)


def script(shell: str = "") -> str:
    """Return the script for a shell, by default the one of this user. Raises BadRequest for one that is not known."""
    shell = _shell(shell)
    return str(shellcode([PROG], shell=shell))


def install(shell: str = "") -> str:
    """Write the script into this user's home and have it read by new shells; return what to say. Raises as `script`."""
    shell = _shell(shell)
    file = Path.home() / FILES[shell]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(script(shell), encoding="utf-8")
    if shell in SHELL_SETTINGS:
        name, line = SHELL_SETTINGS[shell]
        settings = Path.home() / name
        wanted = line.format(file=file)
        text = settings.read_text(encoding="utf-8") if settings.exists() else ""
        if wanted not in text.splitlines():
            with settings.open("a", encoding="utf-8") as end:  # nothing of a person's own settings is written anew
                end.write(f"{wanted}\n" if not text or text.endswith("\n") else f"\n{wanted}\n")
    return f"{shell} completion is in {file}; it works in new terminals"


def _shell(named: str) -> str:
    shell = named or Path(os.environ.get("SHELL", "")).name
    if shell not in FILES:
        raise BadRequest(f"no completion for {shell or 'an unknown shell'}: name one of {', '.join(FILES)}")
    return shell
