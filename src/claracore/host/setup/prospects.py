"""How would models that are still on the hub run on this machine?

The header of one file of a repository is read from the hub, and every quantization of the same model is planned as
`claracore setup` would plan it, with weights in proportion to the size of its files. What has to be guessed is told: a
plan is made again, exactly, when the files are here.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from claracore.core.fit.budget import Budget, budget_of
from claracore.core.fit.case import EMBEDDERS, Wishes
from claracore.core.fit.catalog import LIGHT_CONTEXT, is_light
from claracore.core.fit.flags import KnownFlags
from claracore.core.fit.plan import plan
from claracore.core.fit.speed import MachineSpeed, predicted_speed
from claracore.core.gguf.model import ModelFacts
from claracore.core.pull.choice import Variant, variants_of
from claracore.core.pull.plan import Plan
from claracore.core.pull.suggestions import Suited, suited
from claracore.host.engines.find import EngineMissing, find_engine
from claracore.host.library.hub_access import HubAccess
from claracore.host.library.remote_header import facts_on_hub
from claracore.host.library.suggested import Checked, checked, suggestions
from claracore.host.setup.machine import machine_for
from claracore.host.setup.request import SetupOptions
from claracore.host.setup.speeds import machine_speed
from claracore.host.setup.survey_for_config import Surveyor

REMEMBERED: Final = 32
"""Headers, each of a repository that somebody has looked at."""


@dataclass(frozen=True, slots=True)
class Prospect:
    """One quantization of a repository, as it would run here."""

    path: str
    """Of its first file in the repository."""
    fits: bool
    words: str
    """Where it would lie, or why it does not fit."""
    context: int
    writing: float | None
    """Tokens per second; None when nobody can know, or none are written."""


@dataclass(frozen=True, slots=True)
class MachineForModels:
    """What of this machine decides how models run."""

    budget: Budget
    speed: MachineSpeed
    known_flags: KnownFlags


@dataclass(frozen=True, slots=True)
class Prospects:
    """Looks at models of the hub on behalf of this machine."""

    surveyor: Surveyor
    hub: HubAccess
    _headers: OrderedDict[tuple[str, str, str], ModelFacts] = field(default_factory=OrderedDict)
    """By repository, revision and what the read file is called."""
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def of(self, text: str) -> list[Prospect]:
        """Return how each quantization of a repository would run, the smallest first.

        Those of another model than the one that the reference means are left out. Raises as `HubAccess.look`, and
        BadRequest for files that are no models.
        """
        wanted, files = await self.hub.look(text)
        alike = [each for each in variants_of(files) if each.base == wanted.variant.base and not each.missing]
        facts = await self._facts(wanted)
        machine = await self.machine()
        return await asyncio.to_thread(_prospects, alike, facts, machine)

    async def suggested(self) -> list[Suited]:
        """Return the suggestions for this machine, as the list says that they are."""
        machine = await self.machine()
        return suited(suggestions(), machine.budget, machine.speed)

    async def checked(self, shown: Sequence[Suited]) -> Checked:
        """Ask the hub about suggestions."""
        return await checked(self.hub, [each.suggestion for each in shown])

    async def machine(self) -> MachineForModels:
        """Look at this machine, with what a person has said about it."""
        options = await self.surveyor.options(SetupOptions())
        return await asyncio.to_thread(self._look, options)

    def _look(self, options: SetupOptions) -> MachineForModels:
        try:
            engine = find_engine(self.surveyor.configuration.now.config.engine)
        except EngineMissing:
            engine = None
        hardware = machine_for(engine, options)
        flags = KnownFlags(engine.abilities.flags if engine is not None else None)
        return MachineForModels(budget_of(hardware), machine_speed(hardware, self.surveyor.state_dir), flags)

    async def _facts(self, wanted: Plan) -> ModelFacts:
        reference, variant = wanted.reference, wanted.variant
        key = (reference.repo, reference.revision, variant.files[0].sha256 or variant.path)
        async with self._reading:  # two pages need not fetch the same megabytes
            if key not in self._headers:
                self._headers[key] = await facts_on_hub(self.hub, reference, variant)
                while len(self._headers) > REMEMBERED:
                    self._headers.popitem(last=False)
            facts = self._headers[key]
        return replace(facts, file_bytes=variant.size)


def _prospects(variants: Sequence[Variant], facts: ModelFacts, machine: MachineForModels) -> list[Prospect]:
    return [_prospect(variant, as_large(facts, variant.size), machine) for variant in variants]


def _prospect(variant: Variant, facts: ModelFacts, machine: MachineForModels) -> Prospect:
    light = facts.kind not in EMBEDDERS and is_light(facts, machine.budget)
    placement = plan(facts, machine.budget, Wishes(comfort=LIGHT_CONTEXT if light else None), machine.known_flags)
    speed = predicted_speed(facts, placement.settings, placement.loaded, machine.speed) if placement.fits else None
    return Prospect(
        path=variant.path,
        fits=placement.fits,
        words=str(placement.verdict) if placement.fits else placement.reason,
        context=placement.settings.context,
        writing=speed.writing if speed is not None else None,
    )


def as_large(facts: ModelFacts, size: int) -> ModelFacts:
    """Return the facts of the same model in files of another size: each weight takes more, or less, in proportion."""
    share, weights = size / max(facts.file_bytes, 1), facts.tensor_bytes
    scaled = replace(
        weights,
        token_embedding=int(weights.token_embedding * share),
        token_embedding_weight=int(weights.token_embedding_weight * share),
        output=int(weights.output * share),
        layers=tuple(int(layer * share) for layer in weights.layers),
        experts=tuple(int(layer * share) for layer in weights.experts),
        other=int(weights.other * share),
        prediction=int(weights.prediction * share),
    )
    return replace(facts, tensor_bytes=scaled, file_bytes=size)
