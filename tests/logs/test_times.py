"""Expected texts: what Go's time package prints for the same moments (its documentation gives the layouts)."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta, timezone

import pytest

from claracore.core.config.model import TIME_FORMATS
from claracore.host.logs.proxy import TextFormatter
from claracore.host.logs.times import LAYOUTS, layout_named

EAST = timezone(timedelta(hours=5, minutes=30), "IST")
AT = datetime(2026, 9, 3, 14, 5, 9, 120300, EAST)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ANSIC", "Thu Sep  3 14:05:09 2026"),
        ("UnixDate", "Thu Sep  3 14:05:09 IST 2026"),
        ("RubyDate", "Thu Sep 03 14:05:09 +0530 2026"),
        ("RFC822", "03 Sep 26 14:05 IST"),
        ("RFC822Z", "03 Sep 26 14:05 +0530"),
        ("RFC850", "Thursday, 03-Sep-26 14:05:09 IST"),
        ("RFC1123", "Thu, 03 Sep 2026 14:05:09 IST"),
        ("RFC1123Z", "Thu, 03 Sep 2026 14:05:09 +0530"),
        ("RFC3339", "2026-09-03T14:05:09+05:30"),
        ("rfc3339nano", "2026-09-03T14:05:09.1203+05:30"),
        ("Kitchen", "2:05PM"),
        ("Stamp", "Sep  3 14:05:09"),
        ("StampMilli", "Sep  3 14:05:09.120"),
        ("StampMicro", "Sep  3 14:05:09.120300"),
        (" StampNano ", "Sep  3 14:05:09.120300000"),
    ],
)
def test_a_layout_writes_as_go_does(name: str, text: str) -> None:
    layout = layout_named(name)
    assert layout is not None
    assert layout(AT) == text


def test_midnight_noon_and_utc() -> None:
    assert LAYOUTS["kitchen"](datetime(2026, 1, 1, 0, 30, tzinfo=UTC)) == "12:30AM"
    assert LAYOUTS["kitchen"](datetime(2026, 1, 1, 12, 30, tzinfo=UTC)) == "12:30PM"
    assert LAYOUTS["rfc3339nano"](datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00Z"


def test_the_configuration_knows_the_same_names() -> None:
    assert set(LAYOUTS) == {name.lower() for name in TIME_FORMATS}
    assert layout_named("") is None
    assert layout_named("iso") is None


def test_a_formatter_takes_a_layout_while_it_runs() -> None:
    formatter = TextFormatter()
    record = logging.LogRecord("claracore", logging.INFO, "", 0, "hello", None, None)
    record.created = AT.timestamp()
    before = formatter.format(record)
    formatter.layout = LAYOUTS["rfc3339"]
    assert datetime.fromisoformat(formatter.format(record).split()[0]) == AT.replace(microsecond=0)
    formatter.layout = None
    assert formatter.format(record) == before
    assert before.endswith(" INFO hello")
