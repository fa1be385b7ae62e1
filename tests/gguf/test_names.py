"""The rule for names: docs/model-names.md."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claracore.core.gguf.model import Kind, ModelFacts, TensorBytes
from claracore.core.gguf.names import SIZE, Naming, aliases_of, describe, naming_of, size_of, unique_ids
from claracore.core.gguf.quantization import NAME, names_in, refined, without_quantization
from claracore.core.gguf.types import FILE_TYPES

FACTS = ModelFacts(
    architecture="llama",
    kind=Kind.CHAT,
    quantization="Q4_K_M",
    parameters=8_030_000_000,
    parameters_active=8_030_000_000,
    layers=0,
    tensor_bytes=TensorBytes(0, 0, (), (), 0, tied_output=False),
    file_bytes=4_920_000_000,
    context_trained=131072,
)


def naming(path: str, **changes: object) -> Naming:
    return naming_of(PurePath(path), replace(FACTS, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/m/qwen2.5-14b-instruct-q5_k_m.gguf", "qwen2.5-14b-instruct-q4_k_m"),  # the contents win over the file name
        ("/m/Foo-7B.Q4_K_M.GGUF", "foo-7b-q4_k_m"),
        ("/m/Foo_7B_Q4_K_M.gguf", "foo-7b-q4_k_m"),
        ("/m/Foo 7B (Q4_K_M).gguf", "foo-7b-q4_k_m"),
        ("/m/Foo-7B-Q4_K_M-00001-of-00003.gguf", "foo-7b-q4_k_m"),
        ("/m/Foo-Q4_K_M.gguf", "foo-8b-q4_k_m"),
        ("/m/Foo.gguf", "foo-8b-q4_k_m"),
        ("/m/Foo-32k.gguf", "foo-32k-8b-q4_k_m"),
        ("/m/Foo-7B-UD-Q4_K_XL.gguf", "foo-7b-ud-q4_k_xl"),
        ("/m/Foo-7B-UD-Q2_K_XL.gguf", "foo-7b-q4_k_m"),  # inconsistent: 2 bits claimed, 4 inside
        ("/m/Foo-7B.i1-Q4_K_M.gguf", "foo-7b-i1-q4_k_m"),
        ("/m/Foo-v1.5-7B-it.gguf", "foo-v1.5-7b-it-q4_k_m"),
        ("/m/Foo-1.5B...gguf", "foo-1.5b-q4_k_m"),
        ("/m/Mixtral-8x22B.gguf", "mixtral-8x22b-q4_k_m"),
        ("/m/Grün-7B.gguf", "gr-n-7b-q4_k_m"),
        ("/m/Foo-7B-GGUF/model.gguf", "foo-7b-gguf-q4_k_m"),
        ("/m/Foo-7B/Q4_K_M.gguf", "foo-7b-q4_k_m"),
        ("/m/Foo-7B/ggml-model-00001-of-00002.gguf", "foo-7b-q4_k_m"),
        ("/model.gguf", "model-8b-q4_k_m"),
        ("/m/日本語.gguf", "m-8b-q4_k_m"),
    ],
)
def test_the_rule(path: str, expected: str) -> None:
    assert naming(path).id == expected


def test_metadata_names_what_the_file_name_does_not() -> None:
    assert naming("/m/ggml-model-f16.gguf", name="Hermes 3 Llama 3.1 8B").id == "hermes-3-llama-3.1-8b-q4_k_m"
    assert naming("/m/model.gguf", basename="Zephyr", finetune="beta", size_label="7B").id == "zephyr-beta-7b-q4_k_m"
    assert naming("/m/phi-4.gguf", size_label="15B").id == "phi-4-15b-q4_k_m"
    assert naming("/m/google_gemma-2-2b.gguf", organization="Google").id == "gemma-2-2b-q4_k_m"
    assert naming("/m/Qwen_Qwen3-8B.gguf").id == "qwen3-8b-q4_k_m"
    assert naming("/m/my_own-8B.gguf").id == "my-own-8b-q4_k_m"


def test_readable_name_and_description() -> None:
    named = naming("/m/Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf")
    assert named.name == "Meta Llama 3.1 8B Instruct (Q4_K_M)"
    assert named.description == "llama chat model, 8B parameters, Q4_K_M, 4.9 GB, context 131072"
    sparse = replace(FACTS, parameters=30_500_000_000, parameters_active=3_300_000_000, experts=128, file_bytes=10**8)
    assert describe(sparse, "Q4_0") == "llama chat model, 30.5B parameters (3.3B active), Q4_0, 100 MB, context 131072"


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        (0, ""),
        (1_500, "2K"),
        (134_515_008, "135M"),
        (999_000_000, "1B"),
        (596_049_920, "596M"),
        (14_770_033_664, "14.8B"),
        (671_026_419_200, "671B"),
        (1_026_000_000_000, "1T"),
    ],
)
def test_sizes(parameters: int, expected: str) -> None:
    assert size_of(parameters) == expected


@pytest.mark.parametrize("quant", sorted(set(FILE_TYPES.values()) | {"UD-Q4_K_XL", "UD-IQ1_S", "Q4_K_L"}))
def test_every_quantization_is_found_in_a_file_name(quant: str) -> None:
    for text in (f"Foo-7B-{quant}", f"foo.{quant.lower()}", f"foo_{quant}", f"{quant}-foo"):
        assert names_in(text) == (quant,)
        assert without_quantization(text).lower() in {"foo-7b", "foo"}


def test_words_are_no_quantizations() -> None:
    for text in ("IQ-test", "SQ4_Kids", "Qwen", "f160", "Q42_K", "b16"):
        assert NAME.search(text) is None, text


def test_a_file_name_refines_only_what_it_agrees_with() -> None:
    assert refined("Q4_K_M", ["UD-Q4_K_XL"]) == "UD-Q4_K_XL"
    assert refined("Q8_0", ["UD-Q8_K_XL"]) == "UD-Q8_K_XL"
    assert refined("Q4_K_M", ["UD-Q2_K_XL"]) == "Q4_K_M"
    assert refined("Q4_K_M", ["Q4_K_L"]) == "Q4_K_L"
    assert refined("Q4_K_M", ["Q4_K_S"]) == "Q4_K_M"
    assert refined("Q4_K_M", ["F16"]) == "Q4_K_M"
    assert refined("BF16", ["UD-Q4_K_XL"]) == "BF16"
    assert refined("unknown", ["Q5_0"]) == "Q5_0"


NAMES = st.text(min_size=1, max_size=40).filter(lambda text: "/" not in text and "\0" not in text)
FILES = st.builds("/models/{}/{}.gguf".format, NAMES, NAMES)
QUANTS = st.sampled_from(sorted(set(FILE_TYPES.values())))


@given(FILES, QUANTS, st.integers(1, 10**13))
def test_size_and_quantization_are_never_lost(path: str, quant: str, parameters: int) -> None:
    named = naming(path, quantization=quant, parameters=parameters)
    assert named.id.endswith(f"-{named.quantization.lower()}")
    assert SIZE.search(named.base)
    assert re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", named.base)
    assert re.fullmatch(r"[a-z0-9._-]+", named.id)
    assert naming(path, quantization=quant, parameters=parameters) == named


def ids_of(paths: list[str], known: dict[str, str] | None = None) -> dict[str, str]:
    return unique_ids([(path, naming(path)) for path in paths], known)


FEW_NAMES = st.sampled_from(["a-7b", "A-7B", "a_7b", "b-7b", "model", "a-7b-Q8_0"])
SIMILAR = st.lists(st.builds("/m/{}/{}.gguf".format, FEW_NAMES, FEW_NAMES), unique=True, max_size=12)


@given(SIMILAR)
def test_ids_are_unique_and_independent_of_order(paths: list[str]) -> None:
    ids = ids_of(paths)
    assert len(set(ids.values())) == len(paths)
    assert ids_of(paths[::-1]) == ids


@given(SIMILAR, SIMILAR)
def test_ids_stay_when_files_come_and_go(before: list[str], after: list[str]) -> None:
    old = ids_of(before)
    new = ids_of(after, old)
    assert len(set(new.values())) == len(after)
    assert all(new[path] == old[path] for path in after if path in old)


def test_an_id_that_no_longer_fits_is_given_up() -> None:
    path = "/m/x/a-7b.gguf"
    assert ids_of([path], {path: "something-else"}) == {path: "a-7b-q4_k_m"}


def test_two_files_of_the_same_name_are_told_apart_by_their_folders() -> None:
    ids = ids_of(["/m/alice/a-7b.gguf", "/m/bob/a-7b.gguf"])
    assert ids == {"/m/alice/a-7b.gguf": "a-7b-q4_k_m", "/m/bob/a-7b.gguf": "bob-a-7b-q4_k_m"}


def test_an_alias_without_quantization_only_when_it_is_clear() -> None:
    four, eight, other = naming("/m/a-7b.gguf"), naming("/m/a-7b.gguf", quantization="Q8_0"), naming("/m/b-7b.gguf")
    namings = {named.id: named for named in (four, eight, other)}
    assert aliases_of(namings) == {"a-7b-q4_k_m": (), "a-7b-q8_0": (), "b-7b-q4_k_m": ("b-7b",)}
