"""`claracore import`: how do people come here from Ollama, LM Studio or llama-swap?

Models stay where they are, settings come along as far as they mean the same here, and what does not is said.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from claracore.cli.setup import setup
from claracore.cli.terminal import say
from claracore.cli.verb import Verb, VerbGroup, flag, option, word
from claracore.core.config.migrate import migrate
from claracore.core.config.taken_over import TakenOver, from_lm_studio, from_ollama
from claracore.core.difference import unified_diff
from claracore.core.ports.listen import parse_listen
from claracore.errors import BadRequest
from claracore.host.library.store_places import LM_STUDIO, OLLAMA, unit_of_ollama, user_whereabouts
from claracore.host.places import config_file
from claracore.host.setup.examine import examine
from claracore.host.state import home_folder
from claracore.host.store.files import change, read

NEXT_OF_LLAMA_SWAP = "clients of llama-swap find it where they look with: claracore --listen 8080"
KEEPS_NOTHING = "captureBuffer is not set: unlike llama-swap, nothing of what people ask is kept"


def from_ollama_here(*, config: Path | None, dry_run: bool) -> None:
    """Use Ollama's models where they are, be where its clients look, and keep models as long as it does."""
    around = user_whereabouts(home_folder() or Path.home())
    own = {name: value for name, value in around.environ.items() if name.startswith("OLLAMA_")}
    settings = {**unit_of_ollama(around), **own}
    _from_store(OLLAMA, config, dry_run, lambda text: from_ollama(text, settings))
    say("next: stop Ollama's server, which has the port, and start claracore")


def from_lm_studio_here(*, config: Path | None, dry_run: bool) -> None:
    """Use LM Studio's models where they are, and keep them loaded as long as it does."""
    _from_store(LM_STUDIO, config, dry_run, from_lm_studio)
    say("next: claracore; clients of LM Studio find it where they look with: claracore --listen 1234")


def _from_store(store: str, config: Path | None, dry_run: bool, take: Callable[[str], TakenOver]) -> None:
    setup(
        folders=[], config=config, backend=None, vram=None, ram=None, ctx=None, parallel=None, listen="5800",
        jinja=True, auto_draft=False, realtime=False, yes=False, store=[store], dry_run=dry_run, as_json=False,
    )  # fmt: skip
    file = config_file(config)
    if dry_run:
        _tell(take(read(file) if file.exists() else "models: {}\n"))
        return
    taken = TakenOver("", ())

    def edit(old: str | None) -> str:
        nonlocal taken
        taken = take(old or "")
        return taken.text

    change(file, edit)
    _tell(taken)


def _tell(taken: TakenOver) -> None:
    for sentence in taken.sentences:
        say(sentence)


def from_llama_swap(*, file: Path, config: Path | None, listen: str, dry_run: bool) -> None:
    """Take over a file of llama-swap, which stays as it is; comments and order come along."""
    old = read(file)
    new = migrate(old, listen_port=parse_listen(listen).port)
    target = config_file(config)
    examined = examine([(str(file), new.text)], env=os.environ, listen=parse_listen(listen))
    for finding in examined.findings:
        say(str(finding), err=True)
    if not examined.usable or examined.loaded.config is None:
        raise BadRequest(f"{file} cannot be used as it is; nothing was written")
    if dry_run:
        say(unified_diff(old, new.text, str(file), str(target)).rstrip("\n") or f"would be copied to {target}")
    else:
        _write_new(target, new.text)
        say(f"wrote {target}")
    kept = () if examined.loaded.config.capture_buffer else (KEEPS_NOTHING,)
    for sentence in (*new.changes, *kept, NEXT_OF_LLAMA_SWAP):
        say(sentence)


def _write_new(target: Path, text: str) -> None:
    def edit(old: str | None) -> str:
        if old is not None and old != text:
            raise BadRequest(f"there is a {target} already: name another with --config, or move it away")
        return text

    change(target, edit)


TO = {
    "config": option("--config", about="Configuration file to write; else yours.", kind=Path),
    "dry_run": flag("--dry-run", about="Say what would be written; write nothing."),
}
IMPORT = VerbGroup(
    "Come here from Ollama, LM Studio or llama-swap: models stay where they are.",
    {
        "ollama": Verb(from_ollama_here, TO),
        "lm-studio": Verb(from_lm_studio_here, TO),
        "llama-swap": Verb(
            from_llama_swap,
            {
                "file": word(about="Its configuration file.", kind=Path),
                "listen": option("--listen", about="Where ClaraCore will listen.", default="5800"),
                **TO,
            },
        ),
    },
)
