"""What does a generated configuration say?

Values in, text out. Written as text and not through a YAML library, because the comments are half of it: every number
has its reason beside it. `recorded` marks what was generated (see marks.py), so that a later run can tell a value that
nobody touched from one that a person wrote.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from claracore.core.fit.catalog import LARGE, SMALL, Candidate, Chosen
from claracore.core.fit.command import MACRO, command, engine_command, flags, known, projector_flags
from claracore.core.fit.drafting import head_flags
from claracore.core.fit.flags import Flag, KnownFlags
from claracore.core.fit.machine import Backend
from claracore.core.fit.marks import DocumentPart, marks_of, record_line
from claracore.core.fit.yamltext import comment, flow, literal, scalar
from claracore.core.gguf.model import Kind
from claracore.core.units import GIB, gib

if TYPE_CHECKING:
    from claracore.core.fit.machine import Hardware
    from claracore.core.fit.plan import Placement


START_PORT, LARGE_PORT, SMALL_PORT = 8100, 8200, 8300
STEP = 100
HEALTH_SECONDS = 120
LOAD_BYTES_PER_SECOND = 200 * 1024**2
"""A slow disk; a network share is slower still, and then a person raises the number."""
LARGE_TTL_SECONDS = 1800
BY_MEMORY = "Everything stays loaded that fits; what is needed least goes when another model needs its memory."
PCI_ORDER = "CUDA_DEVICE_ORDER=PCI_BUS_ID"


@dataclass(frozen=True, slots=True)
class Setup:
    """All that a document is made of."""

    chosen: Sequence[Chosen]
    hardware: Hardware
    engine: tuple[str, ...]
    """Words that start the engine."""
    engine_name: str
    known_flags: KnownFlags
    schema: str
    """Where the JSON schema of the configuration is: a path or URL for editors; empty for nowhere."""
    jinja: bool = True
    macro: str = MACRO
    """Name of the macro that starts the engine."""
    by_memory: bool = True
    """Memory decides who stays loaded. False: groups do, as in files that setup wrote before that was there."""


def document(setup: Setup) -> str:
    """Return the text of a whole configuration."""
    lines = [f"# yaml-language-server: $schema={setup.schema}"] if setup.schema else []
    lines += comment(
        "Written by `claracore setup`. Change what you like: a later run keeps what you changed and refreshes only "
        "what still is as it wrote it; it tells by the marks in the lines `# setup:`.",
        0,
    )
    lines += comment(f"Machine when this was first written: {machine_words(setup.hardware)}.", 0)
    lines += ["", *write_parts(top_parts(setup), 0), "", "macros:", *write_parts(macro_parts(setup), 2)]
    lines += ["", "models:"] if setup.chosen else ["", "models: {}"]
    for chosen in setup.chosen:
        lines += ["", *model_lines(setup, chosen)]
    groups = [line for name in (LARGE, SMALL) for line in group_lines(setup, name)]
    if groups:
        lines += ["", "groups:", *groups]
    if setup.by_memory:
        lines += ["", "routing:", "  router:", *comment(BY_MEMORY, 4), "    use: memory"]
    lines += [
        "",
        *comment("To load models when ClaraCore starts, name them here:", 0),
        "# hooks:",
        "#   on_startup:",
        f"#     preload: {flow(tuple(item.candidate.id for item in setup.chosen[:1]))}",
    ]
    return "\n".join(lines) + "\n"


def write_part(part: DocumentPart, indent: int) -> list[str]:
    """Write one key: its comments above, then `key: value`."""
    first, *rest = part.lines
    head = f"{' ' * indent}{scalar(part.key)}:"
    return [
        *(line for text in part.comments for line in comment(text, indent)),
        f"{head} {first}" if first else head,
        *(" " * indent + line for line in rest),
    ]


def write_parts(parts: Sequence[DocumentPart], indent: int) -> list[str]:
    """Write the record and all keys of one mapping."""
    return [record_line(marks_of(parts), indent), *(line for part in parts for line in write_part(part, indent))]


def simple(key: str, value: str | float | bool, *reasons: str) -> DocumentPart:  # noqa: FBT001 - a value, not a switch
    """Return a key with a scalar as its value and the reasons as comments above it."""
    return DocumentPart(key, value, (scalar(value),), reasons)


def top_parts(setup: Setup, *, kept_seconds: int = 0) -> list[DocumentPart]:
    """Return the keys above the models; a time to load that is more than these models need is left as it is."""
    largest = max((item.candidate.facts.file_bytes for item in setup.chosen), default=0)
    seconds = HEALTH_SECONDS + -(-largest // LOAD_BYTES_PER_SECOND // 60) * 60
    port = simple("startPort", START_PORT, "Models in no group get ports from here; groups have ranges of their own.")
    reason = (
        f"Seconds that a model may take to load: {HEALTH_SECONDS}, and time to read the largest file "
        f"({gib(largest)}) from a slow disk."
    )
    return [port] if kept_seconds >= seconds else [port, simple("healthCheckTimeout", seconds, reason)]


def macro_parts(setup: Setup) -> list[DocumentPart]:
    """Return the macros that generated models use."""
    text = engine_command(setup.engine, setup.known_flags)
    return [simple(setup.macro, text, f"How every model is started: {setup.engine_name}.")]


def model_lines(setup: Setup, chosen: Chosen, indent: int = 2) -> list[str]:
    """Return the lines of one model: its id, and its keys with their record."""
    head = f"{' ' * indent}{scalar(chosen.candidate.id)}:"
    return [head, *write_parts(model_parts(setup, chosen), indent + 2)]


def model_parts(setup: Setup, chosen: Chosen) -> list[DocumentPart]:
    """Return the keys of one model's entry."""
    candidate, facts = chosen.candidate, chosen.candidate.facts
    found = flags(facts, chosen.placement, setup.known_flags, setup.hardware, jinja=setup.jinja)
    if candidate.mmproj_path is not None:
        found += known(projector_flags(chosen.placement, setup.hardware), setup.known_flags)
    found += known(adapter_flags(candidate), setup.known_flags)
    found += draft_flags(setup, chosen)
    text = command(candidate.path, found, mmproj=candidate.mmproj_path, macro=setup.macro)
    parts = []
    if candidate.name:
        parts.append(simple("name", candidate.name))
    if candidate.description:
        parts.append(simple("description", candidate.description))
    parts.append(DocumentPart("cmd", text, ("|", *literal(text, 2)), (memory_words(chosen.placement),)))
    if env := environment(chosen.placement, setup.hardware):
        reason = "GPUs are numbered as they were when shares were worked out: CUDA alone would put the fastest first."
        parts.append(DocumentPart("env", list(env), (flow(env),), (reason,)))
    if candidate.aliases:
        parts.append(DocumentPart("aliases", list(candidate.aliases), (flow(candidate.aliases),)))
    if chosen.group == LARGE:
        reason = f"Seconds without a request after which its memory is freed: {LARGE_TTL_SECONDS // 60} minutes."
        parts.append(simple("ttl", LARGE_TTL_SECONDS, reason))
    parts += [metadata(candidate), capabilities(chosen)]
    return parts


