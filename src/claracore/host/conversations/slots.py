"""How are a llama-server's slots looked at, saved and restored?

`GET /slots` and `POST /slots/N?action=save|restore` (llama.cpp tools/server/README.md). What a server answers is not
believed: an odd answer is an error.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from claracore.host.supervisor.health import Answer, ask

if TYPE_CHECKING:
    from collections.abc import Mapping

    from claracore.types import Endpoint

MOST_BYTES = 4 << 20
"""Of an answer: a slot tells all of its parameters, some 2 KB."""
CANNOT = frozenset({404, 405, 501})
"""What is answered by a server that has no such thing."""


class SlotsRefused(Exception):
    """The server has refused, or has said something odd; `cannot` when it always will."""

    def __init__(self, why: str, *, cannot: bool = False) -> None:
        super().__init__(why)
        self.cannot = cannot


@dataclass(frozen=True, slots=True)
class SeenSlot:
    """One slot of a server: `tokens` in its cache, None where that is not said; `task` grows with each request."""

    id: int
    tokens: int | None
    task: int
    """-1 for a slot that has had no request yet."""


@dataclass(frozen=True, slots=True)
class MovedTokens:
    """What a save or a restore has moved."""

    tokens: int
    size: int
    """In bytes."""


@dataclass(frozen=True, slots=True)
class SlotsClient:
    """Asks one server. Every method raises SlotsRefused, OSError or EOFError, and sets no time limit."""

    endpoint: Endpoint
    api_key: str | None = None

    async def seen(self) -> list[SeenSlot]:
        """Return the slots, by number."""
        rows = _parsed(await self._ask("GET", "/slots"))
        if not isinstance(rows, list):
            raise SlotsRefused("its list of slots is none")
        return sorted((_slot(row) for row in rows if isinstance(row, dict)), key=lambda slot: slot.id)

    async def save(self, slot: int, file: str) -> MovedTokens:
        """Have a slot saved in a file of the server's folder."""
        return await self._move(slot, "save", file, ("n_saved", "n_written"))

    async def restore(self, slot: int, file: str) -> MovedTokens:
        """Have a slot filled from a file of the server's folder."""
        return await self._move(slot, "restore", file, ("n_restored", "n_read"))

    async def _move(self, slot: int, action: str, file: str, fields: tuple[str, str]) -> MovedTokens:
        body = json.dumps({"filename": file}).encode()
        found = _parsed(await self._ask("POST", f"/slots/{slot}?action={action}", body))
        if not isinstance(found, dict):
            raise SlotsRefused(f"its answer to {action} is none")
        return MovedTokens(*(_count(found, name) for name in fields))

    async def _ask(self, method: str, path: str, body: bytes = b"") -> Answer:
        headers = {} if self.api_key is None else {"Authorization": f"Bearer {self.api_key}"}
        try:
            return await ask(self.endpoint, method, path, body=body, headers=headers, most_bytes=MOST_BYTES)
        except ValueError as error:
            raise SlotsRefused(str(error)) from error


def _parsed(answer: Answer) -> Any:  # noqa: ANN401 - whatever JSON it is
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        found = None
    if answer.status != 200:
        raise SlotsRefused(_message(found) or f"it answers {answer.status}", cannot=answer.status in CANNOT)
    return found


def _message(found: object) -> str:
    error = found.get("error") if isinstance(found, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    return message[:200] if isinstance(message, str) else ""


def _slot(row: Mapping[str, Any]) -> SeenSlot:
    task = row.get("id_task", -1)
    return SeenSlot(
        _count(row, "id"),
        _count(row, "n_prompt_tokens") if "n_prompt_tokens" in row else None,
        task if isinstance(task, int) else -1,
    )


def _count(row: Mapping[str, Any], name: str) -> int:
    found = row.get(name)
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise SlotsRefused(f"{name} is missing in its answer")
    return found
