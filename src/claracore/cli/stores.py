"""Which of the models that other programs keep on this machine are to be used? Listed, and asked on a terminal."""

from __future__ import annotations

import os
import re
import select
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from claracore.cli.client import show_json
from claracore.cli.progress import progress
from claracore.cli.terminal import say, table
from claracore.core.units import counted, gib
from claracore.errors import BadRequest
from claracore.host.library.cache import ReadingCache
from claracore.host.library.model import LeftOut
from claracore.host.library.stores import FoundStores, ModelStore, StoreFinder, names_of
from claracore.host.state import default_state_dir, state_path

ALL: Final = frozenset({"", "y", "yes", "a", "all"})
NONE: Final = frozenset({"n", "no", "none", "q"})
MOST_LINES: Final = 8
"""Of what is passed over; the set-up names all of it."""
NOTHING: Final = (
    "no models were found where LM Studio, Ollama, Hugging Face, llama.cpp, Jan, GPT4All and text-generation-webui "
    "keep theirs, in ~/models, or on data disks"
)
WAYS: Final = "name a folder (`claracore setup DIR`), or get a model (`claracore pull ORG/REPO`)"
ANSWER_SECONDS: Final = 60.0
HOW: Final = (
    "nothing was written. Take all: `claracore setup --yes`; those of one program: `claracore setup --store ollama`; "
    "or name folders: `claracore setup DIR...`"
)


@dataclass(frozen=True, slots=True)
class TakenStores:
    """The stores that are to be used, what else was found, and what was read on the way."""

    stores: Sequence[ModelStore]
    found: FoundStores
    cache: ReadingCache

    @property
    def folders(self) -> list[Path]:
        """Where their models are."""
        return [store.path for store in self.stores]

    @property
    def as_json(self) -> dict[str, Any]:
        """What was found, as plain data."""
        return {"found": [store_json(store) for store in self.found.stores]}


def take_stores(wanted: Sequence[str] | None, *, yes: bool, as_json: bool) -> TakenStores:
    """Return the stores to use: those named, with `yes` all, else those that a person chooses on a terminal.

    Ends with exit code 0 when nobody says which: then they are listed. Raises BadRequest when there are none to take.
    """
    chooses = bool(yes or wanted)
    keep = chooses or not as_json
    cache = ReadingCache.in_folder(default_state_dir() if keep else state_path(), keep=keep)
    with progress(quiet=as_json) as on_progress:
        found = StoreFinder().find(cache, on_progress)
    if wanted:
        return TakenStores(_named(found, wanted), found, cache)
    if yes:
        if not found.stores:
            raise BadRequest(f"{NOTHING}: {WAYS}")
        return TakenStores(found.stores, found, cache)
    if as_json:
        show_json({"found": [store_json(store) for store in found.stores], **_passed_over_json(found)})
        raise SystemExit(0)
    show_stores(found)
    if not found.stores or not on_terminal():
        say(HOW if found.stores else WAYS)
        raise SystemExit(0)
    chosen = ask(found)
    if not chosen:
        say(HOW)
        raise SystemExit(0)
    return TakenStores(chosen, found, cache)


def offer_stores() -> list[Path]:
    """On a terminal, say which models are on this machine and ask which to use.

    None otherwise, and none when there is no answer for a minute: a container may have a terminal and nobody at it.
    """
    if not on_terminal():
        return []
    with progress(quiet=False) as on_progress:
        found = StoreFinder().find(ReadingCache.in_folder(default_state_dir()), on_progress)
    if not found.stores:
        return []
    say("There is no model in the configuration yet.")
    show_stores(found)
    return [store.path for store in ask(found, ANSWER_SECONDS)]


def on_terminal() -> bool:
    """Whether somebody can be asked."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


def show_stores(found: FoundStores) -> None:
    """List who keeps how many models, and what cannot be used."""
    if found.stores:
        say(f"Found {in_words(found)}:")
        rows = [
            [str(number), store.store, counted(len(store.models), "model"), gib(store.bytes), str(store.path)]
            for number, store in enumerate(found.stores, start=1)
        ]
        for line in table(("", "kept by", "", "size", "in"), rows):
            say(f"  {line}")
    else:
        say(NOTHING)
    _show_left_out([*found.unusable, *found.left_out])


def in_words(found: FoundStores) -> str:
    """Return what was found in one line: `14 models in LM Studio and Ollama (63 GiB)`."""
    return f"{counted(len(found.models), 'model')} in {names_of(found.stores)} ({gib(found.bytes)})"


def ask(found: FoundStores, seconds: float | None = None) -> list[ModelStore]:
    """Ask which stores to use until the answer can be understood; none when there is no answer (in so many seconds)."""
    while True:
        try:
            say(_question(found), end="")
            answer = _answer(seconds).strip().lower()
        except EOFError:
            say()
            return []
        if answer in ALL:
            return list(found.stores)
        if answer in NONE:
            return []
        numbers = re.split(r"[\s,]+", answer)
        if all(number.isdecimal() and 1 <= int(number) <= len(found.stores) for number in numbers):
            return [found.stores[number - 1] for number in sorted(set(map(int, numbers)))]
        say(f"{answer!r} is none of these: numbers go from 1 to {len(found.stores)}")


def _question(found: FoundStores) -> str:
    if len(found.stores) > 1:
        return "Use them? [Enter: all, n: none, or numbers such as 1,3] "
    return f"Use {'it' if len(found.models) == 1 else 'them'}? [Enter: yes, n: no] "


def _answer(seconds: float | None) -> str:
    """Return the line that is typed. Raises EOFError when there is none."""
    # Windows knows this of sockets only.
    if seconds is not None and os.name != "nt" and not select.select([sys.stdin], [], [], seconds)[0]:
        raise EOFError
    return input()


def store_json(store: ModelStore) -> dict[str, Any]:
    """Return a store as plain data."""
    return {"store": store.store, "path": str(store.path), "models": len(store.models), "bytes": store.bytes}


def _passed_over_json(found: FoundStores) -> dict[str, Any]:
    return {
        name: [{"path": str(left.path), "reason": left.reason} for left in listed]
        for name, listed in (("unusable", found.unusable), ("left_out", found.left_out))
    }


def _show_left_out(left_out: Sequence[LeftOut]) -> None:
    if left_out:
        say(f"passed over: {counted(len(left_out), 'file')} or folders")
    for left in left_out[:MOST_LINES]:
        say(f"  {left}")
    if len(left_out) > MOST_LINES:
        say(f"  and {len(left_out) - MOST_LINES} more: the set-up names them")


def _named(found: FoundStores, wanted: Sequence[str]) -> list[ModelStore]:
    by_name: dict[str, list[ModelStore]] = {}
    for store in found.stores:
        by_name.setdefault(_plain(store.store), []).append(store)
    chosen: list[ModelStore] = []
    for name in wanted:
        if _plain(name) not in by_name:
            there = names_of(found.stores) or "nobody"
            raise BadRequest(f"--store {name}: it keeps no models here that were found; {there} does")
        chosen += by_name[_plain(name)]
    return chosen


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
