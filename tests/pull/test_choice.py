"""Which file is meant, in repositories as they are."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from claracore.core.gguf.quantization import PROJECTOR_ORDER, PROJECTOR_WORDS
from claracore.core.pull.choice import LADDER, NoSuchFile, variants_of
from claracore.core.pull.listing import RemoteFile, files_of, next_page
from claracore.core.pull.plan import plan
from claracore.core.pull.reference import parse
from claracore.errors import BadRequest
from claracore.host.library.partial import digest_for

QUANTIZATIONS = ("IQ2_M", "IQ4_XS", "Q2_K", "Q3_K_L", "Q4_0", "Q4_K_S", "Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0", "BF16")


def repo(*paths: str) -> list[RemoteFile]:
    return [RemoteFile(path, 1000 + number, f"{number:064x}") for number, path in enumerate(paths)]


BARTOWSKI = repo(
    "README.md", "google_gemma-3-4b-it-imatrix.gguf", "mmproj-google_gemma-3-4b-it-bf16.gguf",
    "mmproj-google_gemma-3-4b-it-f16.gguf", *(f"google_gemma-3-4b-it-{name}.gguf" for name in QUANTIZATIONS),
)  # fmt: skip
UNSLOTH = repo(
    "imatrix_unsloth.gguf_file", "mmproj-BF16.gguf", "mmproj-F32.gguf", "config.json",
    "Qwen3-VL-30B-UD-Q4_K_XL.gguf", "Qwen3-VL-30B-UD-IQ1_S.gguf", "Qwen3-VL-30B-Q8_0.gguf",
    "BF16/Qwen3-VL-30B-BF16-00001-of-00002.gguf", "BF16/Qwen3-VL-30B-BF16-00002-of-00002.gguf",
)  # fmt: skip
SPLIT = repo(
    *(f"Q8_0/DeepSeek-V3-Q8_0-0000{n}-of-00003.gguf" for n in (3, 1, 2)),
    *(f"UD-Q2_K_XL/DeepSeek-V3-UD-Q2_K_XL-0000{n}-of-00002.gguf" for n in (1, 2)),
    *(f"Q4_K_M/DeepSeek-V3-Q4_K_M-0000{n}-of-00003.gguf" for n in (1, 3)),
)
FOLDERS = repo("fp16/model.gguf", "q4_k_m/model.gguf", "q8_0/model.gguf")
SEVERAL = repo("llama-1b.Q4_K_M.gguf", "llama-3b.Q4_K_M.gguf", "llama-1b.Q8_0.gguf", "mmproj-llama-3b-f16.gguf")


def chosen(text: str, files: list[RemoteFile]) -> list[str]:
    return [file.remote.path for file in plan(parse(text), files).files]


def places(text: str, files: list[RemoteFile]) -> list[str]:
    return [str(file.place) for file in plan(parse(text), files).files]


def test_four_bits_and_the_projector_that_runs_everywhere() -> None:
    assert chosen("g/g", BARTOWSKI) == ["google_gemma-3-4b-it-Q4_K_M.gguf", "mmproj-google_gemma-3-4b-it-f16.gguf"]
    assert chosen("g/g", UNSLOTH) == ["Qwen3-VL-30B-UD-Q4_K_XL.gguf", "mmproj-BF16.gguf"]
    without = plan(parse("g/g"), BARTOWSKI, projector=False)
    assert [file.name for file in without.files] == ["google_gemma-3-4b-it-Q4_K_M.gguf"]


@pytest.mark.parametrize(
    ("wanted", "file"),
    [
        ("q8_0", "Q8_0"),
        ("Q4_k_m", "Q4_K_M"),
        ("bf16", "BF16"),
        ("Q4", "Q4_K_M"),
        ("Q4_K", "Q4_K_M"),
        ("Q3", "Q3_K_L"),
        ("IQ4", "IQ4_XS"),
        ("UD-Q6_K", "Q6_K"),
    ],
)
def test_a_quantization_is_found_however_it_is_written(wanted: str, file: str) -> None:
    assert chosen(f"g/g:{wanted}", BARTOWSKI)[0] == f"google_gemma-3-4b-it-{file}.gguf"


def test_unsloths_mixes_are_found_without_their_prefix() -> None:
    assert chosen("g/g:q4_k_xl", UNSLOTH)[0] == "Qwen3-VL-30B-UD-Q4_K_XL.gguf"
    assert chosen("g/g:UD-IQ1_S", UNSLOTH)[0] == "Qwen3-VL-30B-UD-IQ1_S.gguf"


def test_all_shards_come_in_order_and_only_whole_models_are_chosen() -> None:
    assert chosen("d/d", SPLIT) == [f"Q8_0/DeepSeek-V3-Q8_0-0000{n}-of-00003.gguf" for n in (1, 2, 3)]
    assert len(chosen("d/d/UD-Q2_K_XL/DeepSeek-V3-UD-Q2_K_XL-00002-of-00002.gguf", SPLIT)) == 2
    with pytest.raises(NoSuchFile, match="one of 3 shards, of which 1 are not"):
        plan(parse("d/d:q4_k_m"), SPLIT)
    # A shard finds its projector in the folder above.
    assert chosen("g/g:bf16", UNSLOTH)[2] == "mmproj-BF16.gguf"


def test_everything_of_a_model_lies_side_by_side() -> None:
    assert places("g/g:bf16", UNSLOTH) == [
        "g/g/Qwen3-VL-30B-BF16-00001-of-00002.gguf",
        "g/g/Qwen3-VL-30B-BF16-00002-of-00002.gguf",
        "g/g/mmproj-BF16.gguf",
    ]


def test_names_that_are_there_twice_keep_their_folder() -> None:
    assert places("m/m", FOLDERS) == ["m/m/q4_k_m/model.gguf"]
    assert places("m/m:F16", FOLDERS) == ["m/m/fp16/model.gguf"]


def test_one_of_several_models_must_be_named() -> None:
    with pytest.raises(BadRequest, match=r"several models; name the file, as m/m/llama-1b\.Q4_K_M\.gguf"):
        plan(parse("m/m"), SEVERAL)
    assert chosen("m/m:Q8_0", SEVERAL) == ["llama-1b.Q8_0.gguf"]
    assert chosen("m/m/llama-3b.Q4_K_M.gguf", SEVERAL) == ["llama-3b.Q4_K_M.gguf", "mmproj-llama-3b-f16.gguf"]


def test_a_projector_may_be_fetched_by_name() -> None:
    assert chosen("g/g/mmproj-BF16.gguf", UNSLOTH) == ["mmproj-BF16.gguf"]


def test_what_is_not_there_is_told_with_what_is() -> None:
    with pytest.raises(NoSuchFile, match="no Q4_K_X; did you mean Q4_K_S, Q4_K_M"):
        plan(parse("g/g:Q4_K_X"), BARTOWSKI)
    with pytest.raises(NoSuchFile, match=r"has no \.gguf files"):
        plan(parse("g/g"), repo("model.safetensors"))
    with pytest.raises(NoSuchFile, match=r"did you mean google_gemma-3-4b-it-Q4_0\.gguf"):
        plan(parse("g/g/google_gemma-3-4b-it-Q4_1.gguf"), BARTOWSKI)


def test_a_file_without_a_quantization_is_a_model_too() -> None:
    files = repo("ggml-model.gguf")
    assert chosen("m/m", files) == ["ggml-model.gguf"]
    assert [variant.label for variant in variants_of(files)] == ["ggml-model.gguf"]


def test_the_ladder_names_each_once() -> None:
    assert len(set(LADDER)) == len(LADDER)
    assert LADDER[0] == "Q4_K_M"
    assert PROJECTOR_ORDER[0] == "F16"
    assert PROJECTOR_WORDS.search("mmproj-model-f16")


def test_the_document_says_what_is_chosen() -> None:
    text = " ".join((Path(__file__).parents[2] / "docs" / "downloads.md").read_text().split())
    four_bits = LADDER[: LADDER.index("Q5_K_M")]
    assert f"that is there: {', '.join(four_bits)}, then five to eight bits, then three, then BF16, F16, F32" in text
    assert f"precisions {PROJECTOR_ORDER[0]}, then {', '.join(PROJECTOR_ORDER[1:])}" in text


def test_a_listing_is_read_as_from_a_stranger() -> None:
    good = {"type": "file", "path": "a.gguf", "size": 134, "oid": "A" * 40, "lfs": {"oid": "B" * 64, "size": 9}}
    bad: list[object] = [
        None, 7, {}, {"type": "file"}, good | {"type": "directory"}, good | {"path": "../a.gguf"},
        good | {"path": 3}, good | {"lfs": {"size": -1}}, good | {"lfs": None, "size": True},
        good | {"lfs": {"size": 1 << 60}},
    ]  # fmt: skip
    assert files_of([*bad, good]) == [RemoteFile("a.gguf", 9, "b" * 64, "a" * 40)]
    assert files_of([good | {"lfs": {"oid": "no hash", "size": 9}}])[0].sha256 is None
    assert files_of({"error": "x"}) == []


@pytest.mark.parametrize(
    ("link", "url"),
    [
        (None, None),
        ('<https://h/api?cursor=2>; rel="next"', "https://h/api?cursor=2"),
        ('<https://h/1>; rel="prev", </api?cursor=3>; rel=next', "https://h/api?cursor=3"),
        ('<https://h/1>; rel="last"', None),
        ("garbage", None),
    ],
)
def test_the_next_page(link: str | None, url: str | None) -> None:
    assert next_page(link, "https://h/api") == url


def test_a_file_outside_large_file_storage_is_checked_too() -> None:
    name = hashlib.sha1(b"blob 3\0abc", usedforsecurity=False).hexdigest()
    digest, expected = digest_for(RemoteFile("a.gguf", 3, None, name))
    digest.update(b"abc")
    assert digest.hexdigest() == expected == name
