"""Model files that a llama-server loads as any other, of published shapes and without their weights.

`tests/fit/headers.tar.xz` holds the headers, written from published shapes and llama.cpp's list of tensors. Each gets a
vocabulary (which llama-server insists on before it reads a prompt) and all tensor data as a hole: zeros, which take no
space on the disk.
"""

from __future__ import annotations

import io
import struct
import sys
import tarfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from claracore.core.gguf.header import read_header
from claracore.core.gguf.types import ValueType
from zoo.synthetic import Typed, text_bytes, value_bytes

HEADERS = ROOT / "tests" / "fit" / "headers.tar.xz"
COUNTS = struct.Struct("<4sIQQ")
"""Magic, version, number of tensors, number of keys."""
ALIGNMENT = 32
CONTROL, UNKNOWN, NORMAL, BYTE = 3, 2, 1, 6
"""llama.h, `enum llama_token_type`"""
BYTES = 256


@dataclass(frozen=True)
class Shape:
    """A model, and what ClaraCore is told about the machine when it plans for it."""

    header: str
    told: str = ""
    """What is different from the machine as it is, in words."""
    vram_gb: float | None = None
    context: int | None = None
    projector: str = ""
    killed: bool = False
    """Whether a second server is started to be ended by SIGKILL."""

    @property
    def name(self) -> str:
        return ", ".join(filter(None, (self.header, self.projector and "with its projector", self.told)))


SHAPES = (
    Shape("llama-3.1-8b-Q4_K_M", killed=True),
    Shape("bge-m3-Q8_0", killed=True),
    Shape("gemma-3-4b-Q4_K_M"),
    Shape("gemma-3-4b-Q4_K_M", projector="mmproj-gemma3-4b-f16"),
    Shape("gpt-oss-20b-mxfp4"),
    Shape("gpt-oss-20b-mxfp4", "experts in RAM: as if for 8 GiB", vram_gb=8),
    Shape("llama-3.1-8b-Q4_K_M", "as if for 7.5 GiB", vram_gb=7.5, context=16384),
    Shape("llama-3.1-8b-Q4_K_M", "a cache of 8 bits: as if for 7.5 GiB", vram_gb=7.5, context=32768),
    Shape("llama-3.1-8b-Q4_K_M", "layers in RAM: as if for 4 GiB", vram_gb=4),
    Shape("mamba2-2.7b-Q4_K_M", context=8192),
    Shape("qwen3-30b-a3b-Q4_K_M", killed=True),
    Shape("qwen3-30b-a3b-Q4_K_M", "experts in RAM: as if for 12 GiB", vram_gb=12),
    Shape("embeddinggemma-300m-Q8_0"),
    Shape("gemma-3-12b-Q4_K_M"),
    Shape("granite-4-h-small-Q4_K_M", context=32768),
)


def write_models(shape: Shape, folder: Path) -> None:
    """Write the files of a shape, as a person would have them beside each other."""
    folder.mkdir(parents=True, exist_ok=True)
    for header in filter(None, (shape.header, shape.projector)):
        write_model(header, folder / f"{header}.gguf")


def write_model(name: str, path: Path) -> None:
    raw = headers()[name]
    found = read_header(io.BytesIO(raw), size=len(raw))
    full = raw
    if not name.startswith("mmproj"):
        full = with_vocabulary(raw, int(str(found.metadata[f"{found.metadata['general.architecture']}.vocab_size"])))
    data = max(tensor.offset + aligned(tensor.size) for tensor in found.tensors)
    with path.open("wb") as stream:
        stream.write(full)
        stream.truncate(aligned(len(full)) + data)


def aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


@cache
def headers() -> dict[str, bytes]:
    with tarfile.open(HEADERS) as archive:
        files = {Path(member.name).stem: archive.extractfile(member) for member in archive.getmembers()}
        return {name: file.read() for name, file in files.items() if file is not None}


def with_vocabulary(raw: bytes, size: int) -> bytes:
    """Put a vocabulary of single bytes and invented words in place of none."""
    magic, version, tensors, keys = COUNTS.unpack_from(raw)
    none = text_bytes("tokenizer.ggml.model") + value_bytes("no_vocab")
    assert raw.count(none) == 1
    more = vocabulary(size)
    added = b"".join(text_bytes(key) + value_bytes(value) for key, value in more.items())
    head = COUNTS.pack(magic, version, tensors, keys + len(more) - 1)
    return head + raw[COUNTS.size :].replace(none, added)


def vocabulary(size: int) -> dict[str, object]:
    words = [f"t{index}" for index in range(size - 3 - BYTES)]
    kinds = [UNKNOWN, CONTROL, CONTROL, *[BYTE] * BYTES, *[NORMAL] * len(words)]
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(BYTES)), *words],
        "tokenizer.ggml.scores": Typed(ValueType.FLOAT32, [0.0] * size),
        "tokenizer.ggml.token_type": Typed(ValueType.INT32, kinds),
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
    }
