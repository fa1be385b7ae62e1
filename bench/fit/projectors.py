"""Published shapes of projectors: what llama.cpp's tools/mtmd/clip.cpp loads, in the types of its converter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from published import Projector, floats

from zoo.synthetic import TensorSpec


def pair(name: str, *shape: int, bias: bool = True) -> Iterator[TensorSpec]:
    """Return a matrix (f16) and the vector that is added to what it makes (f32)."""
    yield TensorSpec(f"{name}.weight", shape, "F16")
    if bias:
        yield TensorSpec(f"{name}.bias", shape[-1:])


def norm(name: str, width: int, *, bias: bool = True) -> Iterator[TensorSpec]:
    for part in ("weight", "bias")[: 1 + bias]:
        yield TensorSpec(f"{name}.{part}", (width,))


def layer(
    prefix: str, width: int, inner: int, *, joined: bool = False, gate: bool = False, biases: Sequence[str] = ("all",)
) -> Iterator[TensorSpec]:
    """Return one block of an encoder; `biases` names the parts that have them."""

    def biased(part: str) -> bool:
        return "all" in biases or part in biases

    for part in ("qkv",) if joined else ("q", "k", "v"):
        yield from pair(f"{prefix}.attn_{part}", width, width * 3 if joined else width, bias=biased(part))
    yield from pair(f"{prefix}.attn_out", width, width, bias=biased("out"))
    for part in ("ln1", "ln2"):
        yield from norm(f"{prefix}.{part}", width, bias=biased("norms"))
    for part in ("ffn_gate", "ffn_up")[not gate :]:
        yield from pair(f"{prefix}.{part}", width, inner, bias=biased("ffn"))
    yield from pair(f"{prefix}.ffn_down", inner, width, bias=biased("ffn"))


def encoder(
    sense: str, layers: int, widths: tuple[int, int], heads: int, out: int, **more: object
) -> dict[str, object]:
    """Return the keys that all encoders have, with their width and the inner one; `more` are further ones."""
    width, inner = widths
    keys: dict[str, object] = {
        "embedding_length": width, "feed_forward_length": inner, "block_count": layers,
        "attention.head_count": heads, "projection_dim": out, "attention.layer_norm_epsilon": 1e-6,
    }  # fmt: skip
    if sense == "vision":
        keys |= {"image_mean": floats(0.5, 0.5, 0.5), "image_std": floats(0.5, 0.5, 0.5)}
    return {f"clip.has_{sense}_encoder": True} | {f"clip.{sense}.{key}": value for key, value in (keys | more).items()}


def blocks(layers: int, sense: str, width: int, inner: int, **more: object) -> Iterator[TensorSpec]:
    for index in range(layers):
        yield from layer(f"{sense}.blk.{index}", width, inner, **more)  # type: ignore[arg-type]


def patches(size: int, width: int, *, count: int = 1, bias: bool = True) -> Iterator[TensorSpec]:
    yield TensorSpec("v.patch_embd.weight", (size, size, 3, width), "F16")
    if count == 2:
        yield TensorSpec("v.patch_embd.weight.1", (size, size, 3, width), "F16")
    if bias:
        yield TensorSpec("v.patch_embd.bias", (width,))


def gemma3() -> Projector:
    keys = encoder("vision", 27, (1152, 4304), 16, 2560, image_size=896, patch_size=14)
    tensors = (
        *patches(14, 1152), TensorSpec("v.position_embd.weight", (1152, 4096)), *norm("v.post_ln", 1152),
        TensorSpec("mm.input_projection.weight", (2560, 1152), "F16"), TensorSpec("mm.soft_emb_norm.weight", (1152,)),
        *blocks(27, "v", 1152, 4304),
    )  # fmt: skip
    keys |= {"clip.projector_type": "gemma3", "clip.use_gelu": True}
    return Projector("mmproj-gemma3-4b-f16", "google/gemma-3-4b-it", keys, tensors)


def qwen25_vl() -> Projector:
    keys = encoder("vision", 32, (1280, 3420), 16, 3584, image_size=560, patch_size=14, n_wa_pattern=8)
    tensors = (
        *patches(14, 1280, count=2, bias=False), *norm("v.post_ln", 1280, bias=False),
        *pair("mm.0", 5120, 5120), *pair("mm.2", 5120, 3584),
        *blocks(32, "v", 1280, 3420, gate=True, biases=("q", "k", "v", "out", "ffn")),
    )  # fmt: skip
    keys |= {"clip.projector_type": "qwen2.5vl_merger", "clip.use_silu": True}
    return Projector("mmproj-qwen2.5-vl-7b-f16", "Qwen/Qwen2.5-VL-7B-Instruct", keys, tensors)


def qwen3_vl() -> Projector:
    keys = encoder("vision", 27, (1152, 4304), 16, 4096, image_size=768, patch_size=16, spatial_merge_size=2)
    deep = [
        tensor
        for index in (8, 16, 24)
        for part in (
            norm(f"v.deepstack.{index}.norm", 4608),
            pair(f"v.deepstack.{index}.fc1", 4608, 4608),
            pair(f"v.deepstack.{index}.fc2", 4608, 4096),
        )
        for tensor in part
    ]
    tensors = (
        *patches(16, 1152, count=2), TensorSpec("v.position_embd.weight", (1152, 2304)), *norm("v.post_ln", 1152),
        *pair("mm.0", 4608, 4608), *pair("mm.2", 4608, 4096), *deep, *blocks(27, "v", 1152, 4304, joined=True),
    )  # fmt: skip
    keys |= {"clip.projector_type": "qwen3vl_merger", "clip.use_gelu": True}
    return Projector("mmproj-qwen3-vl-8b-f16", "Qwen/Qwen3-VL-8B-Instruct", keys, tensors)


def pixtral() -> Projector:
    keys = encoder("vision", 24, (1024, 4096), 16, 5120, image_size=1540, patch_size=14, spatial_merge_size=2)
    tensors = (
        *patches(14, 1024, bias=False), *norm("v.pre_ln", 1024, bias=False),
        TensorSpec("v.token_embd.img_break", (5120,)), TensorSpec("mm.input_norm.weight", (1024,)),
        *pair("mm.patch_merger", 4096, 1024, bias=False),
        *pair("mm.1", 1024, 5120, bias=False), *pair("mm.2", 5120, 5120, bias=False),
        *blocks(24, "v", 1024, 4096, gate=True, biases=()),
    )  # fmt: skip
    keys |= {"clip.projector_type": "pixtral", "clip.use_silu": True}
    name = "mmproj-mistral-small-3.2-24b-f16"
    return Projector(name, "mistralai/Mistral-Small-3.2-24B-Instruct-2506", keys, tensors)


def internvl3() -> Projector:
    keys = encoder("vision", 24, (1024, 4096), 16, 3584, image_size=448, patch_size=14)
    scales = [TensorSpec(f"v.blk.{index}.{part}.weight", (1024,)) for index in range(24) for part in ("ls1", "ls2")]
    tensors = (
        *patches(14, 1024), TensorSpec("v.class_embd", (1024,)), TensorSpec("v.position_embd.weight", (1024, 1025)),
        *norm("mm.model.mlp.0", 4096), *pair("mm.model.mlp.1", 4096, 3584), *pair("mm.model.mlp.3", 3584, 3584),
        *scales, *blocks(24, "v", 1024, 4096),
    )  # fmt: skip
    keys |= {"clip.projector_type": "internvl", "clip.use_gelu": True, "clip.vision.projector.scale_factor": 2}
    return Projector("mmproj-internvl3-8b-f16", "OpenGVLab/InternVL3-8B", keys, tensors)


def llava() -> Projector:
    # The last of CLIP's 24 layers is not used.
    keys = encoder("vision", 23, (1024, 4096), 16, 4096, image_size=336, patch_size=14)
    tensors = (
        *patches(14, 1024, bias=False), TensorSpec("v.class_embd", (1024,)), *norm("v.pre_ln", 1024),
        TensorSpec("v.position_embd.weight", (1024, 577)), *pair("mm.0", 1024, 4096), *pair("mm.2", 4096, 4096),
        *blocks(23, "v", 1024, 4096),
    )  # fmt: skip
    keys |= {"clip.projector_type": "mlp"}
    return Projector("mmproj-llava-1.5-7b-f16", "llava-hf/llava-1.5-7b-hf", keys, tensors)


def whisper(width: int, layers: int, inner: int) -> Iterator[TensorSpec]:
    """Return the encoder of Whisper large; keys have no bias."""
    for index, inputs in ((1, 128), (2, width)):
        yield TensorSpec(f"a.conv1d.{index}.weight", (3, inputs, width), "F16")
        yield TensorSpec(f"a.conv1d.{index}.bias", (1, width))
    yield TensorSpec("a.position_embd.weight", (width, 1500))
    yield from norm("a.post_ln", width)
    yield from blocks(layers, "a", width, inner, biases=("q", "v", "out", "norms", "ffn"))


def ultravox() -> Projector:
    keys = encoder("audio", 32, (1280, 5120), 20, 2048, num_mel_bins=128)
    tensors = (
        *whisper(1280, 32, 5120), TensorSpec("mm.a.norm_pre.weight", (10240,)),
        *pair("mm.a.mlp.1", 10240, 4096, bias=False), TensorSpec("mm.a.norm_mid.weight", (2048,)),
        *pair("mm.a.mlp.2", 2048, 2048, bias=False),
    )  # fmt: skip
    keys |= {"clip.projector_type": "ultravox", "clip.audio.projector.stack_factor": 8}
    return Projector("mmproj-ultravox-0.5-1b-f16", "fixie-ai/ultravox-v0_5-llama-3_2-1b", keys, tensors)


def qwen2_audio() -> Projector:
    keys = encoder("audio", 32, (1280, 5120), 20, 4096, num_mel_bins=128)
    tensors = (*whisper(1280, 32, 5120), *pair("mm.a.fc", 1280, 4096))
    keys |= {"clip.projector_type": "qwen2a"}
    return Projector("mmproj-qwen2-audio-7b-f16", "Qwen/Qwen2-Audio-7B-Instruct", keys, tensors)


PROJECTORS = (
    gemma3(), qwen25_vl(), qwen3_vl(), pixtral(), internvl3(), llava(), ultravox(), qwen2_audio()
)  # fmt: skip
