"""Rows of an older process are kept by a newer one that has further columns."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import asdict

from activity.rows import row
from claracore.host.activity.rows import ActivityRow
from claracore.host.upgrade.rows import BY_POSITION, RowsElsewhere, keep


class Kept:
    """What was kept (`journal.Rows`)."""

    def __init__(self) -> None:
        self.rows: list[ActivityRow] = []

    def next_id(self) -> int:
        return 7

    def add(self, row: ActivityRow) -> None:
        self.rows.append(row)


@pytest.mark.parametrize("columns", [len(BY_POSITION) - 1, len(BY_POSITION)])
def test_a_row_of_an_earlier_version_has_no_names_and_is_kept(columns: int) -> None:
    kept = Kept()
    named = asdict(row(id=3, node="desk"))
    keep([named[name] for name in BY_POSITION][:columns], kept)
    assert kept.rows == [row(id=7, node="desk" if columns == len(BY_POSITION) else None)]


def test_a_row_of_another_version_is_kept_with_the_columns_that_both_know() -> None:
    kept = Kept()
    named = asdict(row(id=3, request_id="abc", node="desk"))
    del named["node"]
    keep(named | {"what_will_be": 1}, kept)
    assert kept.rows == [row(id=7, request_id="abc", node=None)]


class Wire:
    """What goes to the other process (`PacketLink`): JSON."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def send(self, kind: str, body: object) -> None:
        assert kind == "row"
        self.sent.append(msgspec.json.decode(msgspec.json.encode(body)))


def test_what_one_sends_the_other_keeps_whole() -> None:
    before, kept, link = RowsElsewhere(), Kept(), Wire()
    waiting = row(id=before.next_id(), request_id="abc", node="desk", tokens_counted=True)
    before.add(waiting)
    before.go(link)  # type: ignore[arg-type] # all that is asked of it
    later = row(id=before.next_id(), error="x")
    before.add(later)
    for each in link.sent:
        keep(each, kept)
    assert [asdict(each) | {"id": 7} for each in (waiting, later)] == [asdict(each) for each in kept.rows]
