"""Which names of Ollama's library are read, and which files does a manifest mean?"""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from claracore.core.pull.choice import NoSuchFile
from claracore.core.pull.ollama import (
    KIND,
    OllamaLayer,
    OllamaManifest,
    OllamaSettings,
    parse_name,
    plan_of,
)
from claracore.errors import BadRequest

DIGESTS = [f"sha256:{letter * 64}" for letter in "0123456789"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("llama3.2", "llama3.2:latest"),
        (" llama3.2:1b ", "llama3.2:1b"),
        ("library/llama3.2:1b", "llama3.2:1b"),
        ("someone/model:q4_K_M", "someone/model:q4_K_M"),
        ("registry.ollama.ai/library/llama3.2:1b", "llama3.2:1b"),
        ("ollama.com/library/llama3.2", "llama3.2:latest"),
        ("https://ollama.com/library/llama3.2:1b", "llama3.2:1b"),
        ("https://ollama.com/someone/model", "someone/model:latest"),
        ("mirror.example:5000/library/llama3.2", "llama3.2:latest"),
    ],
)
def test_names(text: str, name: str) -> None:
    assert str(parse_name(text, hosts=["mirror.example:5000"])) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "a b",
        "../x",
        "a/../b",
        "..",
        "x:..",
        "evil.example/library/x",
        "a/b/c/d",
        "-x",
        "a" * 81,
        "x:1:2",
        "x@y",
    ],
)
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(BadRequest, match="write MODEL"):
        parse_name(text)


def manifest(*kinds: str) -> OllamaManifest:
    layers = [OllamaLayer(KIND + kind, DIGESTS[number], 100 + number) for number, kind in enumerate(kinds)]
    return OllamaManifest(layers=layers)


def test_a_manifest_becomes_files() -> None:
    made = plan_of(
        parse_name("llava:7b"),
        manifest("model", "projector", "license", "license", "template", "params", "system"),
        OllamaSettings("gguf", "Q4_0"),
    )
    folder = PurePosixPath("ollama/llava-7b")
    places = [str(file.place.relative_to(folder)) for file in made.files]
    assert places == [
        *("llava-7b.gguf", "llava-7b-mmproj.gguf", "LICENSE.txt", "LICENSE-2.txt"),
        *("template.txt", "params.json", "system.txt"),
    ]
    assert [file.remote.size for file in made.files] == [100, 101, 102, 103, 104, 105, 106]
    assert (made.variant.quantization, str(made.reference)) == ("Q4_0", "llava:7b")
    assert made.reference.page == "https://ollama.com/library/llava"
    others = plan_of(parse_name("someone/model-gguf"), manifest("model"), OllamaSettings())
    assert str(others.files[0].place) == "someone/model/model.gguf"


@pytest.mark.parametrize(
    ("kinds", "settings", "says"),
    [
        (["license"], OllamaSettings(), "cloud"),
        (["tensor"], OllamaSettings("safetensors"), "MLX"),
        (["model"], OllamaSettings("safetensors"), "cannot be served"),
        (["model", "adapter"], OllamaSettings(), "adapter"),
    ],
)
def test_manifests_that_cannot_be_served(kinds: list[str], settings: OllamaSettings, says: str) -> None:
    with pytest.raises(NoSuchFile, match=says):
        plan_of(parse_name("x"), manifest(*kinds), settings)


@pytest.mark.parametrize(
    "layer", [OllamaLayer(KIND + "model", "sha256:../../x", 1), OllamaLayer(KIND + "model", DIGESTS[0], -1)]
)
def test_damaged_manifests(layer: OllamaLayer) -> None:
    with pytest.raises(NoSuchFile, match="damaged"):
        plan_of(parse_name("x"), OllamaManifest(layers=[layer]), OllamaSettings())