def environment(placement: Placement, hardware: Hardware) -> tuple[str, ...]:
    """Return the variables without which the flags of a placement may mean other devices."""
    several = sum(gpu.backend is Backend.CUDA for gpu in hardware.gpus) > 1
    return (PCI_ORDER,) if placement.gpus and several else ()


def metadata(candidate: Candidate) -> DocumentPart:
    """Return what /v1/models tells of the file itself."""
    facts = candidate.facts
    value: dict[str, str | int] = {
        "kind": facts.kind.value,
        "family": facts.architecture,
        "parameters": facts.parameters,
        "quantization": candidate.quantization or facts.quantization,
        "file_bytes": facts.file_bytes,
    }
    if facts.context_trained:
        value["context_trained"] = facts.context_trained
    return DocumentPart("metadata", value, ("", *(f"  {key}: {scalar(entry)}" for key, entry in value.items())))


def adapter_flags(candidate: Candidate) -> list[Flag]:
    """Return the flags of the adapters that a model is used with."""
    return [Flag(("--lora", path), "changes the model as its store does") for path in candidate.adapters]


def draft_flags(setup: Setup, chosen: Chosen) -> list[Flag]:
    """Return the flags of the draft model, none without one."""
    if chosen.draft is None or chosen.draft_settings is None:
        return []
    is_head = chosen.draft.facts.kind is Kind.DRAFT_HEAD
    why = "a head of this model" if is_head else "the same vocabulary, by its tokens"
    found = [Flag(("--model-draft", chosen.draft.path), f"drafts tokens that the model then only checks; {why}")]
    if is_head:
        found += head_flags(chosen.draft.facts)
    elif setup.known_flags.knows("--spec-draft-model"):  # came with names for the kinds of drafting
        found.append(Flag(("--spec-type", "draft-simple"), "a model that drafts by itself, not heads or n-grams"))
    layers = chosen.draft_settings.gpu_layers
    if layers or setup.hardware.has_devices:
        reason = (
            "all layers of the draft model fit beside the model" if layers else "the draft model computes in RAM, too"
        )
        found.append(Flag(("--n-gpu-layers-draft", str(layers)), reason))
    return known(found, setup.known_flags)


