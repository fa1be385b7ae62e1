"""Which conversations are kept of which model, where, and has it brought anything?

One object for all models. It gives each process of a model's server its `ServerConversations`, hears how many tokens
answers did not have to read, and says what there is.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from claracore.core.config.command import EMBEDDING_FLAGS, RANKING_FLAGS, split
from claracore.core.conversations.fingerprint import fingerprint
from claracore.core.conversations.kept import KeptConversation, expired, most_in_memory, most_on_disk, too_many
from claracore.core.conversations.truth import READ_AGAIN, Truth, Works
from claracore.host.conversations.added_words import SAVE_PATH, added_words
from claracore.host.conversations.folders import HeldFolder, in_memory, on_disk, sweep_memory
from claracore.host.conversations.from_command import token_bytes, way_out
from claracore.host.conversations.server import KnownServer, ServerConversations
from claracore.host.conversations.store import ConversationStore
from claracore.host.disk_space import free_at
from claracore.host.hardware.probe import probe_memory
from claracore.host.supervisor.named_files import stamp_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from claracore.core.config.model import Config, ModelConfig
    from claracore.core.scheduler.slot import Slot
    from claracore.host.footprints.command_reader import ReadCommand
    from claracore.host.supervisor.commands import Commands

NO_CONVERSATIONS: Final = EMBEDDING_FLAGS | RANKING_FLAGS
API_KEY: Final = "--api-key"
LEAST_READ: Final = 64
"""Tokens: how fast a shorter prompt was read tells nothing."""
logger = logging.getLogger("claracore.conversations")


class ConfiguredServers(Protocol):
    """What is asked of the supervisor."""

    config: Config

    @property
    def slots(self) -> Mapping[str, Slot]:
        """State, requests in progress and waiting, by model id."""


@dataclass(frozen=True, slots=True)
class ConversationReport:
    """What is kept of one model's conversations, and whether it has brought anything since ClaraCore started."""

    keep: str
    saved: int
    saved_tokens: int
    saved_bytes: int
    restored: int
    reused_tokens: int
    saved_seconds: float | None
    """How long it would have taken to read again what was reused; None where that was not measured."""
    works: Works
    why: str


