from __future__ import annotations

from claracore.host.engines.states import MARK
from claracore.host.supervisor.health import Loading, ReadyDeadline
from claracore.host.supervisor.reports import Reports


def report(state: str, payload: str = "{}") -> str:
    return f'{MARK}{{"state":"{state}","payload":{payload}}}'


def loading(value: float) -> str:
    return report("loading", f'{{"stages":["text_model"],"current":"text_model","value":{value}}}')


def test_a_line_of_the_log_is_no_report() -> None:
    changes: list[str] = []
    reports = Reports(lambda: changes.append("changed"))
    assert not reports.take("llama_model_loader: loaded meta data")
    assert (reports.loading, reports.asleep, changes) == (None, False, [])


def test_each_report_is_a_change() -> None:
    seen: list[tuple[Loading | None, bool, bool]] = []
    reports = Reports(lambda: seen.append((reports.loading, reports.asleep, reports.says_ready.is_set())))
    half = Loading("Loading model", 0.5)
    assert all(map(reports.take, (loading(0.5), report("ready"), report("sleeping"), report("ready"))))
    assert seen == [(half, False, False), (half, False, True), (half, True, True), (half, False, True)]


def test_progress_postpones_the_deadline_once_there_is_one() -> None:
    now = 100.0
    reports = Reports(lambda: None)
    reports.take(loading(0.1))
    reports.deadline = ReadyDeadline(10.0, clock=lambda: now)
    now += 6
    reports.take(loading(0.2))
    assert reports.deadline.left_seconds == 10.0
    now += 6
    reports.take(loading(0.2))
    assert reports.deadline.left_seconds == 4.0


def test_what_a_health_check_tells_is_loading_as_well() -> None:
    changes: list[Loading | None] = []
    reports = Reports(lambda: changes.append(reports.loading))
    reports.take_loading(Loading("Loading model"))
    assert changes == [Loading("Loading model")]
