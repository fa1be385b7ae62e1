"""A zoo of model shapes, modelled on public families: numbers from their published configurations.

Each member says under which file name it is found and what must be known of it. Language models are `Shape`s; their
parameter counts are checked against the published ones where `billions` is given (2 %: norms and biases are left out).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from claracore.core.gguf.model import Kind
from claracore.core.gguf.types import ValueType
from zoo.synthetic import Image, Shape, TensorSpec, Typed, build
from zoo.templates import CHATML, HARMONY, INST, R1, SEES, THINK, TOOLS

Abilities = frozenset[str]
TOOL, TOOL_THINK = frozenset({"tools"}), frozenset({"tools", "reasoning"})
NONE: Abilities = frozenset()


@dataclass(frozen=True)
class Member:
    """One animal of the zoo."""

    file: str
    shape: Shape
    id: str
    kind: Kind
    quant: str
    context: int
    billions: float | None = None
    active_billions: float | None = None
    abilities: Abilities = NONE
    alias: str | None = None
    """The id without quantization, if not simply that."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """Further facts that must hold, by field name."""

    def image(self) -> Image:
        return self.shape.image()


YARN = {".rope.scaling.type": "yarn", ".rope.scaling.factor": 4.0, ".rope.scaling.original_context_length": 32768}
RANK = {".pooling_type": 4, ".classifier.output_labels": ["yes", "no"]}


def _windows(layers: int, period: int) -> tuple[bool, ...]:
    return tuple(layer % period != period - 1 for layer in range(layers))


def bert(
    arch: str,
    size: tuple[int, int, int, int],
    vocab: int,
    context: int,
    quant: str = "F16",
    *,
    pooling: int = 1,
    gate: bool = False,
    head: tuple[TensorSpec, ...] = (),
) -> Shape:
    """An encoder; `size` is layers, embedding, heads, feed forward."""
    layers, embedding, heads, ff = size
    keys = {".attention.causal": False, ".pooling_type": pooling}
    return Shape(
        arch, layers, embedding, heads, heads, ff, vocab, context, quant,
        gate=gate, tied=True, tokenizer="bert", keys=keys, more_tensors=head,
    )  # fmt: skip


LLAMAS = (
    Member(
        "llama-2-7b-chat.Q4_K_M.gguf",
        Shape("llama", 32, 4096, 32, 32, 11008, 32000, 4096, name="LLaMA v2", tokenizer="llama", template=INST),
        "llama-2-7b-chat-q4_k_m", Kind.CHAT, "Q4_K_M", 4096, 6.74,
    ),
    Member(
        "llama-2-70b.Q2_K.gguf",
        Shape("llama", 80, 8192, 64, 8, 28672, 32000, 4096, "Q2_K", name="LLaMA v2", tokenizer="llama"),
        "llama-2-70b-q2_k", Kind.BASE, "Q2_K", 4096, 68.98,
        facts={"kv_heads": (8,) * 80, "head_dim_k": (128,) * 80},
    ),
    Member(
        "Meta-Llama-3-8B-Instruct-Q8_0.gguf",
        Shape("llama", 32, 4096, 32, 8, 14336, 128256, 8192, "Q8_0", name="Meta Llama 3 8B Instruct", template=CHATML),
        "meta-llama-3-8b-instruct-q8_0", Kind.CHAT, "Q8_0", 8192, 8.03,
    ),
    Member(
        "Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf",
        Shape("llama", 32, 4096, 32, 8, 14336, 128256, 131072, template=TOOLS,
              more_tensors=(TensorSpec("rope_freqs.weight", (64,)),)),
        "meta-llama-3.1-8b-instruct-q4_k_m", Kind.CHAT, "Q4_K_M", 131072, 8.03, abilities=TOOL,
        facts={"vocab_size": 128256, "rope_scaling": None},
    ),
    Member(
        "Llama-3.2-1B-Instruct-IQ4_XS.gguf",
        Shape("llama", 16, 2048, 32, 8, 8192, 128256, 131072, "IQ4_XS", tied=True, template=TOOLS),
        "llama-3.2-1b-instruct-iq4_xs", Kind.CHAT, "IQ4_XS", 131072, 1.24, abilities=TOOL,
    ),
    Member(
        "Llama-3.2-3B-Instruct-f16.gguf",
        Shape("llama", 28, 3072, 24, 8, 8192, 128256, 131072, "F16", tied=True, template=TOOLS),
        "llama-3.2-3b-instruct-f16", Kind.CHAT, "F16", 131072, 3.21, abilities=TOOL,
    ),
    Member(
        "Llama-3.3-70B-Instruct-IQ3_M.gguf",
        Shape("llama", 80, 8192, 64, 8, 28672, 128256, 131072, "IQ3_M", template=TOOLS),
        "llama-3.3-70b-instruct-iq3_m", Kind.CHAT, "IQ3_M", 131072, 70.55, abilities=TOOL,
    ),
    Member(
        "Llama-4-Scout-17B-16E-Instruct-UD-Q2_K_XL.gguf",
        Shape("llama4", 48, 5120, 40, 8, 16384, 202048, 10485760, "Q2_K", head_dim=128, experts=16, used=1,
              expert_ff=8192, shared_ff=8192, template=TOOLS),
        "llama-4-scout-17b-16e-instruct-ud-q2_k_xl", Kind.CHAT, "UD-Q2_K_XL", 10485760, 107.8, 17.2, abilities=TOOL,
        facts={"sliding_window": 8192, "sliding": _windows(48, 4), "experts": 16, "experts_used": 1},
    ),
    Member(
        "tinyllama-1.1b-chat-v1.0.Q5_K_S.gguf",
        Shape("llama", 22, 2048, 32, 4, 5632, 32000, 2048, "Q5_K_S", tokenizer="llama", template=CHATML),
        "tinyllama-1.1b-chat-v1.0-q5_k_s", Kind.CHAT, "Q5_K_S", 2048, 1.10,
    ),
    Member(
        "SmolLM2-1.7B-Instruct-Q6_K.gguf",
        Shape("llama", 24, 2048, 32, 32, 8192, 49152, 8192, "Q6_K", tied=True, template=TOOLS),
        "smollm2-1.7b-instruct-q6_k", Kind.CHAT, "Q6_K", 8192, 1.71, abilities=TOOL,
    ),
    Member(
        "SmolLM3-Q4_K_M.gguf",
        Shape("smollm3", 36, 2048, 16, 4, 11008, 128256, 65536, tied=True, template=THINK, size_label="3B"),
        "smollm3-3b-q4_k_m", Kind.CHAT, "Q4_K_M", 65536, 3.08, abilities=TOOL_THINK,
    ),
)  # fmt: skip

MISTRALS = (
    Member(
        "mistral-7b-instruct-v0.2.Q4_K_S.gguf",
        Shape("llama", 32, 4096, 32, 8, 14336, 32000, 32768, "Q4_K_S", tokenizer="llama", template=INST,
              keys={".attention.sliding_window": 4096}),
        "mistral-7b-instruct-v0.2-q4_k_s", Kind.CHAT, "Q4_K_S", 32768, 7.24, facts={"sliding_window": None},
    ),
    Member(
        "Mistral-Nemo-Instruct-2407-Q4_K_M.gguf",
        Shape("llama", 40, 5120, 32, 8, 14336, 131072, 1024000, head_dim=128, template=TOOLS, size_label="12B"),
        "mistral-nemo-instruct-2407-12b-q4_k_m", Kind.CHAT, "Q4_K_M", 1024000, 12.25, abilities=TOOL,
        facts={"head_dim_k": (128,) * 40},
    ),
    Member(
        "mistralai_Mistral-Small-3.2-24B-Instruct-2506-Q3_K_L.gguf",
        Shape("llama", 40, 5120, 32, 8, 32768, 131072, 131072, "Q3_K_L", head_dim=128, template=TOOLS,
              keys={"general.organization": "Mistralai"}),
        "mistral-small-3.2-24b-instruct-2506-q3_k_l", Kind.CHAT, "Q3_K_L", 131072, 23.57, abilities=TOOL,
    ),
    Member(
        "Magistral-Small-2507-Q3_K_S.gguf",
        Shape("llama", 40, 5120, 32, 8, 32768, 131072, 40960, "Q3_K_S", head_dim=128,
              template=TOOLS + "[THINK][/THINK]", size_label="24B"),
        "magistral-small-2507-24b-q3_k_s", Kind.CHAT, "Q3_K_S", 40960, 23.57, abilities=TOOL_THINK,
    ),
    Member(
        "mixtral-8x7b-instruct-v0.1.Q3_K_M.gguf",
        Shape("llama", 32, 4096, 32, 8, 14336, 32000, 32768, "Q3_K_M", experts=8, used=2, expert_ff=14336,
              tokenizer="llama", template=INST),
        "mixtral-8x7b-instruct-v0.1-q3_k_m", Kind.CHAT, "Q3_K_M", 32768, 46.7, 12.9,
    ),
    Member(
        "Ministral-8B-Instruct-2410-Q5_K_M.gguf",
        Shape("llama", 36, 4096, 32, 8, 12288, 131072, 32768, "Q5_K_M", head_dim=128, template=TOOLS),
        "ministral-8b-instruct-2410-q5_k_m", Kind.CHAT, "Q5_K_M", 32768, 8.02, abilities=TOOL,
    ),
    Member(
        "Mistral-Small-3.1-DRAFT-0.5B.Q8_0.gguf",
        Shape("qwen2", 24, 896, 14, 2, 4864, 131072, 32768, "Q8_0", tied=True, template=CHATML,
              name="Mistral Small 3.1 DRAFT 0.5B"),
        "mistral-small-3.1-draft-0.5b-q8_0", Kind.DRAFT, "Q8_0", 32768, 0.475,
    ),
)  # fmt: skip

QWENS = (
    Member(
        "qwen2-7b-instruct-q4_0.gguf",
        Shape("qwen2", 28, 3584, 28, 4, 18944, 152064, 32768, "Q4_0", template=CHATML),
        "qwen2-7b-instruct-q4_0", Kind.CHAT, "Q4_0", 32768, 7.62,
    ),
    Member(
        "qwen2.5-14b-instruct-q5_k_m.gguf",
        Shape("qwen2", 48, 5120, 40, 8, 13824, 152064, 32768, "Q5_K_M", template=TOOLS, keys=YARN),
        "qwen2.5-14b-instruct-q5_k_m", Kind.CHAT, "Q5_K_M", 32768, 14.77, abilities=TOOL,
        facts={"rope_scaling": "yarn", "rope_scaling_factor": 4.0, "rope_original_context": 32768},
    ),
    Member(
        "Qwen2.5-Coder-0.5B-Q8_0.gguf",
        Shape("qwen2", 24, 896, 14, 2, 4864, 151936, 32768, "Q8_0", tied=True, template=TOOLS,
              name="Qwen2.5 Coder 0.5B Base"),
        "qwen2.5-coder-0.5b-q8_0", Kind.BASE, "Q8_0", 32768, 0.494, abilities=TOOL,
    ),
    Member(
        "Qwen2.5-VL-7B-Instruct-Q4_K_M.gguf",
        Shape("qwen2vl", 28, 3584, 28, 4, 18944, 152064, 128000, template=SEES),
        "qwen2.5-vl-7b-instruct-q4_k_m", Kind.VISION, "Q4_K_M", 128000, 7.62, abilities=frozenset({"tools", "vision"}),
    ),
    Member(
        "QwQ-32B-Q4_K_M.gguf",
        Shape("qwen2", 64, 5120, 40, 8, 27648, 152064, 131072, template=THINK),
        "qwq-32b-q4_k_m", Kind.CHAT, "Q4_K_M", 131072, 32.76, abilities=TOOL_THINK,
    ),
    Member(
        "Qwen_Qwen3-0.6B-Q4_K_L.gguf",
        Shape("qwen3", 28, 1024, 16, 8, 3072, 151936, 40960, head_dim=128, tied=True, template=THINK),
        "qwen3-0.6b-q4_k_l", Kind.CHAT, "Q4_K_L", 40960, 0.596, abilities=TOOL_THINK,
        facts={"head_dim_k": (128,) * 28, "vocab_size": 151936},
    ),
    Member(
        "Qwen3-8B-Base.IQ2_XS.gguf",
        Shape("qwen3", 36, 4096, 32, 8, 12288, 151936, 32768, "IQ2_XS", head_dim=128, template=THINK,
              name="Qwen3 8B Base"),
        "qwen3-8b-base-iq2_xs", Kind.BASE, "IQ2_XS", 32768, 8.19, abilities=TOOL_THINK,
    ),
    Member(
        "Qwen3-30B-A3B-UD-Q4_K_XL.gguf",
        Shape("qwen3moe", 48, 2048, 32, 4, 6144, 151936, 40960, head_dim=128, experts=128, used=8, expert_ff=768,
              template=THINK),
        "qwen3-30b-a3b-ud-q4_k_xl", Kind.CHAT, "UD-Q4_K_XL", 40960, 30.53, 3.35, abilities=TOOL_THINK,
        facts={"experts": 128, "experts_used": 8, "expert_feed_forward": 768},
    ),
    Member(
        "Qwen3-Coder-480B-A35B-Instruct-IQ1_M.gguf",
        Shape("qwen3moe", 62, 6144, 96, 8, 8192, 151936, 262144, "IQ1_M", head_dim=128, experts=160, used=8,
              expert_ff=2560, template=TOOLS),
        "qwen3-coder-480b-a35b-instruct-iq1_m", Kind.CHAT, "IQ1_M", 262144, 480.2, 35.5, abilities=TOOL,
    ),
    Member(
        "Qwen3-VL-4B-Instruct-BF16.gguf",
        Shape("qwen3vl", 36, 2560, 32, 8, 9728, 151936, 262144, "BF16", head_dim=128, tied=True, template=SEES),
        "qwen3-vl-4b-instruct-bf16", Kind.VISION, "BF16", 262144, 4.02, abilities=frozenset({"tools", "vision"}),
    ),
    Member(
        "Qwen3-Next-80B-A3B-Instruct-Q4_K_M.gguf",
        Shape("qwen3next", 48, 2048, 16, 2, 5120, 151936, 262144, head_dim=256, experts=512, used=10, expert_ff=512,
              shared_ff=512, template=TOOLS,
              keys={".ssm.conv_kernel": 4, ".ssm.state_size": 128, ".ssm.group_count": 16, ".ssm.inner_size": 4096,
                    ".ssm.time_step_rank": 32, ".full_attention_interval": 4}),
        "qwen3-next-80b-a3b-instruct-q4_k_m", Kind.CHAT, "Q4_K_M", 262144, abilities=TOOL,
        facts={"recurrent": _windows(48, 4), "has_kv_cache": tuple(not slides for slides in _windows(48, 4)),
               "state_conv_elements": 3 * (4096 + 2 * 16 * 128), "state_ssm_elements": 128 * 4096},
    ),
)  # fmt: skip

GEMMAS = (
    Member(
        "gemma-2b-it.Q4_K_M.gguf",
        Shape("gemma", 18, 2048, 8, 1, 16384, 256000, 8192, head_dim=256, tied=True, tokenizer="llama",
              template=CHATML),
        "gemma-2b-it-q4_k_m", Kind.CHAT, "Q4_K_M", 8192, 2.51,
    ),
    Member(
        "gemma-2-9b-it-Q4_K_M-fp16.gguf",
        Shape("gemma2", 42, 3584, 16, 8, 14336, 256000, 8192, head_dim=256, tied=True, tokenizer="llama",
              template=CHATML, keys={".attention.sliding_window": 4096}),
        "gemma-2-9b-it-q4_k_m", Kind.CHAT, "Q4_K_M", 8192, 9.24,
        facts={"sliding_window": 4096, "sliding": _windows(42, 2)},
    ),
    Member(
        "google_gemma-3-4b-it-Q4_0.gguf",
        Shape("gemma3", 34, 2560, 8, 4, 10240, 262208, 131072, "Q4_0", head_dim=256, tied=True, tokenizer="llama",
              template=CHATML + "<start_of_image>",
              keys={".attention.sliding_window": 1024, "general.organization": "Google"}),
        "gemma-3-4b-it-q4_0", Kind.CHAT, "Q4_0", 131072, 3.88, abilities=frozenset({"vision"}),
        facts={"sliding_window": 1024, "sliding": _windows(34, 6)},
    ),
    Member(
        "gemma-3n-E4B-it-UD-IQ2_M.gguf",
        Shape("gemma3n", 35, 2048, 8, 2, 16384, 262144, 32768, "IQ2_M", head_dim=256, tied=True, tokenizer="llama",
              template=CHATML,
              keys={".attention.sliding_window": 512, ".attention.shared_kv_layers": 15,
                    ".attention.sliding_window_pattern": list(_windows(35, 5))},
              more_tensors=(TensorSpec("per_layer_token_embd.weight", (256 * 35, 262144), "Q4_0"),)),
        "gemma-3n-e4b-it-ud-iq2_m", Kind.CHAT, "UD-IQ2_M", 32768,
        facts={"sliding": _windows(35, 5), "has_kv_cache": (True,) * 20 + (False,) * 15},
    ),
    Member(
        "embeddinggemma-300M-Q8_0.gguf",
        Shape("gemma-embedding", 24, 768, 3, 1, 1152, 262144, 2048, "Q8_0", head_dim=256, tied=True,
              tokenizer="llama",
              keys={".attention.sliding_window": 512, ".pooling_type": 1, ".attention.causal": False}),
        "embeddinggemma-300m-q8_0", Kind.EMBEDDING, "Q8_0", 2048, 0.303,
        facts={"pooling": "mean", "causal": False, "has_kv_cache": (False,) * 24},
    ),
    Member(
        "medgemma-27b-text-it-Q6_K.gguf",
        Shape("gemma3", 62, 5376, 32, 16, 21504, 262144, 131072, "Q6_K", head_dim=128, tied=True, tokenizer="llama",
              template=CHATML, keys={".attention.sliding_window": 1024}),
        "medgemma-27b-text-it-q6_k", Kind.CHAT, "Q6_K", 131072, 27.0,
    ),
)  # fmt: skip

PHIS = (
    Member(
        "phi-2.Q4_K_M.gguf",
        Shape("phi2", 32, 2560, 32, 32, 10240, 51200, 2048, gate=False),
        "phi-2-2.8b-q4_k_m", Kind.BASE, "Q4_K_M", 2048, 2.78,
    ),
    Member(
        "Phi-3-mini-4k-instruct-q4.gguf",
        Shape("phi3", 32, 3072, 32, 32, 8192, 32064, 4096, tokenizer="llama", template=CHATML,
              keys={".attention.sliding_window": 2047}),
        "phi-3-mini-4k-instruct-3.8b-q4_k_m", Kind.CHAT, "Q4_K_M", 4096, 3.82, facts={"sliding_window": None},
    ),
    Member(
        "phi-4-Q4_K_M.gguf",
        Shape("phi3", 40, 5120, 40, 10, 17920, 100352, 16384, template=CHATML, size_label="15B"),
        "phi-4-15b-q4_k_m", Kind.CHAT, "Q4_K_M", 16384, 14.66,
    ),
    Member(
        "Phi-4-mini-reasoning-BF16.gguf",
        Shape("phi3", 32, 3072, 24, 8, 8192, 200064, 131072, "BF16", tied=True, template=THINK, size_label="3.8B"),
        "phi-4-mini-reasoning-3.8b-bf16", Kind.CHAT, "BF16", 131072, 3.84, abilities=TOOL_THINK,
    ),
)  # fmt: skip

MLA = {".attention.kv_lora_rank": 512, ".attention.q_lora_rank": 1536, ".rope.dimension_count": 64}
ABSORBED = MLA | {".attention.key_length_mla": 192, ".attention.value_length_mla": 128}

DEEPSEEKS = (
    Member(
        "DeepSeek-V2-Lite-Chat.Q4_K_M.gguf",
        Shape("deepseek2", 27, 2048, 16, 16, 10944, 102400, 163840, head_dim=192, value_dim=128, experts=64, used=6,
              expert_ff=1408, shared_ff=2816, dense_layers=1, template=CHATML, size_label="16B",
              keys=MLA | {".leading_dense_block_count": 1}),
        "deepseek-v2-lite-chat-16b-q4_k_m", Kind.CHAT, "Q4_K_M", 163840,
        facts={"kv_heads": (16,) * 27, "head_dim_k": (192,) * 27, "head_dim_v": (128,) * 27},
    ),
    Member(
        "DeepSeek-V3-0324-UD-IQ1_M.gguf",
        Shape("deepseek2", 61, 7168, 128, 1, 18432, 129280, 163840, "IQ1_M", head_dim=576, value_dim=512,
              experts=256, used=8, expert_ff=2048, shared_ff=2048, dense_layers=3, template=TOOLS, size_label="671B",
              keys=ABSORBED, attention=False),
        "deepseek-v3-0324-671b-ud-iq1_m", Kind.CHAT, "UD-IQ1_M", 163840, abilities=TOOL,
        facts={"kv_heads": (1,) * 61, "head_dim_k": (576,) * 61, "experts": 256},
    ),
    Member(
        "DeepSeek-R1-Distill-Qwen-14B-Q4_K_M.gguf",
        Shape("qwen2", 48, 5120, 40, 8, 13824, 152064, 131072, template=R1),
        "deepseek-r1-distill-qwen-14b-q4_k_m", Kind.CHAT, "Q4_K_M", 131072, 14.77, abilities=frozenset({"reasoning"}),
    ),
    Member(
        "DeepSeek-R1-0528-Qwen3-8B-IQ3_XS.gguf",
        Shape("qwen3", 36, 4096, 32, 8, 12288, 151936, 131072, "IQ3_XS", head_dim=128, template=R1, keys=YARN),
        "deepseek-r1-0528-qwen3-8b-iq3_xs", Kind.CHAT, "IQ3_XS", 131072, 8.19, abilities=frozenset({"reasoning"}),
    ),
)  # fmt: skip

OSS = {".attention.sliding_window": 128, ".rope.scaling.type": "yarn", ".rope.scaling.factor": 32.0}

OTHERS = (
    Member(
        "gpt-oss-20b-mxfp4.gguf",
        Shape("gpt-oss", 24, 2880, 64, 8, 2880, 201088, 131072, "MXFP4", head_dim=64, experts=32, used=4,
              expert_ff=2880, expert_type="MXFP4", template=HARMONY, keys=OSS),
        "gpt-oss-20b-mxfp4", Kind.CHAT, "MXFP4", 131072, 20.9, abilities=TOOL_THINK,
        facts={"sliding_window": 128, "sliding": _windows(24, 2)},
    ),
    Member(
        "gpt-oss-20b-F16.gguf",
        Shape("gpt-oss", 24, 2880, 64, 8, 2880, 201088, 131072, "F16", head_dim=64, experts=32, used=4,
              expert_ff=2880, expert_type="MXFP4", template=HARMONY, keys=OSS),
        "gpt-oss-20b-mxfp4", Kind.CHAT, "MXFP4", 131072, 20.9, abilities=TOOL_THINK,
    ),
    Member(
        "granite-3.3-8b-instruct-Q4_K_M.gguf",
        Shape("granite", 40, 4096, 32, 8, 12800, 49159, 131072, tied=True,
              template=TOOLS + "{% if thinking %}<think>{% endif %}"),
        "granite-3.3-8b-instruct-q4_k_m", Kind.CHAT, "Q4_K_M", 131072, 8.17, abilities=TOOL_THINK,
    ),
    Member(
        "granite-4.0-h-tiny-Q4_K_M.gguf",
        Shape("granitehybrid", 40, 1536, 12, tuple(4 if layer in {5, 15, 25, 35} else 0 for layer in range(40)), 512,
              100352, 131072, experts=64, used=6, expert_ff=512, shared_ff=1024, tied=True, template=TOOLS,
              size_label="7B",
              keys={".ssm.conv_kernel": 4, ".ssm.state_size": 128, ".ssm.group_count": 1, ".ssm.inner_size": 3072,
                    ".ssm.time_step_rank": 48}),
        "granite-4.0-h-tiny-7b-q4_k_m", Kind.CHAT, "Q4_K_M", 131072, abilities=TOOL,
        facts={"recurrent": tuple(layer not in {5, 15, 25, 35} for layer in range(40)),
               "state_ssm_elements": 128 * 3072, "state_conv_elements": 3 * (3072 + 256)},
    ),
    Member(
        "c4ai-command-r-v01-Q4_K_M.gguf",
        Shape("command-r", 40, 8192, 64, 64, 22528, 256000, 131072, tied=True, template=TOOLS, size_label="35B"),
        "c4ai-command-r-v01-35b-q4_k_m", Kind.CHAT, "Q4_K_M", 131072, 34.98, abilities=TOOL,
    ),
    Member(
        "c4ai-command-r7b-12-2024-Q4_K_M.gguf",
        Shape("cohere2", 32, 4096, 32, 8, 14336, 256000, 8192, tied=True, template=TOOLS, size_label="8B",
              keys={".attention.sliding_window": 4096}),
        "c4ai-command-r7b-12-2024-8b-q4_k_m", Kind.CHAT, "Q4_K_M", 8192, 8.03, abilities=TOOL,
        facts={"sliding": _windows(32, 4)},
    ),
    Member(
        "falcon-7b-instruct.Q4_0.gguf",
        Shape("falcon", 32, 4544, 71, 1, 18176, 65024, 2048, "Q4_0", gate=False, name="Falcon"),
        "falcon-7b-instruct-q4_0", Kind.CHAT, "Q4_0", 2048,
    ),
    Member(
        "Falcon-H1-1.5B-Instruct-Q4_K_M.gguf",
        Shape("falcon-h1", 24, 2048, 8, 2, 4096, 65537, 131072, head_dim=128, template=TOOLS,
              keys={".ssm.conv_kernel": 4, ".ssm.state_size": 256, ".ssm.group_count": 1, ".ssm.inner_size": 3072}),
        "falcon-h1-1.5b-instruct-q4_k_m", Kind.CHAT, "Q4_K_M", 131072, abilities=TOOL,
        facts={"recurrent": (True,) * 24, "has_kv_cache": (True,) * 24},
    ),
    Member(
        "mamba-2.8b-hf.Q8_0.gguf",
        Shape("mamba", 64, 2560, 0, 0, 0, 50280, 1048576, "Q8_0", tied=True,
              keys={".ssm.conv_kernel": 4, ".ssm.state_size": 16, ".ssm.inner_size": 5120, ".ssm.time_step_rank": 160},
              more_tensors=tuple(TensorSpec(f"blk.{n}.ssm_in.weight", (2560, 10240), "Q8_0") for n in range(64))),
        "mamba-2.8b-hf-q8_0", Kind.BASE, "Q8_0", 1048576,
        facts={"recurrent": (True,) * 64, "has_kv_cache": (False,) * 64, "state_ssm_elements": 16 * 5120,
               "state_conv_elements": 3 * 5120},
    ),
    Member(
        "Jamba-v0.1-Q4_K_M.gguf",
        Shape("jamba", 32, 4096, 32, tuple(8 if layer % 8 == 4 else 0 for layer in range(32)), 14336, 65536, 262144,
              size_label="52B", keys={".ssm.conv_kernel": 4, ".ssm.state_size": 16, ".ssm.inner_size": 8192}),
        "jamba-v0.1-52b-q4_k_m", Kind.BASE, "Q4_K_M", 262144,
        facts={"has_kv_cache": tuple(layer % 8 == 4 for layer in range(32))},
    ),
    Member(
        "rwkv-6-world-7b-Q5_K_M.gguf",
        Shape("rwkv6", 32, 4096, 0, 0, 14336, 65536, 4096, "Q5_K_M", tokenizer="rwkv", attention=False, gate=False,
              keys={".wkv.head_size": 64}),
        "rwkv-6-world-7b-q5_k_m", Kind.BASE, "Q5_K_M", 4096,
        facts={"recurrent": (True,) * 32, "state_ssm_elements": 4096 * 64, "state_conv_elements": 2 * 4096},
    ),
    Member(
        "LFM2-1.2B-Q4_K_M.gguf",
        Shape("lfm2", 16, 2048, 32, tuple(8 if layer in {2, 5, 8, 10, 12, 14} else 0 for layer in range(16)), 8192,
              65536, 128000, tied=True, template=TOOLS, keys={".shortconv.l_cache": 3}),
        "lfm2-1.2b-q4_k_m", Kind.CHAT, "Q4_K_M", 128000, abilities=TOOL,
        facts={"state_conv_elements": 2048 * 2, "has_kv_cache": tuple(n in {2, 5, 8, 10, 12, 14} for n in range(16))},
    ),
    Member(
        "NVIDIA-Nemotron-Nano-9B-v2-Q4_K_M.gguf",
        Shape("nemotron_h", 6, 4480, (0, 0, 40, 0, 0, 40), (0, 0, 8, 0, 0, 8), (0, 15680, 0, 0, 15680, 0),
              131072, 131072, head_dim=128, gate=False, template=THINK,
              keys={".ssm.conv_kernel": 4, ".ssm.state_size": 128, ".ssm.group_count": 8, ".ssm.inner_size": 10240}),
        "nvidia-nemotron-nano-9b-v2-q4_k_m", Kind.CHAT, "Q4_K_M", 131072, abilities=TOOL_THINK,
        facts={"recurrent": (True, False, False, True, False, False),
               "has_kv_cache": (False, False, True, False, False, True)},
    ),
    Member(
        "OLMo-2-1124-7B-Instruct-Q4_K_M.gguf",
        Shape("olmo2", 32, 4096, 32, 32, 11008, 100352, 4096, template=CHATML),
        "olmo-2-1124-7b-instruct-q4_k_m", Kind.CHAT, "Q4_K_M", 4096, 7.3, facts={"sliding_window": None},
    ),
    Member(
        "OLMoE-1B-7B-0924-Q4_K_M.gguf",
        Shape("olmoe", 16, 2048, 16, 16, 1024, 50304, 4096, experts=64, used=8, expert_ff=1024),
        "olmoe-1b-7b-0924-q4_k_m", Kind.BASE, "Q4_K_M", 4096, 6.92, 1.28,
    ),
    Member(
        "stablelm-zephyr-3b.Q4_K_M.gguf",
        Shape("stablelm", 32, 2560, 32, 32, 6912, 50304, 4096, template=CHATML),
        "stablelm-zephyr-3b-q4_k_m", Kind.CHAT, "Q4_K_M", 4096, 2.8,
    ),
    Member(
        "starcoder2-7b-Q4_K_M.gguf",
        Shape("starcoder2", 32, 4608, 36, 4, 18432, 49152, 16384, gate=False, tied=False),
        "starcoder2-7b-q4_k_m", Kind.BASE, "Q4_K_M", 16384, 7.4,
    ),
    Member(
        "internlm2_5-7b-chat-q4_k_m.gguf",
        Shape("internlm2", 32, 4096, 32, 8, 14336, 92544, 32768, template=CHATML, tokenizer="llama"),
        "internlm2-5-7b-chat-q4_k_m", Kind.CHAT, "Q4_K_M", 32768, 7.74,
    ),
    Member(
        "THUDM_GLM-4-9B-0414-Q4_K_M.gguf",
        Shape("glm4", 40, 4096, 32, 2, 13696, 151552, 32768, template=TOOLS, keys={"general.organization": "THUDM"}),
        "glm-4-9b-0414-q4_k_m", Kind.CHAT, "Q4_K_M", 32768, 9.4, abilities=TOOL,
    ),
    Member(
        "GLM-4.5-Air-Q4_K_M.gguf",
        Shape("glm4moe", 47, 4096, 96, 8, 10944, 151552, 131072, head_dim=128, experts=128, used=8, expert_ff=1408,
              shared_ff=1408, dense_layers=1, template=THINK, size_label="106B", keys={".nextn_predict_layers": 1}),
        "glm-4.5-air-106b-q4_k_m", Kind.CHAT, "Q4_K_M", 131072, abilities=TOOL_THINK,
        facts={"layers": 46, "prediction_layers": 1},
    ),
    Member(
        "MiniCPM3-4B-Q4_K_M.gguf",
        Shape("minicpm3", 62, 2560, 40, 40, 6400, 73448, 32768, head_dim=96, value_dim=64, template=TOOLS,
              keys={".attention.kv_lora_rank": 256, ".rope.dimension_count": 32}),
        "minicpm3-4b-q4_k_m", Kind.CHAT, "Q4_K_M", 32768, abilities=TOOL,
    ),
    Member(
        "EXAONE-4.0-32B-Q4_K_M.gguf",
        Shape("exaone4", 64, 5120, 40, 8, 27392, 102400, 131072, head_dim=128, template=THINK,
              keys={".attention.sliding_window": 4096}),
        "exaone-4.0-32b-q4_k_m", Kind.CHAT, "Q4_K_M", 131072, 32.0, abilities=TOOL_THINK,
        facts={"sliding": _windows(64, 4)},
    ),
    Member(
        "ggml-model-Q4_K_M.gguf",
        Shape("llama", 32, 4096, 32, 8, 14336, 32768, 32768, name="Hermes 2 Pro Mistral 7B", template=TOOLS),
        "hermes-2-pro-mistral-7b-q4_k_m", Kind.CHAT, "Q4_K_M", 32768, 7.25, abilities=TOOL,
    ),
    Member(
        "BitNet-b1.58-2B-4T-TQ1_0.gguf",
        Shape("bitnet", 30, 2560, 20, 5, 6912, 128256, 4096, "TQ1_0", tied=True, template=CHATML),
        "bitnet-b1.58-2b-4t-tq1_0", Kind.CHAT, "TQ1_0", 4096, 2.41,
    ),
)  # fmt: skip

ENCODERS = (
    Member(
        "all-MiniLM-L6-v2-Q8_0.gguf",
        bert("bert", (6, 384, 12, 1536), 30522, 512, "Q8_0"),
        "all-minilm-l6-v2-22m-q8_0", Kind.EMBEDDING, "Q8_0", 512, facts={"pooling": "mean", "causal": False},
    ),
    Member(
        "nomic-embed-text-v1.5.f16.gguf",
        bert("nomic-bert", (12, 768, 12, 3072), 30522, 2048, gate=True),
        "nomic-embed-text-v1.5-137m-f16", Kind.EMBEDDING, "F16", 2048, 0.136,
    ),
    Member(
        "bge-m3-Q4_K_M.gguf",
        bert("bert", (24, 1024, 16, 4096), 250002, 8192, "Q4_K_M", pooling=2),
        "bge-m3-558m-q4_k_m", Kind.EMBEDDING, "Q4_K_M", 8192, 0.56, facts={"pooling": "cls"},
    ),
    Member(
        "jina-embeddings-v2-base-en-F32.gguf",
        bert("jina-bert-v2", (12, 768, 12, 3072), 30528, 8192, "F32", gate=True),
        "jina-embeddings-v2-base-en-137m-f32", Kind.EMBEDDING, "F32", 8192,
    ),
    Member(
        "Qwen3-Embedding-0.6B-Q8_0.gguf",
        Shape("qwen3", 28, 1024, 16, 8, 3072, 151669, 32768, "Q8_0", head_dim=128, tied=True, template=TOOLS,
              keys={".pooling_type": 3}),
        "qwen3-embedding-0.6b-q8_0", Kind.EMBEDDING, "Q8_0", 32768, 0.596, abilities=TOOL,
        facts={"pooling": "last", "has_kv_cache": (True,) * 28},
    ),
    Member(
        "bge-reranker-v2-m3-Q5_K_M.gguf",
        bert("bert", (24, 1024, 16, 4096), 250002, 8192, "Q5_K_M", pooling=4,
             head=(TensorSpec("cls.weight", (1024, 1024), "F16"), TensorSpec("cls.output.weight", (1024, 1)))),
        "bge-reranker-v2-m3-559m-q5_k_m", Kind.RERANKER, "Q5_K_M", 8192, facts={"pooling": "rank"},
    ),
    Member(
        "Qwen3-Reranker-0.6B-F16.gguf",
        Shape("qwen3", 28, 1024, 16, 8, 3072, 151669, 32768, "F16", head_dim=128, tied=True, template=TOOLS, keys=RANK,
              more_tensors=(TensorSpec("cls.output.weight", (1024, 2), "F16"),)),
        "qwen3-reranker-0.6b-f16", Kind.RERANKER, "F16", 32768, 0.596, abilities=TOOL, facts={"labels": ("yes", "no")},
    ),
    Member(
        "jina-reranker-v1-tiny-en-f16.gguf",
        bert("jina-bert-v2", (4, 384, 12, 1536), 61056, 8192, gate=True,
             head=(TensorSpec("cls.output.weight", (384, 1)),)),
        "jina-reranker-v1-tiny-en-33m-f16", Kind.RERANKER, "F16", 8192,
    ),
)  # fmt: skip

SERVED: tuple[Member, ...] = LLAMAS + MISTRALS + QWENS + GEMMAS + PHIS + DEEPSEEKS + OTHERS + ENCODERS

ONE = (TensorSpec("x.weight", (32, 32)),)
LORA = {"general.architecture": "llama", "general.type": "adapter", "adapter.type": "lora", "adapter.lora.alpha": 16.0}
IMATRIX = {"general.type": "imatrix", "imatrix.datasets": ["wiki"], "imatrix.chunk_count": 10}
VOCABULARY = {
    "general.architecture": "llama",
    "tokenizer.ggml.model": "llama",
    "tokenizer.ggml.tokens": Typed(ValueType.STRING, ["a", "b"]),
}


def mmproj(width: int, name: str | None = None, *, sound: bool = False, quant: str = "F16") -> Image:
    """The half of a vision (or audio) model that turns images (or sound) into embeddings of `width`."""
    sense = "audio" if sound else "vision"
    keys: dict[str, object] = {"general.architecture": "clip", "general.type": "mmproj"}
    keys |= {"general.name": name} if name else {}
    keys |= {f"clip.has_{sense}_encoder": True, f"clip.{sense}.projection_dim": width, f"clip.{sense}.block_count": 2}
    return build(keys, [TensorSpec(f"v.blk.{layer}.attn_q.weight", (1152, 1152), quant) for layer in range(2)])


REFUSED: Mapping[str, tuple[Image, Kind, str]] = {
    "my-lora.gguf": (build(LORA, ONE), Kind.LORA, "LoRA"),
    "imatrix.gguf": (build(IMATRIX, ONE), Kind.IMATRIX, "importance matrix"),
    "ggml-vocab-llama-spm.gguf": (build(VOCABULARY), Kind.VOCAB_ONLY, "vocabulary"),
    "flux1-dev-Q4_0.gguf": (build({"general.architecture": "flux"}, ONE), Kind.IMAGE, "image"),
    "whisper-large-v3-f16.gguf": (build({"general.architecture": "whisper"}, ONE), Kind.SPEECH, "speech"),
    "WavTokenizer-Large-75-F16.gguf": (build({"general.architecture": "wavtokenizer-dec"}, ONE), Kind.SPEECH, "speech"),
    "Llama-3.1-8B-Instruct-eagle3.gguf": (
        build({"general.architecture": "eagle3", "eagle3.block_count": 1}, ONE),
        Kind.DRAFT_HEAD,
        "--model-draft",
    ),
    "Dream-v0-Instruct-7B.Q4_0.gguf": (
        build({"general.architecture": "dream", "dream.block_count": 28}, ONE),
        Kind.DIFFUSION,
        "diffusion",
    ),
    "control.gguf": (build({"general.architecture": "controlvector"}, ONE), Kind.CONTROL_VECTOR, "control vector"),
    "t5-small.gguf": (build({"general.architecture": "t5", "t5.block_count": 6}, ONE), Kind.OTHER, "not a language"),
    "strange.gguf": (build({"a": 1}, ONE), Kind.OTHER, "not a language"),
}
"""File name -> file, kind, and a word of the reason why it is not served."""
