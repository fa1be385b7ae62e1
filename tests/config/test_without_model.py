from __future__ import annotations

import pytest

from claracore.core.config import lines, tree
from claracore.core.config.lines import read_plain
from claracore.core.config.without_model import without_model, without_models
from claracore.errors import ModelNotFound
from claracore.types import Finding

TEXT = """\
# stays
models:
  a: {cmd: one}
  b: {cmd: two}  # stays too
groups:
  pair:
    members: [a, b]
hooks:
  on_startup:
    preload: [a, b]
"""


def test_a_model_goes_with_its_memberships() -> None:
    text = without_model(TEXT, "a")
    assert "# stays\n" in text
    assert "# stays too" in text
    assert "one" not in text
    assert "members: [b]" in text
    assert "preload: [b]" in text


def test_one_that_is_not_there() -> None:
    with pytest.raises(ModelNotFound, match="'c'"):
        without_model(TEXT, "c")
    with pytest.raises(ModelNotFound):
        without_model("", "a")


def test_all_that_are_not_wanted_go_in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "models:\n" + "".join(f"  m{n}:\n    cmd: one\n" for n in range(50)) + "groups:\n  all:\n    members:\n"
    text += "".join(f"      - m{n}\n" for n in range(50))
    readings: list[str] = []
    parse = tree.parse

    def counting(text: str, file: str) -> tuple[tree.MappingNode, list[Finding]]:
        readings.append(text)
        return parse(text, file)

    monkeypatch.setattr(tree, "parse", counting)
    monkeypatch.setattr(lines, "parse", counting)
    gone = [f"m{n}" for n in range(50) if n % 5]
    result = without_models(text, gone)
    assert list(read_plain(result)["models"]) == read_plain(result)["groups"]["all"]["members"]
    assert len(read_plain(result)["models"]) == 10
    assert len(readings) <= 3 + 3, "the three above are ours"


IN_LINES = """\
models:
  a:
    cmd: x
  b:
    cmd: y
groups:
  g:
    members:
      - a
      - b
"""


@pytest.mark.parametrize("text", [TEXT, IN_LINES])
def test_all_of_them(text: str) -> None:
    result = read_plain(without_models(text, ["a", "b"]))
    assert not result["models"]
    assert next(iter(result["groups"].values()))["members"] == []
