"""Which verbs are there, and what does `claracore` without a verb do? (It serves.)"""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import NamedTuple, NoReturn

from claracore.cli.interrupts import interrupt_once
from claracore.cli.terminal import say
from claracore.cli.verb import USAGE, Argument, Group, Parser, Verb, flag, option
from claracore.errors import ClaraCoreError

PROG = "claracore"
EXAMPLES = """\
One port for every local model.

examples:
  claracore --models-folder ~/models         find models, write config.yaml, serve
  claracore pull org/repo:Q4_K_M             get a model from the hub and serve it
  claracore --config my.yaml --listen :8080  serve a file on all interfaces
  claracore config check my.yaml             what is wrong with a file, and where
  claracore ports                            who has which port, and why
  claracore engine --help                    the built-in engine's own flags
"""


class Place(NamedTuple):
    """Where a verb is, in a module of this package, and what it does; the module is imported when it is asked for."""

    module: str
    name: str
    summary: str


VERBS = {
    "config": Place("config", "CONFIG", "Look at, check and migrate configuration files."),
    "ports": Place("ports", "PORTS", "Show which port belongs to what, and why."),
    "keys": Place("keys", "KEYS", "Keys with scopes: inference, read, admin."),
    "pull": Place("pull", "PULL", "Get a model from the hub: choose the file, fetch, check, and serve it."),
    "setup": Place("setup", "SETUP", "Look at model files and this machine, and write a configuration that says why."),
    "fit": Place("setup", "FIT", "Show what a model takes on this machine, and how it would run."),
    "hardware": Place(
        "setup", "HARDWARE", "Show processors, memory and graphics devices as ClaraCore plans with them."
    ),
    "status": Place("status", "STATUS", "Say whether a server runs, where, and how it is."),
    "ps": Place("models", "PS", "List the models that run: state, port, memory, requests, time left."),
    "load": Place("models", "LOAD", "Load a model, and wait until it is ready."),
    "unload": Place("models", "UNLOAD", "Unload models, and wait until they are gone."),
    "logs": Place("logs", "LOGS", "Print the last lines of ClaraCore's log or of a model's server."),
    "requests": Place("requests", "REQUESTS", "List the requests in flight, or end one."),
    "doctor": Place(
        "doctor", "DOCTOR", "Look for what is wrong: engine, graphics, ports, configuration, disk, versions."
    ),
    "replay": Place("replay", "REPLAY", "Hand the events of a debug log to the scheduler, and print its decisions."),
    "chat": Place("chat", "CHAT", "Talk to a model; an empty line or Ctrl-D ends."),
    "bench": Place("bench", "BENCH", "Load a model, ask it the same again and again, and say how fast it answered."),
}


def verb(name: str) -> Verb | Group:
    """Return a verb, importing what it needs. Raises KeyError when there is none of this name."""
    place = VERBS[name]
    found = getattr(import_module(f"claracore.cli.{place.module}"), place.name)
    assert isinstance(found, (Verb, Group))  # noqa: S101 - a test looks at each
    return found


def dispatch(argv: Sequence[str]) -> None:
    """Do what the words say. Raises ClaraCoreError, OSError, SystemExit (2 for words that cannot be understood)."""
    if "_ARGCOMPLETE" in os.environ:  # the shell asks for words
        from claracore.cli.completion import complete  # noqa: PLC0415 - only then

        complete()
    if "_CLARACORE_COMPLETE" in os.environ:  # so does what earlier versions have installed: nothing, and no server
        return
    first, rest = (argv[0], argv[1:]) if argv else ("", [])
    if first in VERBS:
        verb(first).run(f"{PROG} {first}", rest)
    elif first and not first.startswith("-"):
        near = difflib.get_close_matches(first, VERBS, 1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        _end(f"there is no verb {first!r}{meant} (claracore --help has them all)", USAGE)
    elif first in {"--install-completion", "--show-completion"}:
        from claracore.cli.completion import install, script  # noqa: PLC0415 - only where it is needed, as below

        say((install if first == "--install-completion" else script)(*rest[:1]))
    elif "--version" in argv:
        from claracore.build import version_text  # noqa: PLC0415

        say(f"{PROG} {version_text()}")
    else:
        from claracore.cli.serving import SERVE  # noqa: PLC0415 - a verb needs none of it

        if not {"--help", "-h"}.isdisjoint(argv):
            parser(SERVE.takes).print_help()
        else:
            SERVE.run(PROG, argv)


ABOUT = {
    "version": flag("--version", about="Print the version and end."),
    "install_completion": option("--install-completion", about="Teach bash, zsh or fish the verbs.", nargs="?"),
    "show_completion": option("--show-completion", about="Print what would be installed.", nargs="?"),
}


def parser(takes: Mapping[str, Argument]) -> Parser:
    """Return what explains `claracore` as a whole: its verbs, and what it takes without one."""
    lines = "\n".join(f"  {name:<10} {place.summary}" for name, place in VERBS.items())
    made = Parser(
        PROG,
        usage=f"{PROG} [OPTIONS] | {PROG} VERB ...",
        description=f"{EXAMPLES}\nverbs:\n{lines}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for parameter, argument in {**takes, **ABOUT}.items():
        argument.add_to(made, parameter)
    return made


def run(argv: Sequence[str]) -> None:
    """Run the command line; an error that a user can understand is a message and exit code 1, never a traceback."""
    interrupt_once()
    try:
        dispatch([_long(word) for word in argv])
    except ClaraCoreError as error:
        _end(error.message)
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        say("\naborted", err=True)
        sys.exit(130)
    except OSError as error:
        what = f"{error.filename}: " if error.filename is not None else ""
        _end(f"{what}{error.strerror or error}")


def _end(message: str, code: int = 1) -> NoReturn:
    say(f"{PROG}: {message}", err=True)
    sys.exit(code)


GO_FLAGS = {"-config", "-config-dir", "-listen", "-watch-config", "-models-folder", "-version", "-help"}


def _long(word: str) -> str:
    """Accept the single-dash flags of llama-swap and the original ClaraCore, which Go programs take."""
    name, equals, value = word.partition("=")
    return f"-{name}{equals}{value}" if name in GO_FLAGS else word
