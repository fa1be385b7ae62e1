"""What would a set-up of these model files be, for the configuration that is in force?

Fills in what a person has saved (`settings`) and what is known of this ClaraCore, and has `survey` look. Nothing
is written here.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from claracore.core.config.lines import read_plain
from claracore.core.config.without_model import without_models
from claracore.core.fit.budget import Budget, budget_of
from claracore.core.fit.model_paths import model_paths
from claracore.host.engines.find import EngineMissing, find_engine
from claracore.host.footprints.remembered import learnt_here
from claracore.host.library.cache import ReadingCache
from claracore.host.library.scan import Progress
from claracore.host.library.stores import FoundStores, StoreFinder
from claracore.host.setup.machine import machine_for
from claracore.host.setup.opinions import SecondOpinions
from claracore.host.setup.others import Others
from claracore.host.setup.request import SetupOptions, SetupRequest
from claracore.host.setup.settings import SettingsFile
from claracore.host.setup.survey import Survey, survey
from claracore.host.setup.write import SetupReport
from claracore.host.supervisor.configuration import Configuration

ASKING_SECONDS = 60.0
"""How long llama.cpp is asked about the plans of one set-up, behind the answer; the next set-up knows what it said."""


@dataclass(frozen=True, slots=True)
class Surveyor:
    """Looks at model files and this machine on behalf of a configuration."""

    configuration: Configuration
    settings: SettingsFile
    listen_port: int
    state_dir: Path | None
    finder: StoreFinder = field(default_factory=StoreFinder)
    _last: dict[tuple[tuple[Path, ...], SetupOptions], Survey] = field(default_factory=dict)
    """The survey that was made last."""
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _asking: dict[asyncio.Task[None], SecondOpinions] = field(default_factory=dict)

    async def stores(self) -> tuple[FoundStores, Collection[str]]:
        """Return the models that other programs keep on this machine, and the ids of those that are configured."""
        config = self.configuration.now.config
        commands = {model_id: model.cmd for model_id, model in config.models.items()}

        def look() -> tuple[FoundStores, Collection[str]]:
            found = self.finder.find(ReadingCache.in_folder(self.state_dir))
            named = {os.path.realpath(path) for path in model_paths(commands).values()}
            known = [
                model.id
                for model in found.models
                if not named.isdisjoint(map(os.path.realpath, (model.path, *model.copies)))
            ]
            return found, known

        async with self._looking:  # the pages of several people need not read the same headers at once
            return await asyncio.to_thread(look)

    async def options(self, wished: SetupOptions) -> SetupOptions:
        """Return what to plan with: what is wished now, else what was saved."""
        saved = await asyncio.to_thread(self.settings.load)
        if saved is not None:
            wished = replace(
                wished,
                backend=wished.backend or (saved.backend if saved.backend != "auto" else None),
                vram_gb=wished.vram_gb if wished.vram_gb is not None else saved.vram_gb or None,
                ram_gb=wished.ram_gb if wished.ram_gb is not None else saved.ram_gb or None,
                context=wished.context or saved.preferred_context or None,
                jinja=saved.enable_jinja,
            )
        return replace(wished, listen_port=self.listen_port)

    async def survey(self, paths: Sequence[Path], wished: SetupOptions, progress: Progress | None = None) -> Survey:
        """Look at the models in folders (or files). `progress` is called in another thread.

        Raises Conflict where the configuration is a folder, and as `survey.survey` does.
        """
        options = await self.options(wished)
        file = self.configuration.sources.one_file()
        configured = self.configuration.now.config.engine

        def look() -> tuple[Survey, SecondOpinions]:
            cache = ReadingCache.in_folder(self.state_dir)
            engine = find_engine(configured)
            opinions = SecondOpinions(engine, self.state_dir)
            request = SetupRequest(
                paths, file, options, engine, cache, dry_run=True, on_progress=progress,
                learnt=learnt_here(self.state_dir), opinions=opinions, others=Others(self.state_dir),
            )  # fmt: skip
            return survey(request), opinions

        found, opinions = await asyncio.to_thread(look)
        if opinions.is_open and not self._asking:
            asking = asyncio.to_thread(opinions.go_on, ASKING_SECONDS)
            task = asyncio.get_running_loop().create_task(asking, name="second opinions")
            self._asking[task] = opinions
            task.add_done_callback(self._asking.pop)
        self._last.clear()
        self._last[tuple(paths), wished] = found
        return found

    async def asked(self) -> None:
        """Wait until llama.cpp has been asked about the plans of the last set-up."""
        await asyncio.gather(*self._asking, return_exceptions=True)

    async def close(self) -> None:
        """Ask llama.cpp nothing more about plans."""
        for opinions in self._asking.values():
            opinions.close()
        await self.asked()

    def forget(self) -> None:
        """Keep no survey any longer."""
        self._last.clear()

    async def surveyed(self, paths: Sequence[Path], wished: SetupOptions) -> Survey:
        """Return the last survey if it was of these models, so that what is asked about it is not surveyed again."""
        return self._last.get((tuple(paths), wished)) or await self.survey(paths, wished)

    async def budget(self) -> Budget:
        """Return how much memory models may use on this machine."""
        options = await self.options(SetupOptions())
        return await asyncio.to_thread(memory_budget, self.configuration.now.config.engine, options)


def memory_budget(configured_engine: str | None, options: SetupOptions) -> Budget:
    """Return how much memory models may use on this machine, with what a person has said about it. Blocking."""
    try:
        engine = find_engine(configured_engine)
    except EngineMissing:
        engine = None
    return budget_of(machine_for(engine, options))


def known_models(report: SetupReport) -> Collection[str]:
    """Return the ids of the models that the file has already."""
    models = read_plain(report.old_text).get("models") if report.old_text else None
    return models if isinstance(models, dict) else ()


def text_with(report: SetupReport, wanted: Collection[str] | None) -> str:
    """Return the text that a set-up would write, without new models that are not `wanted`; None wants all."""
    if wanted is None:
        return report.text
    kept = {*known_models(report), *wanted}
    models = read_plain(report.text).get("models") or {}
    return without_models(report.text, [name for name in models if name not in kept])
