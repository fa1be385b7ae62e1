"""What does llama.cpp itself reserve for published models, on devices that this machine does not have?

Writes the headers of the shapes of fit/ (tests/fit/headers.tar.xz) and, for a grid of settings each, the bytes that
llama.cpp would take of each device for weights, context and computing (tests/fit/llama_cpp.json). Nothing is allocated.

    make bench-fit LLAMA_SOURCE=/path/to/llama.cpp LLAMA_BUILD=/path/to/llama.cpp/build [FIT_ONLY=qwen3]

The build needs `-DBUILD_SHARED_LIBS=ON` and the targets llama, llama-common and mtmd.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "bench" / "fit"), str(ROOT / "src"), str(ROOT / "tests")]

from dense import DENSE
from embedders import EMBEDDERS
from engine import Oracle, OracleError, build, build_number
from experts import EXPERTS
from gemma4 import GEMMA4
from grid import CARD_MIB, rows
from headers import image_of, write_archive
from hybrids import HYBRIDS
from projectors import PROJECTORS
from published import Projector, Published

from zoo.synthetic import Image, write

SHAPES = (*DENSE, *GEMMA4, *EXPERTS, *HYBRIDS, *EMBEDDERS)
FOLDER = ROOT / "tests" / "fit"
PARTS = ("model", "context", "compute")


def record(shape: Published, image: Image, folder: Path, oracle: Oracle) -> dict[str, Any]:
    """Return what llama.cpp reserves for a shape: rows of args, bytes by device and part, bytes of RAM by part."""
    path = write(folder / f"{shape.name}.gguf", image)
    found = []
    for row in rows(shape):
        request = row.request
        request["args"] = ["-m", str(path), *row.args]
        try:
            answer = oracle.ask(request)
        except OracleError as error:
            print(f"{shape.name}: {' '.join(row.args)}: {str(error)[:200]}", file=sys.stderr)
            continue
        devices = [[device[part] for part in PARTS] for device in answer["devices"]]
        found.append([" ".join(row.args), devices, [answer["host"][part] for part in PARTS]])
    path.unlink()
    return {"source": shape.source, "serves": shape.serves, "bytes": image.size, "rows": found}


def record_projector(shape: Projector, image: Image, folder: Path, oracle: Oracle) -> dict[str, Any]:
    """Return what llama.cpp reserves for a projector: rows of flash attention or not, bytes of the card, of RAM."""
    path = write(folder / f"{shape.name}.gguf", image)
    found = []
    for flash in (True, False):
        taken = oracle.ask({"devices": [CARD_MIB], "mmproj": str(path), "flash": flash})["devices"]
        found.append([flash, taken.pop("SIM0"), sum(taken.values())])
    path.unlink()
    return {"source": shape.source, "bytes": image.size, "rows": found}


def text_of(document: dict[str, Any]) -> str:
    """Return JSON with one row a line."""
    lines = ["{", f'"engine": {json.dumps(document["engine"])},']
    for kind in ("models", "projectors"):
        entries = []
        for name in (shape.name for shape in (*SHAPES, *PROJECTORS) if shape.name in document[kind]):
            entry = document[kind][name]
            facts = ", ".join(
                f"{json.dumps(key)}: {json.dumps(value)}" for key, value in entry.items() if key != "rows"
            )
            taken = ",\n".join(json.dumps(row, separators=(",", ":")) for row in entry["rows"])
            entries.append(f'{json.dumps(name)}: {{{facts}, "rows": [\n{taken}\n]}}')
        lines.append(f'"{kind}": {{\n' + ",\n".join(entries) + "\n}" + ("," if kind == "models" else ""))
    return "\n".join([*lines, "}"]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True, help="llama.cpp's source")
    parser.add_argument("--build", type=Path, required=True, help="the folder that it was built in")
    parser.add_argument("--only", default="", help="only shapes whose name has this in it; the others stay as they are")
    options = parser.parse_args()
    archive, recorded = FOLDER / "headers.tar.xz", FOLDER / "llama_cpp.json"
    document: dict[str, Any] = {"models": {}, "projectors": {}}
    if options.only and recorded.exists():
        document = json.loads(recorded.read_text())
    document["engine"] = f"llama.cpp {build_number(options.source)}"
    images: dict[str, Image] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Oracle(build(options.source, options.build, folder / "oracle")) as oracle:
            for shape in (*SHAPES, *PROJECTORS):
                image = images[shape.name] = image_of(shape, oracle)
                if options.only not in shape.name:
                    continue
                if isinstance(shape, Projector):
                    document["projectors"][shape.name] = record_projector(shape, image, folder, oracle)
                else:
                    document["models"][shape.name] = record(shape, image, folder, oracle)
                print(f"{shape.name}: {image.size / 1e9:.2f} GB", flush=True)
    write_archive(archive, images)
    recorded.write_text(text_of(document))
    print(f"{archive}: {archive.stat().st_size:,} bytes, {recorded}: {recorded.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
