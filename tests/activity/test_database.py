from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from activity.rows import row
from claracore.host.activity.database import Activity, StoreUnusable
from claracore.host.activity.queries import Wanted
from claracore.host.activity.rows import COLUMNS, ActivityRow
from claracore.host.activity.statistics import Percentiles, percentiles, stats_by_model
from claracore.host.activity.writer import Bounds


@pytest.fixture
def activity(tmp_path: Path) -> Iterator[Activity]:
    with closing(Activity(tmp_path / "activity.sqlite")) as opened:
        yield opened


def found(activity: Activity, **wanted: object) -> list[ActivityRow]:
    activity.flush()
    return activity.rows(Wanted(**wanted), limit=100)[0]  # type: ignore[arg-type] # passed on as it is


def test_what_is_added_is_found_again_also_by_the_next_run(tmp_path: Path) -> None:
    path = tmp_path / "a" / "activity.sqlite"
    kept = [row(id=1), row(id=2, model="phi", status=502, error="it died", key="ann", stream=False, has_capture=True)]
    with closing(Activity(path)) as first:
        for each in kept:
            first.add(each)
    with closing(Activity(path)) as second:
        assert second.next_id() == 3
        assert found(second) == kept[::-1]


def test_only_its_user_may_read_it_also_when_it_was_there_before(tmp_path: Path) -> None:
    for name in ("new.sqlite", "old.sqlite"):
        path = tmp_path / name
        if name == "old.sqlite":
            sqlite3.connect(path).execute("CREATE TABLE somebody (else_ INTEGER)").connection.close()
            path.chmod(0o644)
        with closing(Activity(path)) as activity:
            activity.add(row())
            assert found(activity) == [row()]
            modes = {its.name: its.stat().st_mode & 0o777 for its in tmp_path.glob(f"{name}*")}
            assert modes == dict.fromkeys((name, f"{name}-wal", f"{name}-shm", f"{name}.lock"), 0o600)


def test_memory_needs_no_file() -> None:
    with closing(Activity(None)) as activity, closing(Activity(None)) as other:
        activity.add(row())
        assert found(activity) == [row()]
        assert found(other) == []


def test_rows_are_wanted_by_every_part(activity: Activity) -> None:
    for each in (
        row(id=1, at=100.0),
        row(id=2, at=200.0, model="phi", status=404, error="no such 100% thing"),
        row(id=3, at=300.0, model="phi", status=500, key="ann_b", request_id="job_1"),
        row(id=4, at=400.0, status=0, error="the client left", node="desk", request_id="0af31c"),
    ):
        activity.add(each)

    def ids(**wanted: object) -> list[int]:
        return [each.id for each in found(activity, **wanted)]

    assert ids() == [4, 3, 2, 1]
    assert ids(models=("phi",)) == [3, 2]
    assert ids(models=("phi", "qwen"), descending=False) == [1, 2, 3, 4]
    assert ids(status="4xx") == [2]
    assert ids(status="500") == [3]
    assert ids(status="error") == [3, 2], "whoever stops an answer has not seen it fail"
    assert ids(status="left") == [4]
    assert ids(status="ok") == [1]
    assert ids(status="nonsense") == []
    assert ids(text="ANN_") == [3], "LIKE ignores case, and _ is no wildcard"
    assert ids(text="100%") == [2]
    assert ids(text="%") == [2]
    assert ids(text="af31") == [4], "a part of the request id"
    assert ids(text="job_1") == [3]
    assert ids(text="jobx1") == []
    assert ids(text="job", models=("qwen",)) == []
    assert ids(text="desk") == [4]
    assert ids(start=200.0, end=400.0) == [3, 2]
    assert ids(min_id=2, max_id=3) == [3, 2]
    assert ids(sort="status", descending=False) == [4, 1, 2, 3]
    assert ids(sort="1; DROP TABLE activity") == [4, 3, 2, 1]


def test_how_many_contain_a_text_is_said_too(activity: Activity) -> None:
    for number in range(1, 6):
        activity.add(row(id=number, model="phi" if number < 3 else "qwen", request_id=f"a{number}"))
    activity.flush()
    assert activity.rows(Wanted(text="phi"), limit=1)[1] == 2
    assert activity.rows(Wanted(text="a4"), limit=1)[1] == 1


