from __future__ import annotations

from typing import Any

import pytest

from claracore.core.config.edit import EditRefused
from claracore.core.config.form import (
    FormChange,
    ModelForm,
    changed,
    forms,
    groups,
    set_context,
    set_group,
    set_option,
)
from claracore.core.config.lines import read_plain
from claracore.core.config.tree import Unreadable
from claracore.errors import ModelNotFound

TEXT = """\
# top
models:

  a:
    # setup: marks
    cmd: |
      ${llama-server} --model "/m/a.gguf"
      # context: --ctx-size 1 is a remark
      --ctx-size 8192
      --jinja
    ttl: 1800 # idle
    name: "A"

  org/b:
    cmd: llama-server --port ${PORT} -c 4096
    env: [X=1]

groups:
  big:
    swap: true
    members:
      - a # the first
      - other
  small: {swap: false, members: [org/b]}
  none:
    swap: true
"""


def model(text: str, model_id: str) -> dict[str, Any]:
    found: dict[str, Any] = read_plain(text)["models"][model_id]
    return found


def context(text: str, model_id: str) -> str:
    return next(form.context for form in forms(text) if form.id == model_id)


def members(text: str) -> dict[str, list[str]]:
    return {name: group.get("members") or [] for name, group in read_plain(text)["groups"].items()}


def test_what_is_there() -> None:
    assert forms(TEXT) == [ModelForm("a", 4, "1800", "8192", "big"), ModelForm("org/b", 14, "", "4096", "small")]
    assert groups(TEXT) == ["big", "small", "none"]
    assert forms("") == []
    assert forms("groups: 1\nmodels: 2\n") == []
    assert groups("groups: 1\nmodels: 2\n") == []


def test_a_changed_value_changes_its_own_bytes_only() -> None:
    assert set_option(TEXT, "a", "ttl", "60") == TEXT.replace("ttl: 1800", "ttl: 60")
    assert set_option(TEXT, "a", "ttl", "10m") == TEXT.replace("ttl: 1800", "ttl: 10m")
    assert set_context(TEXT, "a", "4096") == TEXT.replace("--ctx-size 8192", "--ctx-size 4096")
    assert set_context(TEXT, "org/b", "512") == TEXT.replace("-c 4096", "-c 512")


def test_a_new_option_goes_behind_the_others() -> None:
    assert set_option(TEXT, "org/b", "ttl", "60") == TEXT.replace("    env: [X=1]\n", "    env: [X=1]\n    ttl: 60\n")
    assert model(set_option("models: {a: {cmd: x}}", "a", "ttl", "5"), "a")["ttl"] == 5
    assert set_option("models:\n  a:\n    cmd: x", "a", "ttl", "5") == "models:\n  a:\n    cmd: x\n    ttl: 5\n"
    assert read_plain(set_option("models:\n  a:\n    cmd: |\n      x\n      y\n\nz: 1\n", "a", "ttl", "5")) == {
        "models": {"a": {"cmd": "x\ny\n", "ttl": 5}},
        "z": 1,
    }


def test_an_emptied_field_takes_the_option_out() -> None:
    assert set_option(TEXT, "a", "ttl", "") == TEXT.replace("    ttl: 1800 # idle\n", "")
    assert set_option(TEXT, "org/b", "ttl", "") == TEXT
    assert context(set_context(TEXT, "a", ""), "a") == ""
    assert "remark\n--jinja\n" in model(set_context(TEXT, "a", ""), "a")["cmd"]
    assert model(set_context(TEXT, "org/b", ""), "org/b")["cmd"] == "llama-server --port ${PORT}"


@pytest.mark.parametrize(
    "command",
    ["x --port 1", '"x --port 1"', "'x --port 1'", "|\n      x\n      --port 1", ">-\n      x\n      --port 1"],
)
def test_a_context_is_added_to_commands_of_every_spelling(command: str) -> None:
    after = set_context(f"models:\n  a:\n    cmd: {command}\n    name: n\n", "a", "2048")
    assert context(after, "a") == "2048"
    assert model(after, "a")["name"] == "n"
    assert model(after, "a")["cmd"].split() == ["x", "--port", "1", "--ctx-size", "2048"]


def test_a_model_moves_between_groups_of_every_spelling() -> None:
    assert members(set_group(TEXT, "a", "small")) == {"big": ["other"], "small": ["org/b", "a"], "none": []}
    assert members(set_group(TEXT, "a", "none")) == {"big": ["other"], "small": ["org/b"], "none": ["a"]}
    assert members(set_group(TEXT, "org/b", "big")) == {"big": ["a", "other", "org/b"], "small": [], "none": []}
    assert members(set_group(TEXT, "a", "")) == {"big": ["other"], "small": ["org/b"], "none": []}
    emptied = set_group(set_group(TEXT, "a", ""), "other", "")
    assert members(emptied)["big"] == []
    assert members(set_group(emptied, "a", "big"))["big"] == ["a"]
    assert set_group(TEXT, "a", "big") == TEXT


def test_remarks_survive_a_move() -> None:
    assert "- a # the first\n      - other\n      - org/b\n" in set_group(TEXT, "org/b", "big")


def test_what_cannot_be_edited_says_so() -> None:
    with pytest.raises(Unreadable):
        set_option("models:\n  a: *x\n", "a", "ttl", "1")
    with pytest.raises(EditRefused, match="not written as a mapping"):
        set_option("models:\n  a: 5\n", "a", "ttl", "1")
    with pytest.raises(EditRefused, match="no cmd of its own"):
        set_context("models:\n  a:\n    proxy: http://x\n", "a", "1")
    with pytest.raises(EditRefused, match="group nowhere"):
        set_group("models:\n  a:\n    cmd: x\n", "a", "nowhere")
    with pytest.raises(EditRefused, match="members of g"):
        set_group("groups: {g: {members: 5}}\n", "a", "g")
    with pytest.raises(ModelNotFound):
        set_option(TEXT, "x", "ttl", "1")


def test_what_capabilities_say_of_the_context_follows_when_it_said_the_same() -> None:
    same = "models:\n  a:\n    capabilities: {context: 2048}\n    cmd: serve -c 2048\n"
    assert set_context(same, "a", "4096") == same.replace("2048", "4096")
    other = same.replace("context: 2048", "context: 1024")
    assert set_context(other, "a", "4096") == other.replace("2048", "4096")
    assert "context: 2048" in set_context(same, "a", "")


def test_a_change_has_what_was_typed() -> None:
    after = changed(TEXT, "a", FormChange(ttl="", context="1", group="none"))
    assert forms(after)[0] == ModelForm("a", 4, "", "1", "none")
    assert changed(TEXT, "a", FormChange()) == TEXT
