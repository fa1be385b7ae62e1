"""What llama.cpp reserves for published shapes (llama_cpp.json, written by `make bench-fit`), as values for tests.

Each `Case` has the facts of a shape, the settings that llama-server was asked with, and the bytes that it would take of
each device and of RAM: weights, context, and what it computes in.
"""

from __future__ import annotations

import argparse
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from claracore.core.fit.memory import estimate
from claracore.core.fit.places import RAM
from claracore.core.fit.settings import Settings
from claracore.core.gguf.facts import facts_of
from claracore.core.gguf.header import Header, read_header
from claracore.core.gguf.model import ModelFacts

FOLDER = Path(__file__).parent
LISTED_TWICE = {"gemma3n", "gemma4"}
"""llama.cpp counts their embedding twice on the CPU, where both are the same pages of the file."""
RECORDED: dict[str, Any] = json.loads((FOLDER / "llama_cpp.json").read_text())


@dataclass(frozen=True)
class Taken:
    """Bytes on one device, or in RAM."""

    model: int
    context: int
    compute: int

    @property
    def total(self) -> int:
        return self.model + self.context + self.compute


@dataclass(frozen=True)
class Case:
    """One row of what was recorded."""

    shape: str
    args: str
    facts: ModelFacts
    settings: Settings
    devices: tuple[Taken, ...]
    ram: Taken

    @property
    def placement(self) -> str:
        """In a word where the shape lies: `one card`, `two cards`, `experts in RAM`, `layers in RAM`, `CPU`."""
        settings = self.settings
        if not self.devices:
            return "CPU"
        cards = "one card" if len(self.devices) == 1 else "two cards"
        if settings.cpu_experts:
            return f"{cards}, experts in RAM"
        return f"{cards}, layers in RAM" if settings.gpu_layers <= self.facts.layers else cards

    @property
    def kind(self) -> str:
        """The class that the case is held against: its placement, or `embedders`."""
        return "embedders" if self.settings.embeddings else self.placement

    @property
    def places(self) -> list[tuple[int, Taken]]:
        """Each card by its index, and RAM."""
        return [*enumerate(self.devices), (RAM, self.ram)]

    def __str__(self) -> str:
        return f"{self.shape} {self.args}"


@dataclass(frozen=True)
class Deviation:
    """How far our estimate of one device is from what llama.cpp takes there."""

    case: Case
    place: int
    part: float
    """Of what llama.cpp takes; above 0 the estimate is too high."""

    def __str__(self) -> str:
        return f"{self.part:+.1%} on {self.place}: {self.case}"


@cache
def deviations() -> dict[str, list[Deviation]]:
    """Return those of all cases by their class: of each card, and of RAM where there is none."""
    found: dict[str, list[Deviation]] = {}
    for case in cases():
        expected = estimate(case.facts, case.settings).loaded
        for place, taken in case.places:
            if place != RAM or not case.devices:
                part = expected.on(place) / taken.total - 1
                found.setdefault(case.kind, []).append(Deviation(case, place, part))
    return found


def cases(shape: str = "") -> Iterator[Case]:
    """Return all rows, or those of one shape."""
    for name, entry in RECORDED["models"].items():
        if shape not in ("", name):
            continue
        for args, devices, ram in entry["rows"]:
            settings, model = settings_of(args, len(devices)), facts(name)
            twice = model.architecture in LISTED_TWICE and not devices
            in_ram = Taken(ram[0] - twice * model.tensor_bytes.token_embedding_weight, *ram[1:])
            yield Case(name, args, model, settings, tuple(Taken(*device) for device in devices), in_ram)


@dataclass(frozen=True)
class Projected:
    """What a projector takes of the card that it is on, in all, and of RAM for computing."""

    shape: str
    header: Header
    facts: ModelFacts
    flash_attention: bool
    card: int
    ram: int


def projected() -> Iterator[Projected]:
    """Return all rows of projectors."""
    for name, entry in RECORDED["projectors"].items():
        for flash, card, ram in entry["rows"]:
            yield Projected(name, header_of(_headers()[name]), facts(name), flash, card, ram)


@cache
def facts(name: str) -> ModelFacts:
    """Return the facts of a shape."""
    return facts_of_header(_headers()[name])


def sparse_file(name: str, path: Path) -> Path:
    """Write a shape as a file of its whole size that is a hole behind its header."""
    raw = _headers()[name]
    with path.open("wb") as file:
        file.write(raw)
        file.truncate(len(raw) + read_header(io.BytesIO(raw), size=len(raw)).missing_bytes)
    return path


@cache
def _headers() -> dict[str, bytes]:
    return headers_in(FOLDER / "headers.tar.xz")


def headers_in(path: Path) -> dict[str, bytes]:
    """Return the header of each shape in an archive."""
    with tarfile.open(path) as archive:
        files = {member.name: archive.extractfile(member) for member in archive.getmembers()}
        return {Path(name).name.removesuffix(".gguf"): file.read() for name, file in files.items() if file is not None}


def facts_of_header(raw: bytes) -> ModelFacts:
    """Return the facts of a header whose file would be complete."""
    return facts_of(header_of(raw))


def header_of(raw: bytes) -> Header:
    """Return a header as of a file that is complete."""
    header = read_header(io.BytesIO(raw), size=len(raw))
    return read_header(io.BytesIO(raw), size=len(raw) + header.missing_bytes)


def settings_of(args: str, cards: int) -> Settings:
    """Return the settings that llama-server's words mean on so many cards."""
    words = _words().parse_args(args.split())
    return Settings(
        context=words.c,
        parallel=words.np,
        unified=words.kvu,
        cache_type_k=words.ctk,
        cache_type_v=words.ctv,
        batch=words.b,
        micro_batch=words.ub,
        flash_attention=words.fa == "on",
        full_window=words.swa_full,
        embeddings=words.embeddings or words.reranking,
        gpu_layers=words.ngl if cards else 0,
        cpu_experts=words.n_cpu_moe,
        split=tuple(float(share) for share in words.ts.split(",")) if words.ts else (),
    )


@cache
def _words() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name in ("-c", "-b", "-ub", "-np", "-ngl", "--n-cpu-moe"):
        parser.add_argument(name, type=int, default=0)
    for name in ("-ctk", "-ctv"):
        parser.add_argument(name, default="f16")
    for name in ("-kvu", "--swa-full", "--embeddings", "--reranking"):
        parser.add_argument(name, action="store_true")
    for name in ("-fa", "-ts", "--pooling"):
        parser.add_argument(name, default="")
    return parser
