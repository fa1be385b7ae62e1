"""Whether one model can draft for another is proven by the tokens themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from claracore.host.library.vocabulary import Vocabularies, same_vocabulary, vocabulary_hash
from zoo.synthetic import Shape, write

SMALL = Shape("llama", 1, 64, 2, 2, 128, 96, 512, "Q8_0")
WORDS = [f"token{number}" for number in range(2000)]


def model(path: Path, words: list[str] | None, **keys: object) -> Path:
    vocabulary: dict[str, object] = {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.bos_token_id": 1}
    vocabulary |= {"tokenizer.ggml.tokens": words} if words is not None else {}
    vocabulary |= {f"tokenizer.ggml.{key}": value for key, value in keys.items()}
    return write(path, SMALL.image(vocabulary))


@pytest.mark.parametrize(
    ("words", "keys", "same"),
    [
        (WORDS, {}, True),
        ([*WORDS, *(f"<pad{n}>" for n in range(128))], {}, True),
        ([*WORDS, *(f"<pad{n}>" for n in range(129))], {}, False),
        (WORDS[:-5], {}, True),
        ([*WORDS[:1000], "tokenX000", *WORDS[1001:]], {}, False),
        (WORDS, {"bos_token_id": 2}, False),
        (WORDS, {"model": "llama"}, False),
        (None, {}, False),
    ],
)
def test_the_same_vocabulary(tmp_path: Path, words: list[str] | None, keys: dict[str, object], same: bool) -> None:  # noqa: FBT001 - a column
    one = model(tmp_path / "one.gguf", WORDS)
    other = model(tmp_path / "other.gguf", words, **keys)
    assert same_vocabulary(one, other) is same
    assert same_vocabulary(other, one) is same


def test_hashes(tmp_path: Path) -> None:
    one, two = model(tmp_path / "1.gguf", WORDS), model(tmp_path / "2.gguf", WORDS, extra=1)
    other = model(tmp_path / "3.gguf", [*WORDS[:-1], "token"])
    assert vocabulary_hash(one) == vocabulary_hash(two) != vocabulary_hash(other)
    assert vocabulary_hash(model(tmp_path / "4.gguf", None)) is None


def test_models_that_can_draft_for_each_other_have_a_vocabulary_of_one_name(tmp_path: Path) -> None:
    vocabularies = Vocabularies()
    first = vocabularies.name_of(model(tmp_path / "1.gguf", WORDS))
    padded = model(tmp_path / "2.gguf", [*WORDS, "<pad>"])
    assert first is not None
    assert vocabularies.name_of(padded) == vocabularies.name_of(padded) == first
    assert vocabularies.name_of(model(tmp_path / "3.gguf", WORDS[1:])) not in {None, first}
    assert vocabularies.name_of(model(tmp_path / "4.gguf", WORDS, eos_token_id=7)) not in {None, first}
    assert vocabularies.name_of(model(tmp_path / "5.gguf", None)) is None
    assert vocabularies.name_of(tmp_path / "missing.gguf") is None
