"""How do the conversations of one server get there when it has started, and out of it before it ends?

One object for each process of a model's server. Nothing here may hinder a start or an end: whatever goes wrong costs
the reading of the conversation, and is said in the log.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from claracore.core.conversations.ahead import is_due, is_saved_ahead
from claracore.core.conversations.chosen import chosen_slot
from claracore.core.conversations.kept import Fitting, KeptConversation, fitting
from claracore.core.conversations.truth import Truth
from claracore.core.conversations.worth import (
    KeepingSpeeds,
    is_worth_saving,
    patience_seconds,
    restore_patience_seconds,
)
from claracore.host.conversations.slots import MovedTokens, SeenSlot, SlotsClient, SlotsRefused
from claracore.host.conversations.store import ConversationStore

if TYPE_CHECKING:
    from pathlib import Path

    from claracore.core.config.conversations import Conversations
    from claracore.types import Endpoint

LOOK_SECONDS: Final = 2.0
"""For how long a server may take to list its slots."""
LARGE: Final = 1 << 20
"""Bytes: what a smaller file took to be written tells nothing of the place."""
MOST_CRASHES: Final = 2
"""One may be due to a file that is damaged."""
logger = logging.getLogger("claracore.conversations")


@dataclass(slots=True)
class KnownServer:
    """What is known of the conversations of one model, as long as its servers make the same caches."""

    fingerprint: str
    truth: Truth = field(default_factory=Truth)
    speeds: KeepingSpeeds = field(default_factory=KeepingSpeeds)
    restored: int = 0
    """Conversations that were brought back, since ClaraCore started."""
    restored_tokens: int = 0
    crashes: int = 0
    """Servers that ended while conversations were restored."""


@dataclass(frozen=True, slots=True)
class InSlot:
    """What is kept of what is in a slot, and the task as of which that is: -1 until a request has taken it."""

    kept: KeptConversation
    task: int = -1


@dataclass(frozen=True, slots=True)
class Saving:
    """Which conversations are saved now."""

    chosen: Callable[[int, int, KeepingSpeeds, int], bool]
    """By tokens, the fewest, speeds and room, as `is_worth_saving`."""
    goes_on: Callable[[], bool] = lambda: True
    """Whether another one may still be begun."""


AT_THE_END: Final = Saving(is_worth_saving)


@dataclass(slots=True)
class ServerConversations:
    """The conversations of one process of a model's server."""

    model: str
    wishes: Conversations
    known: KnownServer
    store: ConversationStore
    room: Callable[[], int]
    """How many bytes may be written now. Blocking."""
    may_save: Callable[[], bool]
    idle_since: Callable[[], float | None]
    """Since when nobody wants anything of the model, in seconds of `time.monotonic()`; None while somebody does."""
    tidy: Callable[[], None]
    """Sees to the limits of all models. Blocking."""
    words: tuple[str, ...]
    """What is added to the command."""
    api_key: str | None = None
    restore_seconds: float | None = None
    """How long the restore took; None where there was none."""
    cut_off: bool = False
    """Whether the server has closed a connection without an answer, so that it may be about to end."""
    _in_slots: dict[int, InSlot] = field(default_factory=dict)
    """What was restored or saved ahead, by slot."""
    _looked_since: float | None = None
    """When the pause began in which it was looked last for what may be saved ahead."""
    _fresh: dict[int, InSlot] | None = None
    """What was saved and is not listed yet, by slot; None when there is nothing to list."""

    # --- into it ----------------------------------------------------------------------------------------------------

    async def restore(self, endpoint: Endpoint) -> None:
        """Bring the newest conversations back, into as many slots as there are. Raises nothing; its time is bounded."""
        if not self.store.of(self.model):
            return
        began = time.monotonic()
        client = SlotsClient(endpoint, self.api_key)
        seen = await self._seen(client)
        found = self._fitting([slot.id for slot in seen])
        gone = list(found.stale)
        for slot, one in found.into:
            if not await self._restored(client, slot, one):
                gone.append(one)
        if gone:
            await asyncio.to_thread(self.store.drop, gone)
        back = {slot: one.kept.tokens for slot, one in self._in_slots.items()}
        self.known.truth.restored(back)
        self.known.restored += len(back)
        self.known.restored_tokens += sum(back.values())
        self.restore_seconds = time.monotonic() - began
        logger.info("model %s: %d conversations are back (%d tokens)", self.model, len(back), sum(back.values()))

    def _fitting(self, slots: list[int]) -> Fitting:
        kept = self.store.of(self.model)
        wishes = self.wishes
        return fitting(kept, slots, fingerprint=self.known.fingerprint, now=time.time(), ttl_seconds=wishes.ttl_seconds)

    async def _restored(self, client: SlotsClient, slot: int, one: KeptConversation) -> bool:
        if not self.store.is_whole(one):
            logger.warning("model %s: a conversation is not as it was saved, and is forgotten", self.model)
            return False  # there are engines that end when they read half of one
        try:
            async with asyncio.timeout(restore_patience_seconds(one.size)):
                moved = await client.restore(slot, one.file)
        except (SlotsRefused, OSError, EOFError) as error:  # TimeoutError is an OSError
            self._failed("restored", error)
            return False
        if moved.tokens < one.tokens:
            logger.warning("model %s: only %d of %d tokens came back", self.model, moved.tokens, one.tokens)
            return False
        self._in_slots[slot] = InSlot(one)
        return True

    def crashed(self) -> None:
        """Take in that the server has ended while conversations were restored: none of them is tried again."""
        self.known.crashes += 1
        if self.known.crashes >= MOST_CRASHES:
            self.known.truth.refused("its server ended when its conversations were restored")
        self.store.drop(self.store.of(self.model))

    def hear(self, line: str) -> None:
        """Take in a line that the server has printed."""
        if self.known.truth.listens and (one := chosen_slot(line)) is not None:
            self.known.truth.chosen(one)

    # --- out of it --------------------------------------------------------------------------------------------------

    async def save(self, endpoint: Endpoint) -> None:
        """Have the engine write down what is worth it. Raises nothing; takes no longer than what it saves.

        `list_saved` belongs to it, and may run while the server ends: somebody waits for that.
        """
        if self._is_wanted:
            await self._save_changed(endpoint, AT_THE_END)

    @property
    def due_ahead(self) -> bool:
        """Whether it is time to look for what may be saved although the server goes on."""
        in_memory = self.wishes.keep == "memory"
        return in_memory and is_due(self.idle_since(), self._looked_since, time.monotonic()) and self._is_wanted

    async def save_ahead(self, endpoint: Endpoint, is_ending: Callable[[], bool]) -> None:
        """Save what a request that comes meanwhile hardly waits for, and keep it; raises nothing.

        Once somebody wants something of the model, or it is ending, no other conversation is begun.
        """
        since = self._looked_since = self.idle_since()
        goes_on = Saving(is_saved_ahead, lambda: self.idle_since() == since and not is_ending())
        await self._save_changed(endpoint, goes_on)
        await self.list_saved()

    @property
    def _is_wanted(self) -> bool:
        return self.may_save() and self.known.truth.works != "no"

    async def _save_changed(self, endpoint: Endpoint, saving: Saving) -> None:
        began = time.monotonic()
        client = SlotsClient(endpoint, self.api_key)
        seen, room = await asyncio.gather(self._seen(client), asyncio.to_thread(self.room))
        fresh = self._fresh = dict[int, InSlot]()
        await self._save_each(client, self._changed(seen), room, saving, fresh)
        if fresh:
            took, ahead = (time.monotonic() - began) * 1000, "" if saving is AT_THE_END else " ahead"
            logger.info("model %s: %d conversations are saved%s, in %.0f ms", self.model, len(fresh), ahead, took)

    def _changed(self, seen: Iterable[SeenSlot]) -> Iterator[SeenSlot]:
        """Give the slots that hold something of which nothing as new is kept, the one that was used last first."""
        still = self.store.of(self.model)
        for slot in sorted(seen, key=lambda slot: -slot.task):
            one = self._in_slots.get(slot.id)
            is_kept = one is not None and one.task == slot.task and one.kept in still
            if slot.task >= 0 and slot.tokens != 0 and not is_kept:
                yield slot

    async def list_saved(self) -> None:
        """Have what was saved be what is kept, if anything was to be saved; raises nothing."""
        if self._fresh is None:
            return
        before, still = self._in_slots, self.store.of(self.model)  # a person may have had some dropped
        waiting = [one.kept for slot, one in before.items() if slot not in self._fresh and one.kept in still]
        kept = [*(one.kept for one in self._fresh.values()), *waiting]
        self._in_slots, self._fresh = before | self._fresh, None
        try:
            await asyncio.to_thread(self._put, kept)
        except OSError as error:
            self._failed("listed", error)

    def _put(self, kept: list[KeptConversation]) -> None:
        self.store.put(self.model, kept)
        self.tidy()

    async def _save_each(
        self, client: SlotsClient, changed: Iterable[SeenSlot], room: int, saving: Saving, fresh: dict[int, InSlot]
    ) -> None:
        """Save slots, in this order, until something goes wrong."""
        known, least, now = self.known, self.wishes.min_tokens, time.time()
        for slot in changed:
            tokens = least if slot.tokens is None else slot.tokens
            if not saving.goes_on():
                break
            if not saving.chosen(tokens, least, known.speeds, room):
                continue
            with self.store.new_file(self.model, slot.id) as new:
                moved = await self._written(client, slot.id, tokens, new.path)
                if moved is None:
                    break
                new.wanted = moved.tokens >= least and moved.size <= room
            if new.wanted:
                room -= moved.size
                at = now - 0.001 * len(fresh)  # one that was used earlier counts as older
                kept = KeptConversation(self.model, new.path.name, known.fingerprint, moved.tokens, moved.size, at)
                fresh[slot.id] = InSlot(kept, slot.task)

    async def _written(self, client: SlotsClient, slot: int, tokens: int, path: Path) -> MovedTokens | None:
        """Have the engine write a slot down; None when it does not within the time that reading it takes."""
        known, began = self.known, time.monotonic()
        patience = patience_seconds(tokens, known.speeds)
        try:
            async with asyncio.timeout(patience):
                moved = await client.save(slot, path.name)
            moved = replace(moved, size=self.store.size_of(path))  # with what newer engines add
        except (SlotsRefused, OSError, EOFError) as error:
            if isinstance(error, TimeoutError):
                known.speeds = known.speeds.too_slow(tokens, patience)
            self._failed("saved", error)
            return None
        self._note_speed(moved, time.monotonic() - began)
        return moved

    def _note_speed(self, moved: MovedTokens, seconds: float) -> None:
        if moved.size >= LARGE and moved.tokens and seconds > 0:
            speeds = self.known.speeds
            self.known.speeds = replace(
                speeds, bytes_per_token=moved.size / moved.tokens, bytes_per_second=moved.size / seconds
            )

    # --- both -------------------------------------------------------------------------------------------------------

    async def _seen(self, client: SlotsClient) -> list[SeenSlot]:
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                return await client.seen()
        except (SlotsRefused, OSError, EOFError) as error:
            self._failed("listed", error)
            return []

    def _failed(self, what: str, error: Exception) -> None:
        self.cut_off = isinstance(error, EOFError | ConnectionError)
        why = "its server has hung up" if self.cut_off else str(error) or "it took too long"
        if isinstance(error, SlotsRefused) and error.cannot:
            self.known.truth.refused(why)
        logger.warning("model %s: conversations could not be %s: %s", self.model, what, why)
