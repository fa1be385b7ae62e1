"""What a part of a configuration is, what names it, and where its files are."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace

import pytest

from claracore.core.cluster.part import (
    NO_PART,
    Fetch,
    Part,
    PartUnreadable,
    SharedFile,
    SharedModel,
    file_names,
    missing_files,
    part_as_json,
    part_of_json,
    with_paths,
)
from claracore.core.config.macros import Value

DEEP: list[object] = []
for _ in range(50):
    DEEP = [DEEP]
FILE = SharedFile("qwen/q 4.gguf", 5, "ab", source="hf.co/x/y")
MODEL = SharedModel("qwen", {"cmd": "llama-server -m ${file:qwen/q 4.gguf} --port ${PORT}"}, (FILE,), Fetch.HEAD)


def test_a_part_comes_back_as_it_went_and_its_revision_names_its_models() -> None:
    part = Part((MODEL, SharedModel("other", {"cmd": "b", "ttl": 5})))
    assert part_of_json(json.loads(json.dumps(part_as_json(part)))) == part
    assert Part(part.models).revision == part.revision != Part((MODEL,)).revision
    assert Part().revision == NO_PART
    for other in (replace(MODEL, name="q"), replace(MODEL, entry={"cmd": "c"}), replace(MODEL, fetch=Fetch.NO)):
        assert other.revision != MODEL.revision
    assert replace(MODEL, entry=dict(MODEL.entry)).revision == MODEL.revision


@pytest.mark.parametrize(
    "change",
    [
        {"models": None}, {"models": [5]}, {"models": [{}]},
        {"name": ""}, {"name": 5}, {"name": " "}, {"name": "a\0"}, {"entry": {"m": DEEP}},
        {"entry": []}, {"fetch": "everywhere"}, {"files": 5},
        {"file": "../x"}, {"file": "/x"}, {"file": "a//b"}, {"file": "a\\b"}, {"file": "a}b"}, {"file": "c:x"},
        {"size": -1}, {"size": "5"}, {"sha256": None},
    ],
)  # fmt: skip
def test_what_is_no_part_is_none_and_says_nothing_of_its_values(change: dict[str, object]) -> None:
    found = part_as_json(Part((MODEL,)))
    [model] = found["models"]
    holder = found if "models" in change else model["files"][0] if change.keys() & {"file", "size", "sha256"} else model
    [(key, value)] = change.items()
    holder["name" if key == "file" else key] = value
    with pytest.raises(PartUnreadable) as raised:
        part_of_json(found)
    assert "llama-server" not in str(raised.value)


def test_a_name_is_one_model() -> None:
    found = part_as_json(Part((MODEL,)))
    with pytest.raises(PartUnreadable, match="one name"):
        part_of_json({"models": found["models"] * 2})


@pytest.mark.parametrize("found", [None, 5, [], "models", {}])
def test_other_data_is_no_part(found: object) -> None:
    with pytest.raises(PartUnreadable):
        part_of_json(found)


def test_paths_take_the_place_of_names_and_stay_one_word_of_a_command() -> None:
    entry: dict[str, Value] = {
        "cmd": "a -m ${file:x} --b \"${file:x}\" --c '${file:x}'",
        "env": ["M=${file:x}"],
        "metadata": {"file": "${file:y}", "n": 5},
    }
    assert list(file_names(entry)) == ["x", "x", "x", "x", "y"]
    assert missing_files([SharedModel("m", entry)], {"x": "p"}) == ("y",)
    path = "/a b/c\"d\\e'f"
    found = with_paths(entry, {"x": path, "y": "/y"})
    assert isinstance(found, dict)
    assert shlex.split(str(found["cmd"])) == ["a", "-m", path, "--b", path, "--c", path]
    assert (found["env"], found["metadata"]) == ([f"M={path}"], {"file": "/y", "n": 5})
    with pytest.raises(KeyError):
        with_paths(entry, {"x": "p"})
