"""What a projector's header says about its encoders."""

from __future__ import annotations

from claracore.core.gguf.header import Value
from claracore.core.gguf.projector import projector_of
from claracore.core.gguf.tensors import Tensor

SEEING: dict[str, Value] = {
    "clip.has_vision_encoder": True, "clip.projector_type": "pixtral", "clip.vision.embedding_length": 1024,
    "clip.vision.feed_forward_length": 4096, "clip.vision.attention.head_count": 16, "clip.vision.patch_size": 14,
    "clip.vision.image_size": 1540, "clip.vision.spatial_merge_size": 2,
}  # fmt: skip
HEARING: dict[str, Value] = {
    "clip.has_audio_encoder": True, "clip.projector_type": "ultravox", "clip.audio.embedding_length": 1280,
    "clip.audio.feed_forward_length": 5120, "clip.audio.attention.head_count": 20, "clip.audio.num_mel_bins": 128,
    "clip.audio.projector.stack_factor": 8,
}  # fmt: skip


def tensor(name: str, *shape: int, size: int = 10) -> Tensor:
    return Tensor(name, shape, 1, 0, 0, size)


def test_a_picture_is_as_large_as_llama_cpp_tries_it() -> None:
    projector = projector_of(SEEING, [tensor("v.blk.0.ffn_gate.weight", 1024, 4096), tensor("mm.1.weight", 1024, 5120)])
    (encoder,) = projector.encoders
    assert projector.weight_bytes == 20
    assert (encoder.side, encoder.positions, encoder.any_size) == (16 * 2 * 14, 32 * 32, True)
    assert (encoder.gated, encoder.merged, encoder.widest) == (True, 4, 5120)
    assert encoder.input_bytes == 448 * 448 * 3 * 4


def test_other_types_have_one_size_of_picture_and_perhaps_a_class() -> None:
    keys = SEEING | {"clip.projector_type": "mlp", "clip.vision.image_size": 336}
    (encoder,) = projector_of(keys, [tensor("v.class_embd", 1024)]).encoders
    assert (encoder.side, encoder.positions, encoder.any_size) == (336, 24 * 24 + 1, False)


def test_layers_that_the_model_gets_features_of_are_counted() -> None:
    keys = SEEING | {"clip.projector_type": "qwen3vl_merger", "clip.vision.n_wa_pattern": 8}
    layers = [tensor(f"v.deepstack.{layer}.fc2.weight", 4608, 4096) for layer in (8, 16, 24)]
    (encoder,) = projector_of(keys, layers).encoders
    assert (encoder.deep, encoder.windowed, encoder.side) == (3, True, 46 * 2 * 14)


def test_sound_is_read_by_the_half_minute() -> None:
    (encoder,) = projector_of(HEARING, [tensor("mm.a.mlp.1.weight", 10240, 4096)]).encoders
    assert (encoder.positions, encoder.merged, encoder.widest, encoder.side) == (1500, 8, 4096, 0)
    assert encoder.input_bytes == 3000 * 128 * 4


def test_one_file_may_see_and_hear() -> None:
    both = SEEING | HEARING
    del both["clip.projector_type"]
    kinds: dict[str, Value] = {"clip.vision.projector_type": "qwen2.5vl_merger", "clip.audio.projector_type": "qwen2a"}
    assert [encoder.side for encoder in projector_of(both | kinds, []).encoders] == [46 * 2 * 14, 0]


def test_an_encoder_of_another_kind_is_not_guessed() -> None:
    for keys in (
        SEEING | {"clip.projector_type": "gemma3nv"},
        SEEING | {"clip.vision.patch_size": 0},
        SEEING | {"clip.vision.embedding_length": "wide"},
        SEEING | {"clip.projector_type": "mlp", "clip.vision.image_size": 1 << 40},
        HEARING | {"clip.projector_type": "parakeet"},
        {},
    ):
        assert projector_of(keys, [tensor("v.patch_embd.weight", 14, 14)]).encoders == ()
