"""What activity says of speeds to others than its server."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from activity.rows import row
from claracore.core.fit.speed import SpeedSource
from claracore.host.activity.database import Activity
from claracore.host.activity.past_speeds import past_speeds


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "activity.sqlite"


def test_the_median_of_a_few_answers_also_while_a_server_writes(file: Path) -> None:
    with closing(Activity(file)) as activity:
        for number, (reading, writing) in enumerate([(90, 9), (110, 11), (100, 10), (1000, 100)]):
            tokens = 1 if number == 3 else 100
            activity.add(
                row(
                    id=number + 1, prompt_tokens=tokens, completion_tokens=tokens,
                    prompt_per_second=float(reading), tokens_per_second=float(writing),
                )
            )  # fmt: skip
        activity.flush()
        speed = past_speeds(file)["qwen"]
    assert (speed.reading, speed.writing, speed.answers, speed.source) == (100, 10, 3, SpeedSource.MEASURED)


def test_two_answers_are_too_few(file: Path) -> None:
    with closing(Activity(file)) as activity:
        for number in (1, 2):
            activity.add(row(id=number, prompt_tokens=100, completion_tokens=100))
    assert past_speeds(file) == {}


def test_a_prompt_that_was_remembered_was_not_read(file: Path) -> None:
    with closing(Activity(file)) as activity:
        for number in (1, 2, 3):
            activity.add(row(id=number, prompt_tokens=100, cached_tokens=95, completion_tokens=100))
    assert past_speeds(file)["qwen"].reading is None


def test_no_file_and_none_that_can_be_read(file: Path) -> None:
    assert past_speeds(None) == {}
    assert past_speeds(file) == {}
    file.write_text("no database", encoding="utf-8")
    assert past_speeds(file) == {}
