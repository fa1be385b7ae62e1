from __future__ import annotations

import json
from typing import Any

import pytest

from claracore.host.activity.answer_ends import AnswerEnds
from claracore.host.activity.tokens import Tokens, tokens_in, tokens_of

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
