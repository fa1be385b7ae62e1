"""What a folder of Ollama's holds: names, layers, what is passed over. Nothing in it is touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from claracore.core.gguf.model import Kind
from claracore.host.library.cache import ReadingCache
from claracore.host.library.model import Library, LibraryModel
from claracore.host.library.scan import scan
from zoo.families import LORA, mmproj
from zoo.stores import TINY, OllamaFolder, filled, put
from zoo.synthetic import TensorSpec, build

EYES = filled(mmproj(64), seed=7)
ADAPTER = filled(build(LORA, [TensorSpec("blk.0.attn_q.weight.lora_a", (64, 8))]), seed=8)


@pytest.fixture
def ollama(tmp_path: Path) -> OllamaFolder:
    return OllamaFolder(tmp_path / ".ollama" / "models")


def only(library: Library) -> LibraryModel:
    (model,) = library.models
    return model


def reasons(library: Library) -> list[str]:
    return [left.reason for left in library.left_out]


def test_weights_are_served_where_they_are_under_the_names_of_their_manifests(ollama: OllamaFolder) -> None:
    weights = ollama.blob(filled())
    ollama.pull("llama3.2:3b", model=weights, template=b"{{ .Prompt }}", params=b"{}", license=b"free")
    ollama.pull("llama3.2:latest", model=weights, template=b"{{ .Prompt }}")
    library = scan([ollama.root])
    model = only(library)
    assert model.id == "llama3.2-3b-q8_0"
    assert model.path == ollama.path(weights)
    assert model.aliases == ("llama3.2-3b", "llama3.2:3b", "llama3.2:latest", "llama3.2")
    assert library.left_out == ()


@pytest.mark.parametrize(
    ("name", "model_id", "alias"),
    [
        ("qwen2.5:7b-instruct-q8_0", "qwen2.5-7b-instruct-q8_0", "qwen2.5:7b-instruct-q8_0"),
        ("someone/tuned:v2-7b", "tuned-v2-7b-q8_0", "someone/tuned:v2-7b"),
        ("hf.co/bartowski/Phi-4-15B-GGUF:Q8_0", "phi-4-15b-q8_0", "hf.co/bartowski/Phi-4-15B-GGUF:Q8_0"),
        ("mistral-7b:latest", "mistral-7b-q8_0", "mistral-7b:latest"),
    ],
)
def test_names_become_ids_by_our_rules(ollama: OllamaFolder, name: str, model_id: str, alias: str) -> None:
    ollama.pull(name, model=filled())
    model = only(scan([ollama.root]))
    assert model.id == model_id
    assert alias in model.aliases


def test_the_folder_above_and_the_file_itself_lead_to_the_same(ollama: OllamaFolder, tmp_path: Path) -> None:
    ollama.pull("tiny:1b", model=filled())
    assert only(scan([tmp_path])) == only(scan([ollama.root]))


def test_a_projector_is_the_models_eyes_as_its_manifest_says(ollama: OllamaFolder) -> None:
    eyes = ollama.blob(EYES)
    ollama.pull("llava:7b", model=filled(seed=1), projector=eyes)
    ollama.pull("bakllava:7b", model=filled(seed=2), projector=eyes)
    ollama.pull("blind:7b", model=filled(seed=3))
    library = scan([ollama.root])
    seeing = {model.id: model.projector.path if model.projector else None for model in library.models}
    assert seeing == {"llava-7b-q8_0": ollama.path(eyes), "bakllava-7b-q8_0": ollama.path(eyes), "blind-7b-q8_0": None}
    assert {model.kind for model in library.models} == {Kind.VISION, Kind.CHAT}
    assert library.left_out == ()


def test_an_adapter_is_put_on_weights_that_are_there_for_it_alone(ollama: OllamaFolder) -> None:
    adapter = ollama.blob(ADAPTER)
    ollama.pull("pirate:7b", model=filled(), adapter=adapter)
    model = only(scan([ollama.root]))
    assert (model.id, model.adapters) == ("pirate-7b-q8_0", (ollama.path(adapter),))


def test_weights_that_have_a_name_without_the_adapter_are_served_without(ollama: OllamaFolder) -> None:
    weights, adapter = ollama.blob(filled()), ollama.blob(ADAPTER)
    manifest = ollama.pull("pirate:7b", model=weights, adapter=adapter)
    ollama.pull("plain:7b", model=weights)
    library = scan([ollama.root])
    model = only(library)
    assert (model.id, model.adapters) == ("plain-7b-q8_0", ())
    assert "pirate:7b" not in model.aliases
    assert {left.path: left.reason for left in library.left_out} == {
        manifest: f"pirate:7b: adapters on plain:7b, which is served as it is; add --lora {ollama.path(adapter)}"
    }


def test_an_adapter_that_is_none_takes_its_model_with_it(ollama: OllamaFolder) -> None:
    ollama.pull("pirate:7b", model=filled(), adapter=b"ggla, from long ago")
    library = scan([ollama.root])
    assert library.models == ()
    assert any("is no LoRA adapter that llama-server can read" in reason for reason in reasons(library))


def test_a_system_prompt_that_is_not_served_is_told(ollama: OllamaFolder) -> None:
    weights = ollama.blob(filled())
    ollama.pull("tiny:1b", model=weights)
    ollama.pull("clerk:latest", model=weights, system=b"You are a clerk.")
    library = scan([ollama.root])
    assert "clerk" in only(library).aliases
    assert reasons(library) == ["clerk:latest: the weights are served, without the system prompt that Ollama adds"]


def test_what_cannot_be_served_is_told_with_its_name(ollama: OllamaFolder) -> None:
    ollama.pull("cloudy:120b-cloud")
    ollama.pull("mac:7b", tensor=b"x")
    ollama.pull("gone:7b", model=f"sha256:{'1' * 64}")
    ollama.pull("coming:7b", model=f"sha256:{'2' * 64}")
    put(ollama.root / "blobs" / f"sha256-{'2' * 64}-partial", b"")
    put(ollama.root / "blobs" / f"sha256-{'2' * 64}-partial-0", b"{}")
    put(ollama.root / "manifests/registry.ollama.ai/library/odd/1b", b"{not json")
    put(ollama.root / "manifests/registry.ollama.ai/library/odd/2b", b'["a list"]')
    put(ollama.root / "manifests/registry.ollama.ai/library/.DS_Store", b"")
    library = scan([ollama.root])
    assert library.models == ()
    assert sorted(reasons(library)) == [
        "an unfinished download of Ollama's",
        "cloudy:120b-cloud: no weights on this machine: it runs in Ollama's cloud, or is only a template",
        "coming:7b: an unfinished download",
        "gone:7b: its weights are missing, or this user may not see them",
        "mac:7b: weights for Ollama's MLX engine, which llama-server cannot read: Ollama serves them",
        "odd:1b: its manifest is damaged",
        "odd:2b: its manifest is damaged",
    ]


def test_a_digest_cannot_lead_out_of_the_store(ollama: OllamaFolder, tmp_path: Path) -> None:
    put(tmp_path / "secret.gguf", filled())
    ollama.pull("evil:7b", model="sha256:../../../secret.gguf")
    (ollama.root / "blobs").mkdir(exist_ok=True)
    assert scan([ollama.root]).models == ()


def test_files_of_ollamas_own_engine_are_told(ollama: OllamaFolder) -> None:
    fused = build(TINY.metadata(), [*TINY.tensors(), TensorSpec("v.blk.0.attn_q.weight", (64, 64), "F16")])
    ollama.pull("gemma3:4b", model=filled(fused))
    own = TINY.metadata() | {"general.architecture": "gptoss", "gptoss.block_count": 2}
    ollama.pull("gpt-oss:20b", model=filled(build(own, TINY.tensors())))
    library = scan([ollama.root])
    assert library.models == ()
    assert sorted(reason.partition(",")[0] for reason in reasons(library)) == [
        "a model (gptoss) as Ollama's own engine has it: llama-server cannot read that; Ollama serves it",
        "a model with more in its file (a projector",
    ]


def test_newer_versions_keep_manifests_as_blobs_and_lists_of_them(ollama: OllamaFolder) -> None:
    """manifests-v2 has links to blobs; a list names a manifest for each engine."""
    ollama.pull("tiny:1b", model=filled(seed=1))
    mac = {"runner": "mlx", "format": "safetensors", **ollama.manifest(tensor=b"x")}
    ours = ollama.manifest(model=filled(seed=2))
    child = ollama.blob(json.dumps(ours).encode())
    listed = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.ollama.manifest.list.v2+json",
        "manifests": [mac, {"mediaType": "m", "digest": child, "runner": "llamacpp", "format": "gguf"}],
    }
    blob = ollama.path(ollama.blob(json.dumps(listed).encode()))
    link = ollama.root / "manifests-v2/registry.ollama.ai/library/both/7b"
    link.parent.mkdir(parents=True)
    link.symlink_to(blob)
    library = scan([ollama.root])
    assert [model.id for model in library.models] == ["both-7b-q8_0", "tiny-1b-q8_0"]
    assert library.left_out == ()


def test_weights_without_a_name_are_told_when_they_are_large(
    ollama: OllamaFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("claracore.host.library.ollama.LEAST_ORPHAN", 10)
    ollama.pull("tiny:1b", model=filled(seed=1), template=b"GGUF is not in here")
    lost = ollama.path(ollama.blob(filled(seed=2)))
    ollama.blob(b"a licence that is long enough")
    library = scan([ollama.root])
    assert only(library).id == "tiny-1b-q8_0"
    assert [(left.path, left.reason.partition(":")[0]) for left in library.left_out] == [
        (lost, "weights to which no name of Ollama's leads")
    ]


def test_a_new_name_is_known_without_reading_the_weights_again(ollama: OllamaFolder) -> None:
    weights = ollama.blob(filled())
    ollama.pull("tiny:latest", model=weights)
    cache = ReadingCache()
    first = only(scan([ollama.root], cache=cache))
    ollama.pull("tiny:1b", model=weights)
    second = only(scan([ollama.root], cache=cache))
    assert set(second.aliases) - set(first.aliases) == {"tiny:1b", "tiny-1b"}
    assert second.path == first.path


def test_two_models_that_would_have_one_id_are_told_apart_by_who_has_them(ollama: OllamaFolder) -> None:
    ollama.pull("tiny:1b", model=filled(seed=1))
    ollama.pull("someone/tiny:1b", model=filled(seed=2))
    ids = {model.id: model.aliases for model in scan([ollama.root]).models}
    assert set(ids) in ({"tiny-1b-q8_0", "someone-tiny-1b-q8_0"}, {"tiny-1b-q8_0", "ollama-tiny-1b-q8_0"})
    assert {"tiny:1b", "someone/tiny:1b"} <= {alias for aliases in ids.values() for alias in aliases}
