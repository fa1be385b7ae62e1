"""Which choices are there for a model that is configured, which of them does its command say, and how is one written?

Its command is read as memory reads it; flags that place single tensors are a person's own plan, beside which there are
no choices. Blocking.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from claracore.core.config.command import split
from claracore.core.config.edit import EditRefused
from claracore.core.config.load import load_many
from claracore.core.fit.budget import Budget, budget_of
from claracore.core.fit.case import EMBEDDERS, Wishes
from claracore.core.fit.catalog import Candidate, plan_beside
from claracore.core.fit.document import environment, memory_words
from claracore.core.fit.flags import Flag
from claracore.core.fit.from_command import CommandCase, companions_of, estimate_command
from claracore.core.fit.kept_choice import WantedPlacement, with_choice
from claracore.core.fit.learnt import PlacementClass, placement_class
from claracore.core.fit.memory import Estimate
from claracore.core.fit.placed_command import placed_words
from claracore.core.fit.places import layer_places, places_of
from claracore.core.fit.plan import Placement, choices
from claracore.core.fit.server_flags import server_flags
from claracore.core.fit.settings import Settings
from claracore.core.fit.trades import Trade, trade_of, trades
from claracore.core.fit.value import slowness
from claracore.core.fit.ways import Verdict
from claracore.core.gguf.model import ModelFacts
from claracore.errors import BadRequest, Conflict
from claracore.host.setup.choice_views import ChoiceView, PlacementSettings, choice_flags, choice_view, named
from claracore.host.setup.machine import as_described
from claracore.host.setup.others import Others
from claracore.host.setup.request import SetupOptions

if TYPE_CHECKING:
    from claracore.core.config.model import Config
    from claracore.host.footprints.command_reader import ReadCommand
    from claracore.host.footprints.model_memory import ModelMemory
    from claracore.host.supervisor.configuration import Configuration

OWN_PLAN: Final = {"cpu_dense": "--n-cpu-ffn", "cache_in_ram": "--no-kv-offload"}
"""Flags by which a command places more than the choices know of."""
VERDICTS: Final = {
    PlacementClass.GPU: Verdict.GPU,
    PlacementClass.EXPERTS_IN_RAM: Verdict.EXPERTS_IN_RAM,
    PlacementClass.PARTLY: Verdict.PARTLY,
    PlacementClass.CPU: Verdict.CPU,
}


@dataclass(frozen=True, slots=True)
class ModelChoices:
    """The choices for one configured model."""

    case: CommandCase
    trades: Sequence[Trade]
    now: Placement
    """As its command has it now."""

    @property
    def current(self) -> int | None:
        """Return which of the choices the command says; None for one of a person's own."""
        same = (
            at for at, trade in enumerate(self.trades) if is_same(self.case.facts, trade.placement, self.now.settings)
        )
        return next(same, None)

    @property
    def views(self) -> list[ChoiceView]:
        """The choices as they are told."""
        return [choice_view(trade, self.case.hardware, self.flags(trade.placement)) for trade in self.trades]

    @property
    def now_view(self) -> ChoiceView:
        """What the command says now, as if it were a choice."""
        chosen = next(trade.placement for trade in self.trades if trade.is_chosen)
        fastest = min(trade.placement.time for trade in self.trades)
        trade = trade_of(self.case.facts, self.now, chosen, min(fastest, self.now.time))
        return choice_view(trade, self.case.hardware, self.flags(self.now))

    def flags(self, placement: Placement) -> list[Flag]:
        """Return the flags that say a placement."""
        case = self.case
        with_projector = case.flags.get("mmproj") is not None
        return choice_flags(case.facts, placement, case.known_flags, case.hardware, projector=with_projector)

    def named(self, wanted: int | PlacementSettings) -> Trade:
        """Return the choice with this number, or with these settings. Raises BadRequest, Conflict."""
        if isinstance(wanted, int):
            if not 0 <= wanted < len(self.trades):
                raise BadRequest(f"there is no choice {wanted}: there are {len(self.trades)}, counted from 0")
            return self.trades[wanted]
        return named_trade(self.trades, wanted)

    def written(self, trade: Trade) -> WantedPlacement:
        """Return what is written when this choice is taken."""
        placement = trade.placement
        return WantedPlacement(
            self.flags(placement),
            memory_words(placement),
            per_request(placement.settings),
            per_request(self.now.settings),
            environment(placement, self.case.hardware),
            trade.is_chosen,
        )


def named_trade(found: Sequence[Trade], wanted: PlacementSettings) -> Trade:
    """Return the choice with these settings. Raises Conflict when there is none any more."""
    for trade in found:
        if named(trade.placement.settings) == wanted:
            return trade
    raise Conflict("there is no such choice (any more): look at the choices again")


