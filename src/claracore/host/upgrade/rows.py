"""Where do rows of activity go while another process keeps the file?"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import asdict, replace

from claracore.host.activity.rows import COLUMNS, ActivityRow

if TYPE_CHECKING:
    from claracore.host.activity.journal import Rows
    from claracore.host.upgrade.link import PacketLink


BY_POSITION: Final = (
    *("id", "at", "queue_seconds", "load_seconds", "first_token_seconds", "total_seconds"),
    *("prompt_tokens", "cached_tokens", "completion_tokens", "prompt_per_second", "tokens_per_second"),
    *("draft_tokens", "accepted_tokens", "tokens_counted", "has_capture", "model", "requested", "path", "status"),
    *("stream", "key", "client", "error", "content_type", "session", "selector", "priority", "node"),
)
"""What earlier versions send, without names, in their order; the first of them end before `node`."""


class RowsElsewhere:
    """Rows that the other process is to keep (`journal.Rows`); they wait until it can."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self._kept: list[ActivityRow] = []
        self._link: PacketLink | None = None

    def next_id(self) -> int:
        """Return any id: the other process gives its own."""
        return next(self._ids)

    def add(self, row: ActivityRow) -> None:
        """Have a row kept there."""
        if self._link is None:
            self._kept.append(row)
        else:
            self._link.send("row", asdict(row))

    def go(self, link: PacketLink) -> None:
        """Send what has waited, and from now on each."""
        self._link = link
        for row in self._kept:
            self.add(row)
        self._kept.clear()

    def come_back(self, rows: Rows) -> None:
        """Have what has waited kept here after all."""
        for row in self._kept:
            rows.add(replace(row, id=rows.next_id()))
        self._kept.clear()


def keep(row: dict[str, Any] | list[Any], rows: Rows) -> None:
    """Keep a row that the other process has sent, whose version may know more columns, or fewer."""
    named = row if isinstance(row, dict) else dict(zip(BY_POSITION, row, strict=False))
    values: dict[str, Any] = {name: named.get(name) for name in COLUMNS} | {"id": rows.next_id()}
    rows.add(ActivityRow(**values))
