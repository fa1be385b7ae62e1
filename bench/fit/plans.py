"""What do we choose for published models on cards that people have, and what does llama.cpp's own --fit choose there?

For each case the plan that `claracore setup` writes, --fit's as llama-server starts without any flag, and --fit's for
our context: all three with the bytes that llama.cpp itself says they take. Nothing is allocated. Writes
tests/fit/plans.json, prints the table of docs/setup.md.

    make bench-fit-plans LLAMA_SOURCE=/path/to/llama.cpp LLAMA_BUILD=/path/to/llama.cpp/build
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from engine import Oracle, build, build_number

from claracore.core.fit.plan import Placement
from claracore.core.units import GIB
from fit.llama_cpp import facts, headers_in
from fit.test_ways import CASES_FOR_TABLE, planned

MIB_OF_GIB = 1024
RECORD = ROOT / "tests" / "fit" / "plans.json"
HEADERS = ROOT / "tests" / "fit" / "headers.tar.xz"


@dataclass(frozen=True)
class Found:
    """A plan, and the GiB that llama.cpp says it takes of each card."""

    context: int
    cache: str
    layers_on_gpus: int
    moved: int
    """Layers whose experts are in RAM, wholly or in part."""
    cards: tuple[float, ...]
    ram: float

    def words(self, layers: int) -> str:
        """Say it in a cell of a table."""
        where = f", experts of {self.moved} in RAM" if self.moved else ""
        if 0 <= self.layers_on_gpus <= layers:
            where = f", {layers + 1 - self.layers_on_gpus} of {layers + 1} layers in RAM"
        cache = "" if self.cache == "f16" else f" {self.cache}"
        return f"{self.context:,}{cache}{where}; {' + '.join(f'{size:.1f}' for size in self.cards)}"


def args_of(path: Path, placement: Placement) -> list[str]:
    """Return llama-server's words for a plan."""
    settings = placement.settings
    words = ["-m", str(path), "-c", str(settings.context), "-b", str(settings.batch), "-ub", str(settings.micro_batch)]
    words += ["-np", str(settings.parallel), *(["-kvu"] if settings.unified else []), "-fa", "on"]
    words += ["-ctk", settings.cache_type_k, "-ctv", settings.cache_type_v, "-ngl", str(settings.gpu_layers)]
    if settings.cpu_experts:
        words += ["--n-cpu-moe", str(settings.cpu_experts)]
    if settings.split:
        words += ["-ts", ",".join(f"{share:g}" for share in settings.split)]
    return words


def sizes(answer: dict[str, Any]) -> tuple[tuple[float, ...], float]:
    """Return the GiB of each card and of RAM."""
    return tuple(sum(device.values()) / GIB for device in answer["devices"]), sum(answer["host"].values()) / GIB


def fitted(oracle: Oracle, cards: Sequence[float], args: list[str], cache: str) -> Found:
    """Return what --fit makes of these words on these cards."""
    devices = [int(card * MIB_OF_GIB) for card in cards]
    answer = oracle.ask({"devices": devices, "args": args, "fit": True})
    used, ram = sizes(answer)
    moved = len({pattern.split("\\.")[1] for pattern, _ in answer["fit"]["overrides"] if "\\." in pattern})
    return Found(answer["context"], cache, answer["fit"]["ngl"], moved, used, ram)


def compared(oracle: Oracle, path: Path, shape: str, cards: tuple[float, ...], ram: int) -> dict[str, Any]:
    """Return a row: our plan with llama.cpp's bytes, and both of --fit's."""
    placement = planned(shape, cards, ram)
    settings = placement.settings
    answer = oracle.ask({"devices": [int(card * MIB_OF_GIB) for card in cards], "args": args_of(path, placement)})
    used, in_ram = sizes(answer)
    ours = Found(settings.context, settings.cache_type_k, settings.gpu_layers, settings.cpu_experts, used, in_ram)
    same = ["-c", str(settings.context), "-ub", str(settings.micro_batch), "-ctk", settings.cache_type_k]
    plain = ["-m", str(path), "-fa", "on"]
    alone = fitted(oracle, cards, plain, "f16")
    likewise = fitted(oracle, cards, [*plain, *same, "-ctv", settings.cache_type_v], settings.cache_type_k)
    return {"shape": shape, "cards": cards, "ram": ram, "ours": ours, "fit": alone, "fit_same": likewise}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True, help="llama.cpp's source")
    parser.add_argument("--build", type=Path, required=True, help="the folder that it was built in")
    options = parser.parse_args()
    headers = headers_in(HEADERS)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Oracle(build(options.source, options.build, folder / "oracle")) as oracle:
            for shape, cards, ram in CASES_FOR_TABLE:
                path = folder / f"{shape}.gguf"
                with path.open("wb") as file:
                    file.write(headers[shape])
                    file.truncate(1 << 42)
                rows.append(compared(oracle, path, shape, cards, ram))
                path.unlink()
    print("| model, cards | ours | llama.cpp's --fit | --fit for our context |\n|---|---|---|---|")
    for row in rows:
        cells = [row[key].words(facts(row["shape"]).dealt_layers) for key in ("ours", "fit", "fit_same")]
        cards = " + ".join(f"{card:g}" for card in row["cards"])
        print(f"| {row['shape'].rsplit('-', 1)[0]}, {cards} GB | {' | '.join(cells)} |")
    plain = [{**row, **{key: vars(row[key]) for key in ("ours", "fit", "fit_same")}} for row in rows]
    document = {"engine": f"llama.cpp {build_number(options.source)}", "rows": plain}
    RECORD.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