def choices_for(model_id: str, config: Config, memory: ModelMemory, options: SetupOptions) -> ModelChoices:
    """Work out the choices for a model; helpers beside it are taken as their commands place them.

    Raises Conflict where there is nothing to choose.
    """
    command, case = _case(model_id, config, memory, options)
    learnt = memory.tools.remembered.learnt if memory.tools is not None else None
    corrections = learnt.corrections(command.file) if learnt is not None else ()
    beside = learnt.process_bytes(case.hardware) if learnt is not None else None
    kept = memory.tools.remembered.path if memory.tools is not None else None
    others = None if options.realtime else Others(kept.parent if kept is not None else None).on(case.hardware)
    budget = budget_of(case.hardware, live=options.realtime, beside=beside, others=others)
    assert command.expected is not None  # noqa: S101 - `_case` has looked
    settings = command.expected.found.settings
    companions = replace(companions_of(case, settings), learnt=corrections)
    wishes = Wishes(options.context, settings.parallel)
    candidate = Candidate(model_id, command.file, case.facts, projector=case.projector, learnt=corrections)
    chosen = plan_beside(candidate, _helpers(model_id, config, memory), budget, wishes, case.known_flags)
    if not chosen.fits:
        raise Conflict(f"no way to run {model_id} fits this machine: {chosen.reason}")
    space = budget if case.facts.kind in EMBEDDERS else chosen.budget
    wishes = replace(wishes, context=None)
    found = choices(case.facts, space, wishes, case.known_flags, companions, chosen=chosen)
    return ModelChoices(case, trades(case.facts, found, chosen), _now(command, case, chosen.budget))


def _now(command: ReadCommand, case: CommandCase, budget: Budget) -> Placement:
    """Return what a command says as a placement."""
    assert command.expected is not None  # noqa: S101 - `_case` has looked
    settings, cost = command.expected.found.settings, command.expected.found.estimate
    places = places_of(case.facts, settings)
    verdict = VERDICTS[placement_class(case.facts.dealt_layers, settings)]
    time = slowness(case.facts, places)
    return Placement(verdict, settings, cost, budget, "as its command says", "", places.gpus, time)


def _case(model_id: str, config: Config, memory: ModelMemory, options: SetupOptions) -> tuple[ReadCommand, CommandCase]:
    model = config.models[model_id]
    if not model.cmd.strip():
        raise Conflict(f"{model_id} has no command here: what it takes is decided where it runs")
    command = memory.command(model_id)
    if command is None or command.expected is None:
        command = memory.read_again(model)
    if command.expected is None:
        raise Conflict(f"the command of {model_id} is none of a llama-server with a model file that can be read")
    case = command.expected.case
    for name, flag in OWN_PLAN.items():
        if case.flags.has(name):
            raise Conflict(f"the command of {model_id} places it by {flag}: take that out to choose here")
    if case.flags.overrides:
        raise Conflict(f"the command of {model_id} places tensors by --override-tensor: take that out to choose here")
    try:
        placed_words(model.cmd)
    except ValueError as error:
        raise Conflict(f"there is nothing to choose for {model_id}: {error}") from error
    return command, replace(case, hardware=as_described(case.hardware, options))


def _helpers(model_id: str, config: Config, memory: ModelMemory) -> Iterator[Estimate]:
    """Yield what the embedders and rerankers beside a model take."""
    for other in config.models:
        command = memory.command(other) if other != model_id else None
        if command is not None and command.expected is not None and command.expected.facts.kind in EMBEDDERS:
            yield command.expected.found.estimate


def is_same(facts: ModelFacts, placement: Placement, settings: Settings) -> bool:
    """Tell whether settings are those of a placement: where each layer lies, how long the context is, and its type."""

    def telling(one: Settings) -> tuple[object, ...]:
        micro_batch = one.micro_batch if one.cpu_experts or one.embeddings else 0
        places = layer_places(facts.dealt_layers, one)
        kinds = one.cache_type_k, one.cache_type_v, one.full_window
        return places, one.cpu_experts, one.context, kinds, one.parallel, micro_batch

    return telling(placement.settings) == telling(settings)


def per_request(settings: Settings) -> int:
    """Return how many tokens one request can have."""
    return settings.context if settings.unified else settings.context // max(1, settings.parallel)


def written_text(configuration: Configuration, text: str, model_id: str, found: ModelChoices, trade: Trade) -> str:
    """Return the configuration with a choice in it. Raises as `with_choice`, and EditRefused if it had no effect."""
    changed = with_choice(text, model_id, found.written(trade))
    if not _means(configuration, changed, model_id, found, trade):
        raise EditRefused(
            f"the placement of {model_id} is also said elsewhere (a macro, an environment variable): change it there"
        )
    return changed


def _means(configuration: Configuration, text: str, model_id: str, found: ModelChoices, trade: Trade) -> bool:
    """Tell whether the command of a model, in this text, means the placement of a choice."""
    config = load_many(configuration.sources.with_text(text), env=configuration.environ).config
    model = config.models.get(model_id) if config is not None else None
    if model is None:
        return False
    env = {**configuration.environ, **dict(entry.split("=", 1) for entry in model.env if "=" in entry)}
    try:
        flags = server_flags(split(model.cmd), env)
        settings = estimate_command(replace(found.case, flags=flags)).settings if flags is not None else None
    except ValueError:
        return False
    return settings is not None and is_same(found.case.facts, trade.placement, settings)
