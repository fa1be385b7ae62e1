"""What does a llama-server take that is started with these flags, and where?

The way back from a command line to `Settings` and an estimate, for commands that a person has written as well as for
ours: defaults are the engine's, told apart by the flags that it knows. What cannot be counted from a header (flags with
values that no engine takes, patterns that are no patterns) is a ValueError.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from claracore.core.fit.cache import CACHE_TYPES, CELL_STEP
from claracore.core.fit.case import trained
from claracore.core.fit.drafting import DRAFTED, HEADS, PREDICTION, REPEATING
from claracore.core.fit.flags import KnownFlags
from claracore.core.fit.machine import Hardware
from claracore.core.fit.memory import Companions, Estimate, MemoryItem, estimate
from claracore.core.fit.overrides import Moved, moved_tensors
from claracore.core.fit.places import RAM, layer_places
from claracore.core.fit.server_flags import ServerFlags
from claracore.core.fit.settings import BATCH, MICRO_BATCH, Settings
from claracore.core.gguf.model import ModelFacts
from claracore.core.gguf.projector import ProjectorFacts
from claracore.core.units import GIB

AUTO_SLOTS = 4
"""Slots of an engine that has one cache for all of them, when nobody says how many."""
FIT_LEAVES = GIB
"""What the engine's own --fit leaves free on each device."""
FIT_CONTEXT = 4096
"""The least context to which it shortens."""
OLD_CONTEXT = 4096
"""The default of engines before --fit."""
READS_STATE = {PREDICTION, *HEADS.values()}
"""Kinds of drafting with which recurrent states are kept to go back to."""


@dataclass(frozen=True, slots=True)
class CommandCase:
    """One command line, the model that it names, and where it runs."""

    flags: ServerFlags
    facts: ModelFacts
    hardware: Hardware
    known_flags: KnownFlags
    tensors: Sequence[tuple[str, int]] = ()
    """Name and bytes of each tensor; only asked for where the command has overrides."""
    projector: ProjectorFacts | None = None
    draft: ModelFacts | None = None
    adapter_bytes: int = 0


@dataclass(frozen=True, slots=True)
class CommandEstimate:
    """What a command line means, and what that takes."""

    settings: Settings
    estimate: Estimate


def estimate_command(case: CommandCase) -> CommandEstimate:
    """Count what a server takes that is started like this. Raises ValueError."""
    gpus = used_gpus(case)
    settings = _fitted(case, _settings(case, gpus), gpus)
    return CommandEstimate(settings, _costs(case, settings))


def used_gpus(case: CommandCase) -> tuple[int, ...]:
    """Return the indices of the GPUs that the command may use. Raises ValueError for a device that is not there."""
    flags, count = case.flags, len(case.hardware.gpus)
    visible = flags.visible if flags.visible is not None else tuple(range(count))
    if any(index >= count for index in visible):
        raise ValueError("the environment names a device that is not there")
    names = flags.get("device")
    if names == "none":
        return ()
    used = visible if names is None else tuple(_device(name, case.hardware, visible) for name in names.split(","))
    if flags.get("split_mode") == "none" and used:
        return (used[flags.number("main_gpu") or 0],) if (flags.number("main_gpu") or 0) < len(used) else used[:1]
    return used


def _device(name: str, hardware: Hardware, visible: Sequence[int]) -> int:
    for index, gpu in enumerate(hardware.gpus):
        if gpu.device and gpu.device.lower() == name.strip().lower():
            return index
    number = name.strip().lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
    if not number.isdecimal() or int(number) >= len(visible):
        raise ValueError(f"there is no device {name!r}")
    return visible[int(number)]


def _settings(case: CommandCase, gpus: tuple[int, ...]) -> Settings:
    flags, facts = case.flags, case.facts
    batch = flags.number("batch") or BATCH
    kinds = [flags.get(name) or "f16" for name in ("cache_type_k", "cache_type_v")]
    if not CACHE_TYPES.keys() >= set(kinds):
        raise ValueError(f"unknown type of cache: {kinds}")
    parallel, unified = _slots(case)
    layers = facts.dealt_layers + 1 if gpus else 0
    return Settings(
        context=_context(case),
        parallel=parallel,
        unified=unified,
        cache_type_k=kinds[0],
        cache_type_v=kinds[1],
        batch=batch,
        micro_batch=min(batch, flags.number("micro_batch") or MICRO_BATCH),
        flash_attention=_flash_attention(case),
        full_window=flags.has("full_window"),
        embeddings=flags.has("embeddings"),
        gpu_layers=_gpu_layers(flags.get("gpu_layers"), layers, case.known_flags),
        cpu_experts=_moved(case).first_experts,
        split=_split(case, gpus),
        predicting=PREDICTION in _kinds(case) and facts.prediction_layers > 0,
        repeating=REPEATING in _kinds(case),
        drafted=(flags.number("drafted") or DRAFTED) if READS_STATE & _kinds(case) else 0,
    )


def _kinds(case: CommandCase) -> set[str]:
    """Return the kinds of drafting that the command names."""
    return set((case.flags.get("drafting") or "").split(","))


def _context(case: CommandCase) -> int:
    given = case.flags.number("context")
    if given is None and not case.known_flags.knows("--fit"):
        return OLD_CONTEXT
    return given or trained(case.facts)


def _slots(case: CommandCase) -> tuple[int, bool]:
    """Return how many slots there are, and whether they share one cache."""
    flags = case.flags
    given = flags.get("parallel")
    if given in {None, "-1", "auto"}:
        if not case.known_flags.knows("--kv-unified"):
            return 1, False
        return AUTO_SLOTS, not flags.has("not_unified")
    return max(1, int(str(given))), flags.has("unified")


