from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from claracore.errors import BadRequest, NotFound
from claracore.host.store.files import FileUnusable
from claracore.http.access.key_file import KeyFile
from claracore.http.access.keyring import KeyRing
from claracore.http.access.keys import NamedKey, Right
from claracore.http.access.named_keys import NamedKeys


class Names:
    """A configuration of which only the aliases matter."""

    def __init__(self, **aliases: str) -> None:
        self.aliases = aliases
        self.now = SimpleNamespace(config=SimpleNamespace(resolve=self.aliases.get))


def named_keys(ring: KeyRing, folder: Path, **aliases: str) -> tuple[NamedKeys, Names]:
    names: Any = Names(**aliases)
    return NamedKeys(ring, KeyFile(folder), names), names


def test_a_key_counts_from_its_making_to_its_end(tmp_path: Path) -> None:
    async def story() -> None:
        ring = KeyRing()
        keys, _ = named_keys(ring, tmp_path)
        with pytest.raises(BadRequest, match="admin"):
            await keys.add("ann", [Right.READ], models=None, expires_at=None)
        text, kept = await keys.add("ann", [Right.ADMIN], models=None, expires_at=None)
        grant = ring.grant(text.encode())
        assert grant is not None
        assert (kept.name, grant.name) == ("ann", "ann")
        await keys.remove("ann")
        assert not ring.any
        with pytest.raises(NotFound):
            await keys.remove("ann")

    asyncio.run(story())


def test_an_alias_is_the_model_that_has_it_now(tmp_path: Path) -> None:
    KeyFile(tmp_path).add("bob", [Right.INFERENCE], models=["fast"])
    ring = KeyRing()
    keys, names = named_keys(ring, tmp_path, fast="one")
    assert ring.named[0].models == frozenset({"one"})
    names.aliases["fast"] = "two"
    keys.use_again()
    assert ring.named[0].models == frozenset({"two"})


def test_what_another_process_has_changed_is_seen_when_a_key_is_asked_for(tmp_path: Path) -> None:
    ring = KeyRing()
    named_keys(ring, tmp_path)
    KeyFile(tmp_path).add("cleo", [Right.ADMIN])
    assert not ring.any
    ring.look(0.0)
    assert [key.name for key in ring.named] == ["cleo"]


def test_a_damaged_file_opens_no_door(tmp_path: Path) -> None:
    file = KeyFile(tmp_path)
    file.add("dan", [Right.ADMIN])
    ring = KeyRing()
    keys, _ = named_keys(ring, tmp_path)
    file.path.write_text("{")
    keys.use_again()
    assert [key.name for key in ring.named] == ["dan"], "those that were read last stay"
    with pytest.raises(FileUnusable):
        named_keys(KeyRing(), tmp_path)


class FileReadLate(KeyFile):
    """What is read after a removal is handed in when something else has happened."""

    def __init__(self, folder: Path, meanwhile: Callable[[], None]) -> None:
        super().__init__(folder)
        self.meanwhile, self.is_removed = meanwhile, False

    def remove(self, name: str) -> None:
        super().remove(name)
        self.is_removed = True

    def load(self) -> tuple[NamedKey, ...]:
        found = super().load()
        if self.is_removed:
            self.is_removed = False
            self.meanwhile()
        return found


def test_what_was_seen_in_the_file_is_not_forgotten_for_what_was_read_before(tmp_path: Path) -> None:
    KeyFile(tmp_path).add("ann", [Right.ADMIN])

    async def story() -> None:
        ring, loop = KeyRing(), asyncio.get_running_loop()

        def another_is_added_and_seen() -> None:
            KeyFile(tmp_path).add("cleo", [Right.ADMIN])
            seen = threading.Event()
            loop.call_soon_threadsafe(ring.look, 0.0)
            loop.call_soon_threadsafe(seen.set)
            if threading.current_thread() is not threading.main_thread():  # else it is seen afterwards
                assert seen.wait(20)

        names: Any = Names()
        keys = NamedKeys(ring, FileReadLate(tmp_path, another_is_added_and_seen), names)
        await keys.remove("ann")
        ring.look(0.0)
        assert [key.name for key in ring.named] == ["cleo"]

    asyncio.run(story())
