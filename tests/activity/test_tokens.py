from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from claracore.host.activity.answer_ends import AnswerEnds
from claracore.host.activity.record import Record
from claracore.host.activity.tokens import Tokens, tokens_in, tokens_of
from claracore.http.gateway.answer import look_at

CASES: list[tuple[str, dict[str, Any] | None, dict[str, Any] | None, Tokens]] = [
    ("nothing", None, None, Tokens()),
    (
        "OpenAI",
        {"prompt_tokens": 5, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 3}},
        None,
        Tokens(5, 3, 7),
    ),
    (
        "Anthropic",
        {"input_tokens": 5, "output_tokens": 7, "cache_read_input_tokens": 2},
        None,
        Tokens(7, 2, 7),
    ),
    (
        "llama-server without usage",
        None,
        {"prompt_n": 4, "cache_n": 6, "predicted_n": 9, "prompt_per_second": 81.23456, "predicted_per_second": 9.0},
        Tokens(10, 6, 9, 81.23456, 9.0),
    ),
    (
        "timings win",
        {"prompt_tokens": 99, "completion_tokens": 99},
        {"prompt_n": 1, "predicted_n": 2, "draft_n": 8, "draft_n_accepted": 5},
        Tokens(1, None, 2, None, None, 8, 5),
    ),
    ("vLLM says null", {"prompt_tokens": 3, "completion_tokens": None, "prompt_tokens_details": None}, None, Tokens(3)),
    (
        "lies",
        {"prompt_tokens": -1, "completion_tokens": "7", "cached_tokens": True},
        {"predicted_per_second": float("inf"), "prompt_per_second": float("nan"), "predicted_n": 1 << 70},
        Tokens(),
    ),
]


@pytest.mark.parametrize(("usage", "timings", "tokens"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_tokens(usage: dict[str, Any] | None, timings: dict[str, Any] | None, tokens: Tokens) -> None:
    assert tokens_of(usage or {}, timings or {}, {}) == tokens


@pytest.mark.parametrize(("usage", "timings", "tokens"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_whole_answer_says_the_same_or_is_left_to_the_patient_reader(
    usage: dict[str, Any] | None, timings: dict[str, Any] | None, tokens: Tokens
) -> None:
    body = json.dumps({"id": "x", "usage": usage, "choices": [{"usage": 1}], "timings": timings}).encode()
    assert tokens_in(body) in (tokens, None)
    assert (tokens_in(body) is None) == (tokens == Tokens() and usage is not None)


@pytest.mark.parametrize("body", [b"", b"data: {}\n\n", b'{"usage":', b"[1]", b"[" * 100_000, b'{"usage":[]}', b"\xff"])
def test_what_is_no_answer_says_nothing(body: bytes) -> None:
    assert tokens_in(body) is None


VLLM = {
    "time_to_first_token_ms": 50.0,
    "mean_itl_ms": 20,
    "speculative_decoding": {"num_draft_tokens": 9, "num_accepted_draft_tokens": 4},
}
USAGE = {"prompt_tokens": 30, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 20}}


def test_vllm_measures_each_request() -> None:
    expected = Tokens(30, 20, 7, 200.0, 50.0, 9, 4)
    assert tokens_in(json.dumps({"usage": USAGE, "metrics": VLLM}).encode()) == expected
    ends = AnswerEnds(b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n')
    ends.see(f"data: {json.dumps({'usage': USAGE, 'metrics': VLLM})}\n\ndata: [DONE]\n\n".encode())
    assert ends.found() == expected


@pytest.mark.parametrize(
    "metrics",
    [
        {},
        {"time_to_first_token_ms": 0, "mean_itl_ms": 0},
        {"time_to_first_token_ms": "soon", "mean_itl_ms": None, "speculative_decoding": []},
        {"speculative_decoding": {"num_draft_tokens": 9}},
        {"mean_itl_ms": -1, "speculative_decoding": {"num_draft_tokens": -1, "num_accepted_draft_tokens": 4}},
    ],
)
def test_what_vllm_does_not_measure_is_not_known(metrics: dict[str, Any]) -> None:
    assert tokens_of(USAGE, {}, metrics) == Tokens(30, 20, 7)


def test_what_llama_server_measures_is_better() -> None:
    timings = {"prompt_n": 1, "predicted_n": 2, "prompt_per_second": 3.0, "predicted_per_second": 4.0, "draft_n": 5}
    assert tokens_of({}, timings, VLLM) == Tokens(1, None, 2, 3.0, 4.0, 5)


def streamed(*pieces: bytes) -> Record:
    """A streamed answer of which these pieces have come, a second apart."""
    record = Record("POST", "/v1/chat/completions", "here", 0.0)
    record.stream = True
    clock = itertools.count(1.0)
    for piece in pieces:
        look_at(record, piece, lambda: next(clock))
    return record


def delta(*words: str) -> bytes:
    return b"".join(b'data: {"choices":[{"delta":{"content":"%s"}}]}\n\n' % word.encode() for word in words)


ROLE = b'data: {"choices":[{"delta":{"role":"assistant","content":null}}]}\n\n'
FINISH = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


@pytest.mark.parametrize(
    ("pieces", "count"),
    [
        ((ROLE,), None),
        ((ROLE, delta("a")), 1),
        ((ROLE + delta("a", "b"), delta("c"), delta("d", "e")), 5),
        ((ROLE, delta("a"), delta("b"), FINISH), 2),
        ((*[delta("a")] * 40, b": still here\n\n"), 40),
        ((b"\x1f\x8b\x08\x00compressed", b"data: more of it"), None),
    ],
)
def test_tokens_of_an_answer_that_was_cut_are_counted_as_they_came(
    pieces: tuple[bytes, ...], count: int | None
) -> None:
    assert streamed(*pieces).tokens() == Tokens(completion=count, counted=count is not None)


def test_what_the_engine_says_wins_over_what_was_counted() -> None:
    timed = b'data: {"choices":[{"delta":{"content":"x"}}],"timings":{"predicted_n":3,"predicted_per_second":8}}\n\n'
    assert streamed(delta("a"), timed).tokens() == Tokens(completion=3, per_second=8.0)


def test_how_fast_a_stream_comes_is_known_from_its_third_token_on() -> None:
    assert streamed(ROLE, delta("a"), delta("b")).pace(9.0) is None
    record = streamed(ROLE, delta("a"), delta("b"), delta("c"))
    assert record.first_token_at == 2.0
    assert record.pace(4.0) == 1.0
