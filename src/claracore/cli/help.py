"""`claracore help [VERB]`: what `--help` prints, for whoever types it as a word."""

from __future__ import annotations

from claracore.cli.index import PROG, VERBS, parser, unknown_verb, verb
from claracore.cli.verb import Verb, VerbGroup, word


def explain(*, words: list[str]) -> None:
    """Explain ClaraCore, or one verb of it."""
    if not words:
        from claracore.cli.serve_options import TAKES  # noqa: PLC0415 - a verb needs none of it

        parser(TAKES).print_help()
        return
    name, below = words[0], words[1:2]
    if name not in VERBS:
        unknown_verb(name)
    found = verb(name)
    if isinstance(found, VerbGroup) and below and below[0] in found.verbs:
        found.verbs[below[0]].parser(f"{PROG} {name} {below[0]}").print_help()
    else:
        found.parser(f"{PROG} {name}").print_help()


HELP = Verb(explain, {"words": word(about="A verb, and perhaps one below it: config check.", nargs="*")})