def memory_words(placement: Placement) -> str:
    """Say what the model takes and where."""
    cost, parts = placement.loaded, []
    if cost.gpu_bytes:
        parts.append(f"{gib(cost.gpu_bytes)} on the GPU{'s' * (len(placement.gpus) > 1)}")
    parts.append(f"{gib(cost.total - cost.gpu_bytes)} of RAM")
    inputs = sum(row.bytes for row in placement.estimate.rows if row.what == "logits")
    more = f", and up to {gib(inputs)} of RAM more for its longest inputs" if inputs else ""
    return f"Takes {' and '.join(parts)}{more}: {placement.reason} (`claracore fit FILE` shows the working)."


def capabilities(chosen: Chosen) -> DocumentPart:
    """Return what clients are told about the model."""
    facts = chosen.candidate.facts
    inputs = ("text", *(("image",) if facts.vision else ()), *(("audio",) if facts.audio else ()))
    value: dict[str, object] = {"in": list(inputs), "out": ["text"]}
    lines = ["", f"  in: {flow(inputs)}", f"  out: {flow(('text',))}"]
    if facts.tools:
        value["tools"] = True
        lines.append("  tools: true")
    if facts.kind is Kind.RERANKER:
        value["reranker"] = True
        lines.append("  reranker: true")
    slots = 1 if chosen.placement.settings.unified else chosen.placement.settings.parallel
    context = chosen.placement.settings.context // slots
    value["context"] = context
    lines.append(f"  context: {context} # tokens that one request can have")
    return DocumentPart("capabilities", value, tuple(lines))


def group_lines(setup: Setup, name: str, indent: int = 2) -> list[str]:
    """Return one group; nothing when it has no members."""
    members = members_of(setup, name)
    head = f"{' ' * indent}{name}:"
    return [head, *write_parts(group_parts(setup, name, members), indent + 2)] if members else []


def members_of(setup: Setup, name: str) -> list[str]:
    """Return the ids of the models in a group."""
    return [chosen.candidate.id for chosen in setup.chosen if chosen.group == name]


def group_parts(setup: Setup, name: str, members: Sequence[str]) -> list[DocumentPart]:
    """Return the keys of a group."""
    lines = ("", *(f"  - {scalar(member)}" for member in members)) if members else ("[]",)
    listed = DocumentPart("members", list(members), lines)
    count = sum(1 for chosen in setup.chosen if chosen.group == LARGE)
    # Twice the room that is needed now, so that new files find a port without moving the small ones' range.
    small_port = max(SMALL_PORT, LARGE_PORT + -(-2 * count // STEP) * STEP)
    if name == LARGE:
        words = f"Ports {LARGE_PORT} to {small_port - 1}: room for {small_port - LARGE_PORT}."
        rules = [
            simple("swap", True, "One of these has the machine at a time."),
            simple("exclusive", True, "Loading one of them stops what does not stay loaded."),
        ]
        return [simple("startPort", LARGE_PORT, words), *([] if setup.by_memory else rules), listed]
    words = "Ports from here on: nothing is declared behind them."
    rules = [
        simple("swap", False, "These run at the same time, beside the largest of the large ones."),
        simple("exclusive", False, "Loading one of them stops nothing."),
        simple("persistent", True, "Large models do not stop them."),
    ]
    return [simple("startPort", small_port, words), *([] if setup.by_memory else rules), listed]


def machine_words(hardware: Hardware) -> str:
    """Say in one line what the numbers were worked out for."""
    parts = [
        f"{gpu.name} ({gib(gpu.total_bytes)})" if gpu.total_bytes else f"{gpu.name} (shares RAM)"
        for gpu in hardware.gpus
    ]
    cores = hardware.processor.threads
    parts.append(f"{hardware.memory.total_bytes / GIB:.0f} GiB of RAM")
    parts.append(f"{cores} processor core{'s' * (cores != 1)}")
    return ", ".join(parts)