def _flash_attention(case: CommandCase) -> bool:
    given = case.flags.get("flash_attention")
    if given is None:  # a switch is off unless told; what has a value decides by itself, for it nearly always
        return len(case.known_flags.flash_attention) != 1
    return given not in {"off", "0", "false", "disabled"}


def _gpu_layers(given: str | None, most: int, known_flags: KnownFlags) -> int:
    if given is None and not known_flags.knows("--fit"):
        return 0
    if given in {None, "auto", "all", "-1", "-2"}:
        return most
    return max(0, min(int(str(given)), most))


def _split(case: CommandCase, gpus: tuple[int, ...]) -> tuple[float, ...]:
    """Return shares for each GPU of the machine: as given, else by what each has."""
    count = len(case.hardware.gpus)
    if count < 2 or not gpus:
        return ()
    text = case.flags.get("tensor_split")
    if text is None:
        shares = [float(case.hardware.gpus[index].total_bytes or GIB) for index in gpus]
    else:
        given = [float(part) for part in text.replace("/", ",").split(",") if part]
        shares = (given + [0.0] * len(gpus))[: len(gpus)]
    by_gpu = dict(zip(gpus, shares, strict=True))
    return tuple(by_gpu.get(index, 0.0) for index in range(count))


def _fitted(case: CommandCase, settings: Settings, gpus: tuple[int, ...]) -> Settings:
    """Shorten what nobody has said, as an engine does by itself (--fit): the context, then what is on GPUs."""
    flags = case.flags
    if flags.get("fit") in {"off", "false", "0", "disabled"} or not case.known_flags.knows("--fit"):
        return settings
    if flags.number("context") in {None, 0} and not _fits(case, settings):
        settings = _shortened(case, settings)
    if gpus and flags.get("gpu_layers") is None and not flags.overrides and not _fits(case, settings):
        settings = _fewer_on_gpus(case, settings)
    return settings


def _shortened(case: CommandCase, settings: Settings) -> Settings:
    least = min(FIT_CONTEXT, settings.context)
    steps = range(least, settings.context + 1, CELL_STEP)
    fitting = bisect_left(steps, 1, key=lambda size: not _fits(case, replace(settings, context=size)))
    return replace(settings, context=steps[max(0, fitting - 1)])


def _fewer_on_gpus(case: CommandCase, settings: Settings) -> Settings:
    layers = case.facts.dealt_layers
    if case.facts.experts:
        moved = bisect_left(range(layers + 1), 1, key=lambda n: _fits(case, replace(settings, cpu_experts=n)))
        if moved <= layers:
            return replace(settings, cpu_experts=max(moved, settings.cpu_experts))
    fitting = bisect_left(range(layers + 2), 1, key=lambda n: not _fits(case, replace(settings, gpu_layers=n)))
    return replace(settings, gpu_layers=max(0, fitting - 1))


def _fits(case: CommandCase, settings: Settings) -> bool:
    cost, gpus = _costs(case, settings), case.hardware.gpus
    if not settings.gpu_layers:
        return cost.on(RAM) <= case.hardware.memory.total_bytes - FIT_LEAVES
    return all(cost.on(index) <= (gpu.total_bytes or case.hardware.memory.total_bytes) - FIT_LEAVES
               for index, gpu in enumerate(gpus))  # fmt: skip


def _costs(case: CommandCase, settings: Settings) -> Estimate:
    flags = case.flags
    found = estimate(case.facts, settings, companions_of(case, settings)).loaded
    rows = list(found.rows)
    if flags.has("cache_in_ram"):
        rows = _to_ram(rows, lambda row: row.what == "KV cache")
    if flags.has("projector_in_ram"):
        rows = _to_ram(rows, lambda row: row.what.startswith("vision projector"))
    places = layer_places(case.facts.dealt_layers, settings)
    rows = _moved(case).applied(rows, places, settings)
    if case.adapter_bytes:
        place = min((place for place in places if place != RAM), default=RAM)
        rows.append(MemoryItem("adapters", place, case.adapter_bytes, "their files"))
    return Estimate(tuple(row for row in rows if row.bytes))


def companions_of(case: CommandCase, settings: Settings) -> Companions:
    """Return what the command loads beside its model. Raises ValueError."""
    draft = _draft_settings(case, settings) if case.draft is not None else None
    return Companions(case.projector, case.draft, draft)


def _draft_settings(case: CommandCase, settings: Settings) -> Settings:
    assert case.draft is not None  # noqa: S101 - the caller has looked
    layers = case.draft.dealt_layers + 1 if used_gpus(case) else 0
    given = _gpu_layers(case.flags.get("draft_gpu_layers"), layers, case.known_flags)
    return Settings(
        settings.context, settings.parallel, unified=settings.unified, gpu_layers=given, split=settings.split
    )


def _to_ram(rows: list[MemoryItem], which: Callable[[MemoryItem], bool]) -> list[MemoryItem]:
    return [replace(row, place=RAM) if which(row) else row for row in rows]


def _moved(case: CommandCase) -> Moved:
    """Return what the command keeps elsewhere than the layers are."""
    flags, layers = case.flags, case.facts.layers
    overrides = list(flags.overrides)
    if (dense := flags.number("cpu_dense")) is not None:
        numbers = "|".join(map(str, range(min(dense, layers))))
        overrides.append(rf"blk\.(?:{numbers})\.ffn_(up|down|gate)\.=CPU")
    first = layers if flags.has("all_experts") else min(flags.number("cpu_experts") or 0, layers)
    return moved_tensors(overrides, case.tensors, first, len(case.hardware.gpus))