def test_ids_make_no_new_subjects(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    with closing(Activity(path)) as activity:
        for number in range(1, 6):
            activity.add(row(id=number, request_id=f"a{number}"))
        activity.flush()
        with activity.reading() as connection:
            assert connection.execute("SELECT count(*) FROM claracore_subjects").fetchone() == (1,)


def test_a_file_of_an_earlier_version_gets_the_column(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    with closing(Activity(path)) as before:
        before.add(row(id=1))
        before.flush()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("ALTER TABLE claracore_activity DROP COLUMN request_id")
    with closing(Activity(path)) as after:
        after.add(row(id=2, request_id="abc"))
        assert found(after) == [row(id=2, request_id="abc"), row(id=1)]


def test_pages_say_how_many_there_are(activity: Activity) -> None:
    for number in range(1, 8):
        activity.add(row(id=number))
    activity.flush()
    rows, total = activity.rows(Wanted(), limit=3, offset=3)
    assert ([each.id for each in rows], total) == ([4, 3, 2], 7)


def test_count_and_age_are_bounded(tmp_path: Path) -> None:
    with closing(Activity(tmp_path / "a.sqlite", Bounds(rows=500, days=1))) as activity:
        now = time.time()
        for number in range(1, 2001):
            activity.add(row(id=number, at=now))
        activity.flush()
        assert activity.rows(Wanted(), limit=1)[1] <= 500 + 1000, "it is pruned after each thousand rows"
    with closing(Activity(tmp_path / "b.sqlite", Bounds(rows=5000, days=1))) as activity:
        for number in range(1, 3001):
            activity.add(row(id=number, at=now if number > 900 else now - 2 * 86_400))
        activity.flush()
        activity.add(row(id=3001, at=now))
        assert all(each.at == now for each in activity.rows(Wanted(), limit=999)[0])
        assert [each.id for each in activity.rows(Wanted(descending=False), limit=1)[0]] == [901]


def test_an_older_file_gets_the_columns_that_are_new(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    with closing(Activity(path)) as activity:
        activity.add(row())
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE claracore_activity DROP COLUMN draft_tokens")
    with closing(Activity(path)) as activity:
        assert found(activity) == [row()]


@pytest.mark.parametrize("content", [b"this is no database, it is a text" * 100, None])
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.sqlite"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(StoreUnusable, match=r"a\.sqlite"):
        Activity(path)


def test_readers_and_the_writer_do_not_wait_for_each_other(activity: Activity) -> None:
    errors: list[Exception] = []

    def read() -> None:
        try:
            for _ in range(50):
                activity.rows(Wanted(), limit=10)
        except StoreUnusable as error:
            errors.append(error)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for number in range(1, 3000):
        activity.add(row(id=number))
    for reader in readers:
        reader.join()
    activity.flush()
    assert not errors
    assert activity.rows(Wanted(), limit=1)[1] == 2999


WRITER = """
import sys, time
from pathlib import Path
from claracore.host.activity.database import Activity
from activity.rows import row
activity = Activity(Path(sys.argv[1]))
number = 0
while True:
    number += 1
    activity.add(row(id=number, at=time.time()))
    if number % 100 == 0:
        print(number, time.time(), flush=True)
    time.sleep(0.0005)
"""


def test_kill_9_in_the_middle_of_writes_loses_at_most_the_last_second(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    tests = str(Path(__file__).parents[1])
    argv = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": tests}) as writer:
        assert writer.stdout is not None
        told = [writer.stdout.readline() for _ in range(15)]
        writer.send_signal(signal.SIGKILL)
        told += writer.stdout.readlines()
    last, at = told[-1].split()
    with closing(Activity(path)) as activity:
        rows, total = activity.rows(Wanted(), limit=1)
        assert total == rows[0].id, "no row is missing before the last one"
        assert rows[0].at > float(at) - 1.0, f"{last} rows were added, the newest kept is {rows[0].id}"


def test_stats_are_totals_and_percentiles(activity: Activity) -> None:
    for number in range(1, 101):
        activity.add(row(id=number, at=float(number), first_token_seconds=number / 100, tokens_per_second=None))
    activity.add(row(id=101, model="phi", status=502, error="it died", prompt_tokens=None, first_token_seconds=None))
    activity.flush()
    by_model = stats_by_model(activity)
    assert by_model["qwen"].requests == 100
    assert by_model["qwen"].prompt_tokens == 1000
    assert by_model["qwen"].first_token_seconds == Percentiles(0.5, 0.95, 0.99)
    assert by_model["qwen"].tokens_per_second is None
    assert (by_model["phi"].errors, by_model["phi"].prompt_tokens) == (1, 0)
    assert stats_by_model(activity, "phi").keys() == {"phi"}


def test_sums_follow_what_is_kept(tmp_path: Path) -> None:
    with closing(Activity(tmp_path / "a.sqlite", Bounds(rows=100))) as activity:
        for number in range(1, 1001):
            activity.add(row(id=number, at=time.time(), model="gone" if number < 900 else "kept"))
        activity.flush()
        by_model = stats_by_model(activity)
        assert {name: its.requests for name, its in by_model.items()} == {"kept": 100}
        assert by_model["kept"].prompt_tokens == 1000
        assert activity.rows(Wanted(models=("gone",)), limit=1) == ([], 0)


def test_text_is_forgotten_with_its_rows(tmp_path: Path) -> None:
    with closing(Activity(tmp_path / "a.sqlite", Bounds(rows=10))) as activity:
        activity.add(row(id=1, key="ann"))
        assert [each.id for each in found(activity, text="ann")] == [1]
        for number in range(2, 1002):
            activity.add(row(id=number, at=time.time(), error=f"error {number}"))
        assert [each.id for each in found(activity, text="error 1001")] == [1001]
        assert found(activity, text="ann") == []
        with activity.reading() as connection:
            assert connection.execute("SELECT count(*) FROM claracore_subjects").fetchone() == (10,)
        activity.add(row(id=1002, key="ann"))
        assert [each.id for each in found(activity, text="ann")] == [1002], "a subject that was forgotten comes back"


def test_tables_of_another_program_in_the_same_file_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "llama-swap.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE activity (id INTEGER PRIMARY KEY, ts_created INTEGER NOT NULL, model_id TEXT)")
        connection.execute("INSERT INTO activity VALUES (1, 2, 'theirs')")
        connection.execute("PRAGMA user_version = 7")
        connection.commit()
    with closing(Activity(path)) as activity:
        activity.add(row())
        assert found(activity) == [row()]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT * FROM activity").fetchall() == [(1, 2, "theirs")]
        assert connection.execute("PRAGMA user_version").fetchone() == (7,)


def test_two_files_of_one_name_have_locks_of_their_own(tmp_path: Path) -> None:
    with closing(Activity(tmp_path / "a.db")), closing(Activity(tmp_path / "a.sqlite")) as other:
        other.add(row())
        assert found(other) == [row()]


@pytest.mark.parametrize("column", COLUMNS)
def test_rows_can_be_sorted_by_every_column(activity: Activity, column: str) -> None:
    for number in range(1, 4):
        activity.add(row(id=number, prompt_tokens=10 - number, model=f"model {number}"))
    first = activity.rows(Wanted(sort=column, descending=False), limit=9)[0]
    assert first == sorted(first, key=lambda each: (getattr(each, column) or 0, each.id))
    assert activity.rows(Wanted(sort=column), limit=9)[0] == first[::-1]


def test_who_asks_finds_what_was_added_a_moment_ago(activity: Activity) -> None:
    for number in range(1, 30):
        activity.add(row(id=number))
        assert activity.rows(Wanted(), limit=1)[1] == number
        assert stats_by_model(activity)["qwen"].requests == number


def test_what_is_too_old_goes_although_each_run_is_short(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    with closing(Activity(path)) as activity:
        activity.add(row(id=1, at=time.time() - 40 * 86_400, key="ann"))
    with closing(Activity(path)) as activity:
        activity.add(row(id=2, at=time.time()))
        assert [each.id for each in found(activity)] == [2]
        assert found(activity, text="ann") == []


@pytest.mark.parametrize("bad", [{"error": "half a pair: \ud800"}, {"prompt_tokens": 1 << 64}])
def test_what_cannot_be_written_does_not_stop_the_writer(activity: Activity, bad: dict[str, object]) -> None:
    activity.add(row(id=1, model="new", **bad))
    activity.flush()
    activity.add(row(id=2, model="new"))
    assert [each.id for each in found(activity)] == [2]
    assert stats_by_model(activity)["new"].requests == 1


def test_two_instances_do_not_write_to_one_file(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    with closing(Activity(path)), pytest.raises(StoreUnusable, match="another ClaraCore"):
        Activity(path)
    with closing(Activity(path)) as again:
        again.add(row())
        assert found(again) == [row()]


def test_a_batch_that_fails_is_lost_as_a_whole_and_the_next_is_kept(activity: Activity) -> None:
    activity.add(row(id=1))
    activity.flush()
    activity.add(row(id=2, model="new"))
    activity.add(row(id=1, model="new"))  # the number is taken
    activity.flush()
    activity.add(row(id=3, model="new"))
    assert [each.id for each in found(activity)] == [3, 1]
    assert {name: its.requests for name, its in stats_by_model(activity).items()} == {"new": 1, "qwen": 1}


def test_percentiles_are_the_nearest_rank() -> None:
    assert percentiles([]) is None
    assert percentiles([None]) is None
    assert percentiles([3.0]) == Percentiles(3.0, 3.0, 3.0)
    assert percentiles([4.0, 1.0, None, 3.0, 2.0]) == Percentiles(2.0, 4.0, 4.0)
