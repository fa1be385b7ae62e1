"""What llama-server tells its router, in the lines of llama.cpp b11434 (engines/states.py)."""

from __future__ import annotations

import pytest

from claracore.host.engines.states import MARK, State, parse

STAGES = '"stages":["text_model","spec_model","mmproj_model"]'


@pytest.mark.parametrize(
    ("report", "state"),
    [
        (
            '{"state":"loading","payload":{"stages":["text_model"],"current":"text_model","value":0.0}}',
            State("loading", "Loading model", 0.0),
        ),
        (
            f'{{"state":"loading","payload":{{{STAGES},"current":"spec_model","value":0.5}}}}',
            State("loading", "Loading draft model", 0.5),
        ),
        (
            f'{{"state":"loading","payload":{{{STAGES},"current":"mmproj_model","value":1}}}}',
            State("loading", "Loading projector", 1.0),
        ),
        ('{"state":"loading","payload":{"stage":"mmproj_model"}}', State("loading", "Loading projector")),
        ('{"state":"ready","payload":{"id":"x","meta":{"n_ctx":8192}}}', State("ready")),
        ('{"state":"ready","payload":null}', State("ready")),
        ('{"state":"sleeping","payload":{}}', State("sleeping")),
    ],
)
def test_a_report(report: str, state: State) -> None:
    assert parse(MARK + report) == state


@pytest.mark.parametrize(
    "report",
    [
        "",
        "{",
        "[]",
        "[" * 8_000,
        "7",
        '{"payload":{}}',
        '{"state":"loading","payload":{"value":NaN',
        '{"state":"loading","payload":[]}',
        '{"state":"loading"}',
        '{"state":"loading","payload":{"stages":["a"],"current":"b","value":1}}',
        '{"state":"loading","payload":{"stages":["a"],"current":"a","value":"half"}}',
        '{"state":"loading","payload":{"stages":[],"current":"a","value":1}}',
    ],
)
def test_a_broken_report_is_no_line_of_the_log_and_no_progress(report: str) -> None:
    state = parse(MARK + report)
    assert state is not None
    assert state.progress is None


def test_a_fraction_stays_between_0_and_1() -> None:
    for value, progress in (("-1", 0.0), ("7", 1.0), ("NaN", 1.0)):
        state = parse(f'{MARK}{{"state":"loading","payload":{{"stages":["a"],"current":"a","value":{value}}}}}')
        assert state is not None
        assert state.progress == progress


def test_other_lines_are_none_of_its_business() -> None:
    assert parse("main: server is listening on http://127.0.0.1:8100") is None
    assert parse(f"somebody says {MARK}") is None
