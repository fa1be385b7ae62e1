"""How do the conversations of one server get there when it has started, and out of it before it ends?

One object for each process of a model's server. Nothing here may hinder a start or an end: whatever goes wrong costs
the reading of the conversation, and is said in the log.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

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
from claracore.host.conversations.store import SUFFIX, ConversationStore

if TYPE_CHECKING:
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
    tidy: Callable[[], None]
    """Sees to the limits of all models. Blocking."""
    words: tuple[str, ...]
    """What is added to the command."""
    api_key: str | None = None
    restore_seconds: float | None = None
    """How long the restore took; None where there was none."""
    cut_off: bool = False
    """Whether the server has closed a connection without an answer, so that it may be about to end."""
    _in_slots: dict[int, KeptConversation] = field(default_factory=dict)
    """What was restored, by slot."""
    _to_list: tuple[list[KeptConversation], list[KeptConversation]] | None = None
    """What was saved, and what was restored and nothing newer was saved of; None until `save` is through."""

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
        back = {slot: one.tokens for slot, one in self._in_slots.items()}
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
        try:
            async with asyncio.timeout(restore_patience_seconds(one.size)):
                moved = await client.restore(slot, one.file)
        except (SlotsRefused, OSError, EOFError) as error:  # TimeoutError is an OSError
            self._failed("restored", error)
            return False
        if moved.tokens < one.tokens:
            logger.warning("model %s: only %d of %d tokens came back", self.model, moved.tokens, one.tokens)
            return False
        self._in_slots[slot] = one
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
        if not self.may_save() or self.known.truth.works == "no":
            return
        began = time.monotonic()
        client = SlotsClient(endpoint, self.api_key)
        seen, room = await asyncio.gather(self._seen(client), asyncio.to_thread(self.room))
        used = [slot for slot in seen if slot.task >= 0 and slot.tokens != 0]
        saved = await self._saved(client, sorted(used, key=lambda slot: -slot.task), room)
        self._to_list = (list(saved.values()), [one for slot, one in self._in_slots.items() if slot not in saved])
        if saved:
            took = (time.monotonic() - began) * 1000
            logger.info("model %s: %d conversations are saved, in %.0f ms", self.model, len(saved), took)

    async def list_saved(self) -> None:
        """Have what was saved be what is kept, if anything was to be saved; raises nothing."""
        if self._to_list is None:
            return
        saved, waiting = self._to_list
        still = self.store.of(self.model)  # a person may have had some dropped
        try:
            await asyncio.to_thread(self._put, [*saved, *(one for one in waiting if one in still)])
        except OSError as error:
            self._failed("listed", error)

    def _put(self, kept: list[KeptConversation]) -> None:
        self.store.put(self.model, kept)
        self.tidy()

    async def _saved(self, client: SlotsClient, used: Iterable[SeenSlot], room: int) -> dict[int, KeptConversation]:
        """Save slots, the one that was used last first, until something goes wrong; return what is saved of which."""
        saved: dict[int, KeptConversation] = {}
        known, now = self.known, time.time()
        for slot in used:
            tokens = self.wishes.min_tokens if slot.tokens is None else slot.tokens
            if not is_worth_saving(tokens, self.wishes.min_tokens, known.speeds, room):
                continue
            file, began = f"{time.time_ns():x}-{slot.id}{SUFFIX}", time.monotonic()
            try:
                async with asyncio.timeout(patience_seconds(tokens, known.speeds)):
                    moved = await client.save(slot.id, file)
                size = (self.store.folder_of(self.model) / file).stat().st_size  # with what newer engines add
            except (SlotsRefused, OSError, EOFError) as error:
                if isinstance(error, TimeoutError):
                    known.speeds = known.speeds.too_slow(tokens, patience_seconds(tokens, known.speeds))
                self._failed("saved", error)
                break
            self._note_speed(moved, time.monotonic() - began)
            if moved.tokens >= self.wishes.min_tokens and size <= room:
                room -= size
                # One that was used earlier counts as older.
                at = now - 0.001 * len(saved)
                saved[slot.id] = KeptConversation(self.model, file, known.fingerprint, moved.tokens, size, at)
        return saved

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
