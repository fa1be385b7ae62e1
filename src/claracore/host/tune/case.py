"""What may be tried with a model: what its command says, what its file needs, and what memory is granted? Blocking."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache

from claracore.core.config.command import split
from claracore.core.config.model import Config, ModelConfig
from claracore.core.config.prefixes import script_of
from claracore.core.fit.budget import Budget, budget_of
from claracore.core.fit.flags import KnownFlags
from claracore.core.fit.machine import Processor
from claracore.core.fit.places import RAM
from claracore.core.fit.server_flags import server_flags
from claracore.core.gguf.model import Kind
from claracore.core.tune.command_text import THREADS, number_in, tuned_command
from claracore.core.tune.search import TuneCase
from claracore.core.tune.tuning import Tuning
from claracore.errors import BadRequest
from claracore.host.footprints.command_reader import CommandReader, Expected
from claracore.host.footprints.model_memory import ModelMemory
from claracore.host.hardware.memory_devices import MemoryDevices
from claracore.host.supervisor.commands import Commands

FLOATS = frozenset({"f32", "f16", "bf16"})


@dataclass(frozen=True, slots=True)
class Tunable:
    """A model that can be tuned: its command, and what is known of it."""

    model: ModelConfig
    known_flags: KnownFlags
    expected: Expected | None
    """None where its memory cannot be counted: then nothing is tried that takes more."""
    case: TuneCase

    @property
    def embeds(self) -> bool:
        """Whether it makes embeddings instead of text."""
        return self.expected is not None and self.expected.facts.kind is Kind.EMBEDDING

    def with_tuning(self, tuning: Tuning) -> ModelConfig:
        """Return the model as it is to be run with a tuning."""
        return _tuned(self.model, tuning, self.known_flags)

    def asked_with(self, tokens: int) -> TuneCase:
        """Return the case when prompts have so many tokens: computing more at once could not be seen."""
        return replace(self.case, most_tokens=min(self.case.most_tokens, tokens))


@dataclass(frozen=True, slots=True)
class Looking:
    """Who reads commands, for which machine."""

    reader: CommandReader
    devices: MemoryDevices
    known_flags: Callable[[ModelConfig], KnownFlags]

    @classmethod
    async def by(cls, memory: ModelMemory, commands: Commands) -> Looking:
        """Return what footprints are counted with."""
        await memory.prepared()
        tools = memory.tools
        assert tools is not None  # noqa: S101 - the promise of `prepared`
        return cls(tools.reader, tools.devices, commands.known_flags)

    def expected(self, model: ModelConfig) -> Expected | None:
        """Return what a model's command lets expect; None where it cannot be counted."""
        return self.reader.read(model, self.devices).expected


def tunable(config: Config, model_id: str, looking: Looking) -> Tunable:
    """Return what may be tried with a model. Raises BadRequest for one that cannot be tuned, with the reason."""
    model = config.models[model_id]
    _refuse_others(model)
    expected, known = looking.expected(model), looking.known_flags(model)
    if expected is not None and expected.facts.kind is Kind.RERANKER:
        raise BadRequest(f"{model_id} ranks documents: only models that write or make embeddings can be tuned")
    case = _case(
        model, expected, looking.devices.hardware.processor, known, _fits(config, model, looking, expected, known)
    )
    return Tunable(model, known, expected, case)


def _refuse_others(model: ModelConfig) -> None:
    try:
        argv = split(model.cmd)
        flags = server_flags(argv, {})
        number_in(model.cmd, THREADS)
    except ValueError as error:
        raise BadRequest(f"the command of {model.id} cannot be read: {error}") from error
    if not argv:
        raise BadRequest(f"{model.id} has no command: its server is somebody else's")
    if script_of(argv) is not None:
        raise BadRequest(
            f"the command of {model.id} is a shell's script: name llama-server itself, and it can be tuned"
        )
    if flags is None:
        raise BadRequest(f"the command of {model.id} is no llama-server's with a model file of this machine")


def _case(
    model: ModelConfig,
    expected: Expected | None,
    processor: Processor,
    known: KnownFlags,
    fits: Callable[[Tuning], bool],
) -> TuneCase:
    threads = number_in(model.cmd, THREADS)
    cores = processor.threads
    threads = threads if threads is not None and threads > 0 else cores
    logical = processor.logical if processor.quota is None else max(1, min(processor.logical, int(processor.quota)))
    if expected is None:
        return TuneCase(fits, True, threads, cores, logical, micro_batch=512, most_tokens=512)
    settings, facts = expected.found.settings, expected.facts
    slots = 1 if settings.unified else settings.parallel
    embeds = facts.kind is Kind.EMBEDDING
    plain_cache = settings.cache_type_v in FLOATS
    return TuneCase(
        fits=fits,
        on_processor=settings.gpu_layers <= facts.layers or settings.cpu_experts > 0,
        threads=threads,
        cores=cores,
        logical=logical,
        micro_batch=settings.micro_batch,
        most_tokens=min(settings.context // slots, settings.micro_batch if embeds else settings.context),
        cpu_experts=settings.cpu_experts if facts.experts else 0,
        layers=facts.layers,
        flash_attention=settings.flash_attention if known.flash_attention and plain_cache else None,
    )


def _fits(
    config: Config, model: ModelConfig, looking: Looking, expected: Expected | None, known: KnownFlags
) -> Callable[[Tuning], bool]:
    """Return who says whether a tuning stays within what is granted, or takes no more than the command does now."""
    if expected is None:
        return lambda tuning: tuning == Tuning(threads=tuning.threads)
    budget = _left(budget_of(expected.hardware), (looking.expected(other) for other in _beside(config, model.id)))
    now = expected.found.estimate
    limits = {index: max(size, now.on(index)) for index, size in enumerate(budget.gpus)}
    granted = Budget(tuple(limits.values()), max(budget.ram, now.on(RAM)), budget.shared)

    @cache
    def fits(tuning: Tuning) -> bool:
        found = looking.expected(_tuned(model, tuning, known))
        return found is not None and granted.holds(found.found.estimate)

    return fits


def _left(budget: Budget, beside: Iterable[Expected | None]) -> Budget:
    for other in beside:
        if other is not None:
            budget = budget.without(other.found.estimate)
    return budget


def _beside(config: Config, model_id: str) -> list[ModelConfig]:
    """Return the models that groups let run beside this one."""
    beside: dict[str, ModelConfig] = {}
    for group in config.groups.values():
        if group.persistent if model_id not in group.members else not group.swap:
            beside |= {name: config.models[name] for name in group.members if name in config.models}
    beside.pop(model_id, None)
    return list(beside.values())


def _tuned(model: ModelConfig, tuning: Tuning, known: KnownFlags) -> ModelConfig:
    has_value = len(known.flash_attention) != 1
    return model.model_copy(update={"cmd": tuned_command(model.cmd, tuning, switch_has_value=has_value)})
