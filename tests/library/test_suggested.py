"""Is the list of suggestions checked against the hub, and is what is wrong told?"""

from __future__ import annotations

import asyncio

import pytest

from claracore.core.pull.suggestions import suggestions_of
from claracore.host.library.suggested import suggestions
from fakes.fake_hub import Fault, fake_hub
from tool import tool as load_tool
from ui.suggested import suggested_hub

tool = load_tool("suggestions")
ENTRY = {
    "quantization": "Q4_K_M",
    "name": "One",
    "projector_bytes": 3,
    "parameters": 9,
    "active_parameters": 9,
    "good_for": "Tests",
    "licence": "mit",
}
LISTED = suggestions_of(
    {"model": [{**ENTRY, "repo": f"org/{name}", "bytes": 10} for name in ("right", "other", "closed", "gone", "bare")]}
)
FILES = {"it-Q4_K_M.gguf": b"0123456789", "mmproj-F16.gguf": b"012"}


def test_what_the_hub_says_otherwise_is_told() -> None:
    with fake_hub() as hub:
        hub.repos = {
            "org/right": FILES,
            "org/other": {**FILES, "it-Q4_K_M.gguf": b"012"},
            "org/closed": FILES,
            "org/bare": {"it-Q8_0.gguf": b"0"},
        }
        hub.gated.add("org/closed")
        said = asyncio.run(tool.asked(LISTED, hub.environ()))
    found = sorted(tool.differences(said))
    assert said.trouble == ""
    assert [line.split()[0].rstrip(":") for line in found] == [
        f"org/{name}:Q4_K_M" for name in ("bare", "closed", "gone", "other")
    ]
    assert found[1].endswith("is gated: nobody can fetch it with one click")
    assert found[3] == "org/other:Q4_K_M: bytes = 3 on the hub, 10 in the list"


def test_a_hub_that_cannot_be_reached_is_no_reason_to_call_the_list_wrong() -> None:
    said = asyncio.run(tool.asked(LISTED[:1], {"HF_ENDPOINT": "http://127.0.0.1:9", "NO_PROXY": "*"}))
    assert "cannot be reached" in said.trouble
    assert not list(tool.differences(said))
    with fake_hub() as hub:
        hub.repos = {"org/right": FILES}
        hub.listing_faults.append(Fault(status=403, headers={"X-Error-Message": "not for you"}))
        said = asyncio.run(tool.asked(LISTED[:1], hub.environ()))
    assert said.gated == {LISTED[0]}


def test_the_list_that_ships_has_enough_for_every_machine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not list(tool.few(list(suggestions())))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("sys.argv", ["suggestions.py"])
    assert tool.main() == 0
    assert "13 suggestions, 0 looked at on the hub, 0 wrong" in capsys.readouterr().out


def test_the_first_page_is_recorded_beside_a_hub_that_has_what_is_suggested() -> None:
    """`tools/pictures.py record`: otherwise its picture is one of a warning."""
    with suggested_hub() as hub:
        found = asyncio.run(tool.asked(list(suggestions()), hub.environ()))
    assert found.trouble == ""
    assert found.there == {each: each for each in suggestions()}
