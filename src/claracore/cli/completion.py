"""How does a shell complete verbs, options and the names of models? (argcomplete)"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import argcomplete
from argcomplete.shell_integration import shellcode

from claracore.cli.index import PROG, VERBS, parser, verb
from claracore.cli.serve_options import TAKES
from claracore.cli.verb import VerbGroup
from claracore.errors import BadRequest

FILES = {
    "bash": Path(".bash_completions") / f"{PROG}.sh",
    "zsh": Path(".zfunc") / f"_{PROG}",
    "fish": Path(".config") / "fish" / "completions" / f"{PROG}.fish",
}
"""Where each shell's script goes, below the home. fish finds its own; the others are told."""

TOLD = {
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
            found = verb(name)
            inner = found.verbs if isinstance(found, VerbGroup) else {}
            alone = found.alone if isinstance(found, VerbGroup) else found
            for parameter, argument in alone.takes.items() if alone is not None else ():
                argument.add_to(child, parameter)
            if inner:
                deeper = child.add_subparsers()
                for word, each in inner.items():
                    last = deeper.add_parser(word, prog=f"{PROG} {name} {word}")
                    for parameter, argument in each.takes.items():
                        argument.add_to(last, parameter)
    return root


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
    if shell in TOLD:
        name, line = TOLD[shell]
        settings = Path.home() / name
        said = line.format(file=file)
        text = settings.read_text(encoding="utf-8") if settings.exists() else ""
        if said not in text.splitlines():
            settings.write_text(f"{text.rstrip()}\n{said}\n".lstrip(), encoding="utf-8")
    return f"{shell} completion is in {file}; it works in new terminals"


def _shell(named: str) -> str:
    shell = named or Path(os.environ.get("SHELL", "")).name
    if shell not in FILES:
        raise BadRequest(f"no completion for {shell or 'an unknown shell'}: name one of {', '.join(FILES)}")
    return shell
