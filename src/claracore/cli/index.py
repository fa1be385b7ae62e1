"""Which verbs are there, where is each, and how is `claracore` as a whole explained?"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from importlib import import_module
from typing import NamedTuple, NoReturn

from claracore.cli.verb import Argument, Parser, Verb, VerbGroup, declare, explained, flag, no_verb, option

PROG = "claracore"
EXAMPLES = {
    "claracore --models-folder ~/models": "find models, write a configuration, serve",
    "claracore setup": "use the models of LM Studio, Ollama and others",
    "claracore pull org/repo:Q4_K_M": "get a model from the hub and serve it",
    "claracore --config my.yaml --listen :8080": "serve a file on all interfaces",
    "claracore config check my.yaml": "what is wrong with a file, and where",
    "claracore ports": "who has which port, and why",
    "claracore engine --help": "the built-in engine's own flags",
}


class Listed(NamedTuple):
    """Where a verb is, in a module of this package, and what it does; the module is imported when it is asked for."""

    module: str
    name: str
    summary: str


VERBS = {
    "serve": Listed("serve_verb", "SERVE", "Serve until asked to end; without a verb the same."),
    "config": Listed("config", "CONFIG", "Look at, check and migrate configuration files."),
    "ports": Listed("ports", "PORTS", "Show which port belongs to what, and why."),
    "keys": Listed("keys", "KEYS", "Keys with scopes: inference, read, node, admin."),
    "pull": Listed("pull", "PULL", "Get a model from the hub: choose the file, fetch, check, and serve it."),
    "setup": Listed("setup", "SETUP", "Look at model files and this machine, and write a configuration that says why."),
    "import": Listed(
        "imports", "IMPORT", "Come here from Ollama, LM Studio or llama-swap: models stay where they are."
    ),
    "fit": Listed("fit", "FIT", "Show what a model takes on this machine, and how it would run."),
    "hardware": Listed(
        "setup", "HARDWARE", "Show processors, memory and graphics devices as ClaraCore plans with them."
    ),
    "engines": Listed("engines", "ENGINES", "Builds of llama.cpp: install, update, use, remove; which one is meant."),
    "status": Listed("status", "STATUS", "Say whether a server runs, where, and how it is."),
    "ps": Listed("models", "PS", "List the models that run: state, port, memory, requests, time left."),
    "top": Listed("top", "TOP", "Watch models, memory, requests and tokens/s; Ctrl-C ends."),
    "nodes": Listed("nodes", "NODES", "List the machines that answer requests here: state, memory, models, requests."),
    "leave": Listed(
        "joining",
        "LEAVE",
        "Have this machine leave the one that it has joined: its key here is removed, Ray ends, and it forgets us.",
    ),
    "join": Listed("joining", "JOIN", "Have this machine answer requests for another one, which has invited it."),
    "load": Listed("models", "LOAD", "Load a model, and wait until it is ready."),
    "unload": Listed("models", "UNLOAD", "Unload models, and wait until they are gone."),
    "conversations": Listed(
        "conversations", "CONVERSATIONS", "Conversations that outlive the servers that they were held with."
    ),
    "logs": Listed("logs", "LOGS", "Print the last lines of ClaraCore's log or of a model's server."),
    "requests": Listed("requests", "REQUESTS", "List the requests in flight, or end one."),
    "doctor": Listed(
        "doctor", "DOCTOR", "Look for what is wrong: engine, graphics, ports, configuration, disk, versions."
    ),
    "replay": Listed("replay", "REPLAY", "Hand the events of a debug log to the scheduler, and print its decisions."),
    "chat": Listed("chat", "CHAT", "Talk to a model; an empty line or Ctrl-D ends, /help says what else there is."),
    "tune": Listed("tune", "TUNE", "Try settings on a model for a minute: which answers fastest on this machine?"),
    "bench": Listed("bench", "BENCH", "Load a model, ask it the same again and again, and say how fast it answered."),
    "service": Listed("service", "SERVICE", "Run ClaraCore for good: a service of this machine, or of yours."),
    "upgrade": Listed("upgrade", "UPGRADE", "Have the version that is installed now take over, without a pause."),
    "help": Listed("help", "HELP", "Explain ClaraCore, or one verb of it."),
}

ELSEWHERE = {
    "check": "config check",
    "list": "ps --all",
    "ls": "ps --all",
    "migrate": "config migrate",
    "model": "ps --all",
    "models": "ps --all",
    "run": "chat",
    "show": "fit",
    "start": "serve",
    "stop": "unload",
    "stores": "import",
    "version": "--version",
}
"""What other programs, or people, call our verbs."""


def verb(name: str) -> Verb | VerbGroup:
    """Return a verb, importing what it needs. Raises KeyError when there is none of this name."""
    place = VERBS[name]
    found = getattr(import_module(f"claracore.cli.{place.module}"), place.name)
    assert isinstance(found, (Verb, VerbGroup))  # noqa: S101 - a test looks at each
    return found


def unknown_verb(name: str) -> NoReturn:
    """Say that there is no verb of this name, and which may have been meant; ends with exit code 2."""
    no_verb(name, {**ELSEWHERE, **{verb: verb for verb in VERBS}}, PROG, "help")


ABOUT = {
    "version": flag("--version", about="Print the version and end."),
    "install_completion": option("--install-completion", about="Teach bash, zsh or fish the verbs.", nargs="?"),
    "show_completion": option("--show-completion", about="Print what would be installed.", nargs="?"),
}


def parser(takes: Mapping[str, Argument]) -> Parser:
    """Return what explains `claracore` as a whole: its verbs, and what it takes without one."""
    lines = explained({name: place.summary for name, place in VERBS.items()})
    made = Parser(
        PROG,
        usage=f"{PROG} [OPTIONS] | {PROG} VERB ...",
        description=f"One port for every local model.\n\nexamples:\n{explained(EXAMPLES)}\n\nverbs:\n{lines}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    declare(made, {**takes, **ABOUT})
    return made
