"""How do we write the file of a published model without its weights: its header, and all data as a hole?"""

from __future__ import annotations

import io
import lzma
import tarfile
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from engine import Oracle
from published import Projector, Published

from zoo.synthetic import Image, TensorSpec, build, write


def image_of(shape: Published | Projector, oracle: Oracle) -> Image:
    """Return the file of a shape; llama.cpp lists the tensors of a model, and chooses their types as llama-quantize."""
    if isinstance(shape, Projector):
        return build(shape.metadata(), shape.tensors)
    return build(shape.metadata(), tensors_of(shape, oracle))


def tensors_of(shape: Published, oracle: Oracle) -> tuple[TensorSpec, ...]:
    """Return name, shape and type of each tensor. Raises OracleError."""
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "metadata.gguf", build(shape.metadata()))
        answer = oracle.ask(
            {"shape": str(path), "ftype": shape.file_type, "without": shape.without}
            | {"joined": shape.joined, "fused": shape.fused}
        )
    return tuple(TensorSpec(row["name"], tuple(row["shape"]), row["type"].upper()) for row in answer["tensors"])


def write_archive(path: Path, images: Mapping[str, Image]) -> None:
    """Write the headers of all files as `headers/NAME.gguf` of an archive: the same bytes for the same shapes."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, image in sorted(images.items()):
            member = tarfile.TarInfo(f"headers/{name}.gguf")
            member.size = len(image.header)
            archive.addfile(member, io.BytesIO(image.header))
    path.write_bytes(lzma.compress(raw.getvalue(), preset=9 | lzma.PRESET_EXTREME))


def write_files(folder: Path, images: Iterable[tuple[str, Image]]) -> None:
    """Write sparse files that llama.cpp opens."""
    for name, image in images:
        write(folder / f"{name}.gguf", image)
