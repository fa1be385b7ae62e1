"""A model that does not start, asked for as clients ask: with SDKs that repeat what failed, by hand, after a change."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from e2e.instance import Instance, configured, fake, instance
from fakes.ports import free_run

CONFIG = f"""
startPort: {free_run(8).start}
models:
  broken: {{cmd: '{fake("--print", "out of memory on device 0", "--crash", "start")}'}}
  silent: {{cmd: '{fake("--hang", "health")}', healthCheckTimeout: 1}}
"""

ROUNDS, LONGEST_SECONDS = 5, 60
"""A busy machine may take longer for a round of requests than these start nothing: 5 s, twice as long each time."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Instance]:
    with instance(tmp_path, "--config", str(configured(tmp_path, CONFIG))) as running:
        yield running


def starts(served: Instance, model: str) -> int:
    return sum(f"model {model}: starting" in line for line in served.lines)


@pytest.mark.parametrize(
    ("model", "status", "code"), [("broken", 502, "model_failed"), ("silent", 504, "gateway_timeout")]
)
def test_one_call_of_an_sdk_starts_a_broken_model_once(served: Instance, model: str, status: int, code: str) -> None:
    with (
        openai.OpenAI(base_url=f"{served.url}/v1", api_key="none") as client,
        pytest.raises(openai.APIStatusError) as failure,
    ):
        client.chat.completions.create(model=model, messages=[{"role": "user", "content": "hello"}])
    first = failure.value.response
    assert (first.status_code, first.json()["error"]["code"]) == (status, code)
    assert first.headers["x-should-retry"] == "false"
    assert "last tried" not in first.json()["error"]["message"]
    late = 0
    for _ in range(ROUNDS):
        again = [served.chat(model) for _ in range(3)] + [served.ask("GET", f"/upstream/{model}/")]
        retry_seconds = served.ask("GET", f"/api/models/{model}").json["retry_seconds"]
        for answer in again:
            assert (answer.status, answer.json["error"]["code"]) == (status, code)
            assert answer.headers["x-should-retry"] == "false"
            assert 1 <= int(answer.headers["Retry-After"]) <= LONGEST_SECONDS
        started = sum("last tried" not in answer.message.partition("\n")[0] for answer in again)
        late += started
        if retry_seconds is not None and not started:
            break
    assert not started, "nobody has started it again for so long"
    assert 0 < retry_seconds <= LONGEST_SECONDS
    by_hand = served.ask("POST", f"/api/models/load/{model}")
    assert (by_hand.status, by_hand.headers["X-Should-Retry"]) == (status, "false")
    assert "last tried" not in by_hand.message
    served.end()
    assert starts(served, model) == 2 + late


def test_a_changed_configuration_is_tried_at_once(served: Instance) -> None:
    assert served.chat("broken").status == 502
    configured(served.folder, CONFIG.replace('--crash" "start', '--name" "fine'))
    assert served.ask("POST", "/api/config/reload").status == 200
    assert served.chat("broken").status == 200
