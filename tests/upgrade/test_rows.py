"""Rows of an older process are kept by a newer one that has further columns."""

from __future__ import annotations

from msgspec.structs import astuple

from activity.rows import row
from claracore.host.activity.rows import ActivityRow
from claracore.host.upgrade.rows import keep


class Kept:
    """What was kept (`journal.Rows`)."""

    def __init__(self) -> None:
        self.rows: list[ActivityRow] = []

    def next_id(self) -> int:
        return 7

    def add(self, row: ActivityRow) -> None:
        self.rows.append(row)


def test_a_row_without_the_last_column_is_kept() -> None:
    kept = Kept()
    *older, _node = astuple(row(id=3))
    keep(older, kept)
    assert kept.rows == [row(id=7, node=None)]
