from __future__ import annotations

import pytest

from claracore.core.config.without_model import without_model
from claracore.errors import ModelNotFound

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
