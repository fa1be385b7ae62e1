"""Every shape of the zoo is recognised, named, and served or refused as it should be."""

from __future__ import annotations

from dataclasses import fields
from io import BytesIO
from pathlib import Path, PurePath

import pytest

from claracore.core.gguf.abilities import kind_by_name
from claracore.core.gguf.facts import facts_of
from claracore.core.gguf.header import read_header
from claracore.core.gguf.model import Kind, ModelFacts
from claracore.core.gguf.names import naming_of
from claracore.host.library.scan import scan
from zoo.families import REFUSED, SERVED, Member, mmproj
from zoo.synthetic import Image, write

PER_LAYER = ("kv_heads", "heads", "head_dim_k", "head_dim_v", "has_kv_cache", "sliding", "recurrent", "feed_forward")


def facts(image: Image) -> ModelFacts:
    return facts_of(read_header(BytesIO(image.header), size=image.size))


def test_the_zoo_is_large() -> None:
    assert len(SERVED) >= 60
    assert len({member.file for member in SERVED}) == len(SERVED)


@pytest.mark.parametrize("member", SERVED, ids=lambda member: member.file)
def test_a_model_is_known(member: Member) -> None:
    known = facts(member.image())
    naming = naming_of(PurePath("/models") / member.file, known)
    kind = kind_by_name(known.kind, naming.base.split("-"))
    assert (naming.id, kind, naming.quantization, known.context_trained) == (
        member.id,
        member.kind,
        member.quant,
        member.context,
    )
    abilities = {name for name in ("tools", "reasoning", "vision", "audio") if getattr(known, name)}
    assert abilities == member.abilities
    for name, value in member.facts.items():
        assert getattr(known, name) == value, name
    for name in PER_LAYER:
        assert len(getattr(known, name)) == known.layers, name
    assert len(known.tensor_bytes.layers) == len(known.tensor_bytes.experts) == known.layers


@pytest.mark.parametrize("member", [one for one in SERVED if one.billions], ids=lambda member: member.file)
def test_parameters_are_counted(member: Member) -> None:
    known = facts(member.image())
    assert known.parameters / 1e9 == pytest.approx(member.billions, rel=0.02)
    if member.active_billions is not None:
        assert known.parameters_active / 1e9 == pytest.approx(member.active_billions, rel=0.03)
    else:
        assert bool(known.experts) == (known.parameters_active < known.parameters)


@pytest.mark.parametrize("member", SERVED, ids=lambda member: member.file)
def test_every_byte_is_placed_once(member: Member) -> None:
    image = member.image()
    header = read_header(BytesIO(image.header), size=image.size)
    assert facts_of(header).tensor_bytes.total == sum(tensor.size for tensor in header.tensors)


@pytest.mark.parametrize(("file", "expected"), REFUSED.items(), ids=REFUSED)
def test_what_is_no_model_is_recognised(file: str, expected: tuple[Image, Kind, str], tmp_path: Path) -> None:
    image, kind, reason = expected
    assert facts(image).kind is kind
    write(tmp_path / file, image)
    library = scan([tmp_path])
    assert library.models == ()
    assert [left.path.name for left in library.left_out] == [file]
    assert reason in library.left_out[0].reason


def test_the_whole_zoo_in_one_folder(tmp_path: Path) -> None:
    for member in SERVED:
        write(tmp_path / member.file, member.image())
    for file, (image, _, _) in REFUSED.items():
        write(tmp_path / file, image)
    write(tmp_path / "mmproj-Qwen2.5-VL-7B-Instruct-f16.gguf", mmproj(3584))
    library = scan([tmp_path])
    by_file = {model.path.name: model for model in library.models}
    twice = {"gpt-oss-20b-F16.gguf", "gpt-oss-20b-mxfp4.gguf"}
    for member in SERVED:
        assert by_file[member.file].kind is member.kind, member.file
        if member.file not in twice:
            assert by_file[member.file].id == member.id
    assert {by_file[file].id.startswith("gpt-oss-20b") for file in twice} == {True}
    assert by_file["Qwen2.5-VL-7B-Instruct-Q4_K_M.gguf"].vision
    assert by_file["qwen2.5-14b-instruct-q5_k_m.gguf"].aliases == ("qwen2.5-14b-instruct",)
    assert {left.path.name for left in library.left_out} == set(REFUSED)
    assert scan([tmp_path]) == library


def test_facts_have_no_field_without_a_meaning_here() -> None:
    """A guard against renames: these names are what fit/ and the configuration writer build on."""
    names = {field.name for field in fields(ModelFacts)}
    assert {"tensor_bytes", "kv_heads", "head_dim_k", "sliding", "experts", "context_trained", "kind"} <= names
