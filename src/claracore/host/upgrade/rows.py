"""Where do rows of activity go while another process keeps the file?"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from msgspec.structs import astuple, replace

from claracore.host.activity.rows import ActivityRow

if TYPE_CHECKING:
    from claracore.host.activity.journal import Rows
    from claracore.host.upgrade.link import PacketLink


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
            self._link.send("row", astuple(row))

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


def keep(row: list[Any], rows: Rows) -> None:
    """Keep a row that the other process has sent, as `astuple` has written it."""
    rows.add(replace(ActivityRow(*row), id=rows.next_id()))
