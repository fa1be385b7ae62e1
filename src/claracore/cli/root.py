"""What does the command line do with its words? Without a verb it serves."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from claracore.cli.ending import end, hear
from claracore.cli.index import PROG, VERBS, parser, unknown_verb, verb
from claracore.cli.interrupts import interrupt_once
from claracore.cli.terminal import accept_any_text, say
from claracore.errors import ClaraCoreError


def dispatch(argv: Sequence[str]) -> None:
    """Do what the words say. Raises ClaraCoreError, OSError, SystemExit (2 for words that cannot be understood)."""
    hear(argv)
    if "_ARGCOMPLETE" in os.environ:  # the shell asks for words
        from claracore.cli.completion import complete  # noqa: PLC0415 - only then

        complete()
    if "_CLARACORE_COMPLETE" in os.environ:  # so does what earlier versions have installed: nothing, and no server
        return
    first, rest = (argv[0], argv[1:]) if argv else ("", [])
    if first in VERBS:
        verb(first).run(f"{PROG} {first}", rest)
    elif first and not first.startswith("-"):
        unknown_verb(first)
    elif first in {"--install-completion", "--show-completion"}:
        from claracore.cli.completion import install, script  # noqa: PLC0415 - only where it is needed, as below

        say((install if first == "--install-completion" else script)(*rest[:1]))
    elif "--version" in argv:
        from claracore.build import version_text  # noqa: PLC0415

        say(f"{PROG} {version_text()}")
    else:
        from claracore.cli.serve_verb import SERVE  # noqa: PLC0415 - a verb needs none of it

        if not {"--help", "-h"}.isdisjoint(argv):
            parser(SERVE.takes).print_help()
        else:
            SERVE.run(PROG, argv)


def run(argv: Sequence[str]) -> None:
    """Run the command line; an error that a user can understand is a message and exit code 1, never a traceback."""
    interrupt_once()
    accept_any_text()
    try:
        dispatch([_long(word) for word in argv])
    except ClaraCoreError as error:
        end(error.message, 1, error.code, lead=f"{PROG}: ")
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        what = f"{error.filename}: " if error.filename is not None else ""
        end(f"{what}{error.strerror or error}", 1, "os_error", lead=f"{PROG}: ")


GO_FLAGS = {"-config", "-config-dir", "-listen", "-watch-config", "-models-folder", "-version", "-help"}


def _long(word: str) -> str:
    """Accept the single-dash flags of llama-swap and the original ClaraCore, which Go programs take."""
    name, equals, value = word.partition("=")
    return f"-{name}{equals}{value}" if name in GO_FLAGS else word
