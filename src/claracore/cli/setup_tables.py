"""How are machines, models and the working of an estimate shown to a person?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table
from rich.text import Text

from claracore.core.fit.catalog import Chosen
from claracore.core.fit.machine import Gpu, Hardware
from claracore.core.fit.places import RAM
from claracore.core.fit.plan import Placement
from claracore.core.fit.speed import ModelSpeed
from claracore.core.fit.ways import Verdict
from claracore.core.memory.devices import device_words
from claracore.core.memory.measured import LastLoad
from claracore.core.ports.listen import Listen
from claracore.core.units import gib
from claracore.host.setup.write import SetupReport
from claracore.host.sockets.host import plan_here

COLOURS = {
    Verdict.GPU: "green",
    Verdict.EXPERTS_IN_RAM: "green",
    Verdict.PARTLY: "yellow",
    Verdict.CPU: "yellow",
    Verdict.NOT: "red",
}


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One configured model, as the summary shows it."""

    id: str
    kind: str
    quantization: str
    size_bytes: int
    context: int
    placement: str
    group: str
    port: int | None
    path: str
    speed: ModelSpeed | None = None


def model_rows(report: SetupReport, listen: Listen, speeds: Mapping[str, ModelSpeed]) -> list[ModelRow]:
    """Return the configured models with the ports that they are planned to get; `speeds` are by file."""
    config = report.loaded.config
    ports = plan_here(config, listen, places=report.loaded.places).assignment if config is not None else {}
    return [
        _row(item, report.ids.get(item.candidate.path, item.candidate.id), ports, speeds.get(item.candidate.path))
        for item in report.catalog.chosen
    ]


def _row(item: Chosen, model_id: str, ports: Mapping[str, int], speed: ModelSpeed | None) -> ModelRow:
    facts, settings = item.candidate.facts, item.placement.settings
    return ModelRow(
        id=model_id,
        kind=facts.kind.value,
        quantization=item.candidate.quantization or facts.quantization,
        size_bytes=facts.file_bytes,
        context=settings.context,
        placement=where(item.placement),
        group=item.group,
        port=ports.get(model_id),
        path=item.candidate.path,
        speed=speed,
    )


def where(placement: Placement) -> str:
    """Say in a few words where a model runs."""
    settings, gpus = placement.settings, len(placement.gpus)
    device = "GPU" if gpus == 1 else f"{gpus} GPUs"
    if gpus == 1 and len(placement.budget.gpus) > 1:
        device += f" {placement.gpus[0]}"
    match placement.verdict:
        case Verdict.GPU:
            return device
        case Verdict.EXPERTS_IN_RAM:
            return f"{device}, experts of {settings.cpu_experts} layers in RAM"
        case Verdict.PARTLY:
            return f"{device}: {settings.gpu_layers} layers, rest in RAM"
        case Verdict.CPU:
            return "RAM"
        case Verdict.NOT:
            return "does not fit"


def plain_table(title: str | None) -> Table:
    """Make a table without lines between columns: on a terminal of 80 columns the text needs the width."""
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))


def models_table(rows: list[ModelRow]) -> Table:
    """Make the summary of configured models."""
    table = plain_table(f"{len(rows)} model{'s' * (len(rows) != 1)} configured")
    table.add_column("model", overflow="fold", min_width=26)
    table.add_column("kind", no_wrap=True)
    table.add_column("quant", overflow="fold")
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("context", justify="right", no_wrap=True)
    table.add_column("runs on", min_width=7)
    table.add_column("group", no_wrap=True)
    table.add_column("port", justify="right", no_wrap=True)
    has_speeds = any(row.speed is not None and row.speed.short for row in rows)
    if has_speeds:
        table.add_column("tokens/s", justify="right", no_wrap=True)
        table.caption, table.caption_justify = (
            Text("tokens/s: what it writes (an embedder: reads); ~ is predicted, not measured"),
            "left",
        )
    for row in rows:
        size, port = gib(row.size_bytes), str(row.port or "-")
        cells = (
            row.id,
            row.kind,
            row.quantization,
            size,
            str(row.context),
            row.placement,
            row.group.removesuffix("-models"),
            port,
        )
        speed = (row.speed.short if row.speed is not None else "",) if has_speeds else ()
        table.add_row(*map(Text, (*cells, *speed)))
    return table


def left_out_table(report: SetupReport) -> Table:
    """Make the list of files that were looked at and not configured."""
    refused = [(item.candidate.path, item.placement.reason) for item in report.catalog.refused]
    entries = [(str(left.path), left.reason) for left in report.left_out] + refused
    table = plain_table(f"{len(entries)} left out")
    table.add_column("file", overflow="fold")
    table.add_column("why")
    for path, reason in entries:
        table.add_row(Text(_printable(path)), Text(reason))
    return table