class ConversationKeeper:
    """Keeps the conversations of all models."""

    def __init__(self, commands: Commands, environ: Mapping[str, str], state_dir: Path | None, key: str) -> None:
        """`key` names the configuration among those that use the state folder. Nothing is made yet."""
        self._commands = commands
        self._environ = environ
        self._state_dir, self._key = state_dir, key
        self.read_command: Callable[[str], ReadCommand | None] = lambda _: None
        """What memory has read of a model's command and file."""
        self._servers: ConfiguredServers | None = None
        self._folders: dict[str, HeldFolder] = {}
        self._stores: dict[str, ConversationStore | None] = {}
        """By place; None where there is none."""
        self._known: dict[str, KnownServer] = {}
        self._without: dict[str, str] = {}
        """Why nothing is kept of the last server of a model."""
        self._most_beside: int | None = None
        """How many bytes of RAM conversations may take beside models, by what was said last; None for what is free."""
        self._ending = False
        self._making = asyncio.Lock()

    async def open(self, servers: ConfiguredServers) -> None:
        """Ask these for the configuration in force, and look at what there is: what a dead ClaraCore has left goes."""
        self._servers = servers
        await asyncio.to_thread(sweep_memory)
        for place in {model.conversations.keep for model in servers.config.models.values()} - {"off"}:
            await self._store(place)

    # --- for the servers --------------------------------------------------------------------------------------------

    async def begin(self, model: ModelConfig) -> ServerConversations | None:
        """Return what keeps the conversations of a server that is about to start; None where nothing is kept of it."""
        wishes = model.conversations
        why = self._why_not(model)
        if not why and await self._store(wishes.keep) is None:
            why = f"there is no place for it ({wishes.keep})"
        if why:
            self._without[model.id] = why
            self._known.pop(model.id, None)
            await asyncio.to_thread(self.drop, model.id)
            return None
        self._without.pop(model.id, None)
        try:
            return await asyncio.to_thread(self._begin, model)
        except OSError as error:
            self._without[model.id] = f"its folder cannot be made: {error}"
            return None

    def _begin(self, model: ModelConfig) -> ServerConversations:
        words, wishes = split(model.cmd), model.conversations
        store = self._stores[wishes.keep]
        assert store is not None  # noqa: S101 - as `begin` has seen
        files = stamp_of(model, self._environ)
        print_ = fingerprint(words, model.env, files, self._commands.build(model))
        known = self._known.get(model.id)
        if known is None or known.fingerprint != print_:
            known = self._known[model.id] = KnownServer(print_)
        folder = store.prepare(model.id)
        for place, other in self._stores.items():
            if other is not None and place != wishes.keep:
                other.drop(other.of(model.id))
        self._tidy(wishes.keep, store)
        return ServerConversations(
            model.id, wishes, known, store,
            room=lambda: self._room(model, store),
            may_save=lambda: self._may_save(model.id),
            idle_since=lambda: self._idle_since(model.id),
            tidy=lambda: self._tidy(wishes.keep, store),
            words=added_words(words, f"{folder}/", lambda flag: self._commands.takes(model, flag)),
            api_key=_value_of(words, API_KEY),
        )  # fmt: skip

    def _why_not(self, model: ModelConfig) -> str:
        """Say why nothing is kept of a model; empty where something may be."""
        words = split(model.cmd)
        if model.conversations.keep == "off":
            return "it is switched off"
        if SAVE_PATH in words:
            return f"the command has its own {SAVE_PATH}"
        if not self._commands.takes(model, SAVE_PATH):
            return f"its server is not known to have {SAVE_PATH}"
        if NO_CONVERSATIONS & set(words):
            return "it makes embeddings or ranks documents"
        if not any(stamp for path, stamp in stamp_of(model, self._environ) if path in words[1:]):
            return "its command does not name the model's file"
        return ""

    def _may_save(self, model_id: str) -> bool:
        config = self._servers.config.models.get(model_id) if self._servers is not None else None
        if config is None or config.conversations.keep == "off":
            return False
        return not self._ending or config.conversations.keep == "disk"

    def _idle_since(self, model_id: str) -> float | None:
        slot = self._servers.slots.get(model_id) if self._servers is not None else None
        return slot.idle_since if slot is not None and slot.is_idle else None

    # --- room -------------------------------------------------------------------------------------------------------

    def _room(self, model: ModelConfig, store: ConversationStore) -> int:
        """Return how many bytes may be written now, for a model; what is older goes afterwards."""
        wishes = model.conversations
        most = _most(wishes.keep, wishes.limit, store, held=0)
        return most if wishes.keep != "memory" or self._most_beside is None else min(most, self._most_beside)

    def _tidy(self, place: str, store: ConversationStore) -> None:
        """Remove what is too old, of models that are gone, or over a limit."""
        if self._servers is None:
            return
        config = self._servers.config
        kept, now = list(store), time.time()
        gone = [one for one in kept if one.model not in config.models]
        for model_id, model in config.models.items():
            of_model = [one for one in kept if one.model == model_id]
            gone += expired(of_model, now=now, ttl_seconds=model.conversations.ttl_seconds)
            gone += too_many(of_model, model.conversations.limit)
        rest = [one for one in kept if one not in gone]
        most = _most(place, config.conversations.limit, store, held=store.size)
        store.drop([*gone, *too_many(rest, most)])

    def memory_bytes(self, most: int | None = None) -> int:
        """Return how much RAM conversations take (tmpfs), after the oldest have gone that are over so many bytes."""
        store = self._stores.get("memory")
        if store is None:
            return 0
        if most is not None:
            self._most_beside = most
            store.drop(too_many(store, most))
        return store.size

    # --- what is told and asked -------------------------------------------------------------------------------------

    def answered(self, model_id: str, prompt: int | None, cached: int | None, per_second: float | None) -> None:
        """Take in what an answer tells of its prompt's tokens: how many, how many not read, and how fast the others."""
        known = self._known.get(model_id)
        if known is None or prompt is None or cached is None:
            return
        if known.speeds.bytes_per_token is None:
            known.speeds = replace(known.speeds, bytes_per_token=token_bytes(self.read_command(model_id)))
        if per_second and prompt - cached >= LEAST_READ:
            known.speeds = replace(known.speeds, tokens_per_second=per_second)
        known.truth.answered(prompt, cached)

    def report(self, model: ModelConfig) -> ConversationReport:
        """Return what is kept of a model's conversations."""
        kept = [one for one in self.all() if one.model == model.id]
        known, why = self._known.get(model.id), self._without.get(model.id, "")
        truth = known.truth if known is not None else Truth()
        speed = known.speeds.tokens_per_second if known is not None else None
        return ConversationReport(
            keep=model.conversations.keep,
            saved=len(kept),
            saved_tokens=sum(one.tokens for one in kept),
            saved_bytes=sum(one.size for one in kept),
            restored=known.restored if known is not None else 0,
            reused_tokens=truth.reused_tokens,
            saved_seconds=round(truth.reused_tokens / speed, 3) if speed else None,
            works="no" if why else truth.works,
            why=why or truth.why + (way_out(self.read_command(model.id)) if truth.why == READ_AGAIN else ""),
        )

    def all(self) -> list[KeptConversation]:
        """Return all conversations, the newest first."""
        found = [one for store in self._stores.values() if store is not None for one in store]
        return sorted(found, key=lambda one: -one.saved_at)

    def drop(self, model_id: str | None = None) -> int:
        """Forget the conversations of a model, or of all; returns how many. What was found out is tried anew."""
        gone = [one for one in self.all() if model_id in (None, one.model)]
        for store in self._stores.values():
            if store is not None:
                store.drop(gone)
        for known in self._known.values() if model_id is None else filter(None, [self._known.get(model_id)]):
            known.truth = Truth()
        return len(gone)

    # --- the end ----------------------------------------------------------------------------------------------------

    def end(self) -> None:
        """Take in that ClaraCore ends: what is kept in memory would be gone with it, so it is not saved any more."""
        self._ending = True

    def close(self) -> None:
        """Let the folders go; what is kept in memory is removed."""
        for place, folder in self._folders.items():
            folder.close(remove=place == "memory")
        self._folders.clear()
        self._stores.clear()

    async def _store(self, place: str) -> ConversationStore | None:
        async with self._making:
            if place not in self._stores:
                self._stores[place] = await asyncio.to_thread(self._open, place)
            return self._stores[place]

    def _open(self, place: str) -> ConversationStore | None:
        try:
            if place == "memory":
                folder = in_memory()
            elif self._state_dir is None:
                return None
            else:
                folder = on_disk(self._state_dir, self._key)
            self._folders[place] = folder
            return ConversationStore(folder.path)
        except OSError as error:
            logger.warning("conversations cannot be kept (%s): %s", place, error)
            return None


def _most(place: str, limit: int, store: ConversationStore, *, held: int) -> int:
    if place == "disk":
        return most_on_disk(limit, free_at(store.folder), held)
    return most_in_memory(limit, probe_memory().available_bytes, held)


def _value_of(words: Sequence[str], flag: str) -> str | None:
    """Return the value of a flag; the first of several that are separated by commas."""
    found = [value for name, value in pairwise(words) if name == flag]
    return found[-1].split(",")[0] if found else None