def hardware_table(hardware: Hardware) -> Table:
    """Make the table of what the machine has."""
    table = plain_table("machine")
    for name in ("what", "name", "how much", "read from"):
        table.add_column(name, overflow="fold")
    processor, memory = hardware.processor, hardware.memory
    free = f", {gib(memory.available_bytes)} free" if memory.available_bytes != memory.total_bytes else ""
    quota = f", may use {processor.quota:g}" if processor.quota is not None else ""
    cores = f"{processor.threads} threads ({processor.physical_cores} cores, {processor.logical} logical{quota})"
    table.add_row("processor", processor.name, cores, processor.source)
    table.add_row("memory", "", f"{gib(memory.total_bytes)}{free}", memory.source)
    for index, gpu in enumerate(hardware.gpus):
        table.add_row(f"GPU {index}", f"{gpu.name} ({gpu.backend})", _gpu_memory(gpu), gpu.source)
    for gpu in hardware.idle:
        table.add_row("not used", f"{gpu.name} ({gpu.backend})", _gpu_memory(gpu), gpu.source)
    table.caption = Text("\n".join(hardware.notes)) if hardware.notes else None
    table.caption_justify = "left"
    return table


def working_table(placement: Placement) -> Table:
    """Make the table of everything that takes memory, with the working, and the sums against what may be used."""
    table = plain_table(None)
    for name in ("what", "where"):
        table.add_column(name)
    table.add_column("size", justify="right")
    table.add_column("working")
    for row in sorted(placement.estimate.rows, key=lambda row: (row.place == RAM, row.place)):
        table.add_row(row.what, place_name(row.place), gib(row.bytes), row.working)
    table.add_section()
    limits = [*((index, size) for index, size in enumerate(placement.budget.gpus)), (RAM, placement.budget.ram)]
    for place, limit in limits:
        used = placement.estimate.on(place)
        table.add_row("sum", place_name(place), gib(used), f"of {gib(max(0, limit))} that may be used")
    return table


def last_load_words(last: LastLoad) -> Text:
    """Say what the model took when it was loaded last, and what was expected then; one line."""
    parts = [f"{device_words(row.device)} {gib(row.expected)} expected, {gib(row.taken)} taken" for row in last.devices]
    return Text(f"when it was loaded last, with a context of {last.context}: {'; '.join(parts)}")


def fit_verdict(placement: Placement) -> Text:
    """Make the verdict: one line."""
    settings = placement.settings
    if not placement.fits:
        return Text(f"does not fit: {placement.reason}", style="bold red")
    text = f"{placement.verdict.value}: {placement.reason}; context {settings.context} ({placement.context_reason})"
    return Text(text, style=f"bold {COLOURS[placement.verdict]}")


def helpers_words(helpers: Sequence[str]) -> str:
    """Return a sentence about the embedders and rerankers beside a model."""
    return f"beside {', '.join(helpers)}: whose memory is set apart first, so that they stay loaded"


def place_name(place: int) -> str:
    """Return where something lies, in words: `RAM`, or `GPU` and its number from 0."""
    return "RAM" if place == RAM else f"GPU {place}"


def _gpu_memory(gpu: Gpu) -> str:
    shared = "shares RAM" if gpu.unified else ""
    size = gib(gpu.total_bytes) if gpu.total_bytes is not None else ("" if gpu.unified else "unknown: say --vram GB")
    free = f", {gib(gpu.free_bytes)} free" if gpu.free_bytes is not None else ""
    return "; ".join(part for part in (f"{size}{free}", shared) if part)


def _printable(path: str) -> str:
    return path.encode("utf-8", "backslashreplace").decode()


def nothing_found(report: SetupReport) -> str:
    """Return what to say when there is no model to configure."""
    if report.left_out or report.catalog.refused:
        return "none of the files found can be served; the table says why"
    return "no model files were found: download some that end in .gguf (`claracore pull`), or name another folder"


def changes(report: SetupReport) -> list[str]:
    """Return a sentence for each kind of change that a merge made."""
    merged = report.merged
    if merged is None:
        return []
    by_kind = {
        "added": merged.added, "refreshed": merged.refreshed, "kept as you wrote it": merged.kept,
        "file missing": merged.vanished, "file back": merged.returned,
    }  # fmt: skip
    return [f"{what}: {', '.join(names)}" for what, names in by_kind.items() if names] + merged.notes
