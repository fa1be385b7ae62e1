"""How does a model that was downloaded come into the list of models?

In a folder that is followed the watcher sees it, and we wait for that. Anywhere else its files, and only these, go
through the same setup as any folder: with its own command, chosen for this machine, and a backup of the old text. What
a person wrote stays. When that cannot be done the download says why; the files are there all the same.
"""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from typing import Final

from claracore.core.config.aliases import with_aliases
from claracore.core.config.tags import resolved
from claracore.core.fit.model_paths import model_paths
from claracore.core.pull.choice import is_projector
from claracore.errors import ClaraCoreError, Conflict
from claracore.host.library.download import Download
from claracore.host.setup.request import SetupOptions
from claracore.host.setup.survey_for_config import Surveyor
from claracore.host.setup.write import proposed
from claracore.host.supervisor.configuration import Configuration
from claracore.host.supervisor.edits import careful

WATCHER_SECONDS: Final = 60.0


class Adopter:
    """Has downloaded models served."""

    def __init__(self, configuration: Configuration, surveyor: Surveyor, followed: tuple[Path, ...]) -> None:
        """`followed` are the folders whose models a watcher writes into the configuration."""
        self._configuration = configuration
        self._surveyor = surveyor
        self._followed = followed
        self._changed = asyncio.Event()

    def config_changed(self) -> None:
        """Look again whether a watcher has written the model: another configuration is in force."""
        self._changed.set()

    async def adopt(self, download: Download) -> None:
        """Have a model served, and note in the download under which ids, or why not."""
        download.note = None
        paths = download.paths
        try:
            if any(paths[0].is_relative_to(folder) for folder in self._followed):
                await self._wait_for_watcher(download)
            else:
                await self._write(download)
        except (ClaraCoreError, OSError) as error:
            download.note = f"it is downloaded, but not in the configuration: {error}"
        download.models = self._served(paths)
        if download.models and download.names:
            await self._name(download)

    async def _name(self, download: Download) -> None:
        """Have the model called as it was asked for, too."""
        config, model_id = self._configuration.now.config, download.models[0]
        meant = {name: resolved(name, config.resolve) for name in download.names}
        new = [name for name, owner in meant.items() if owner is None]
        for name, owner in meant.items():
            if owner not in {None, *download.models}:
                download.note = f"the name {name} belongs to model {owner}; this one is {model_id}"
        try:
            if new:
                change = careful(self._configuration, lambda text: with_aliases(text, model_id, new))
                await self._configuration.change(change)
        except (ClaraCoreError, OSError) as error:
            download.note = f"it is served as {model_id}, but cannot be called {', '.join(new)}: {error}"

    async def _wait_for_watcher(self, download: Download) -> None:
        if is_projector(download.files[0].remote):
            return
        try:
            async with asyncio.timeout(WATCHER_SECONDS):
                while not self._served(download.paths):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            download.note = "it is downloaded, but the folder's watcher has not taken it up: the log says why"

    async def _write(self, download: Download) -> None:
        # A projector alone is of use to the model beside it only.
        alone = is_projector(download.files[0].remote)
        models = [path for path in download.paths if path.suffix.lower() == ".gguf"]
        look_at = [download.paths[0].parent] if alone else models
        found = await self._surveyor.survey(look_at, SetupOptions())
        if not found.catalog.chosen:
            reasons = [refused.placement.reason for refused in found.catalog.refused]
            reasons += [str(left) for left in found.left_out]
            download.note = f"it is downloaded, but cannot be served: {'; '.join(reasons) or 'no model in it'}"
            return
        cancelled = threading.Event()

        def with_it(old: str | None) -> str:
            # In a thread, which a cancelled task leaves waiting for other writers: the files are deleted by then.
            if cancelled.is_set():
                raise Conflict("the download was cancelled meanwhile")
            return proposed(found, old).text

        try:
            await self._configuration.change(with_it)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    def _served(self, paths: list[Path]) -> list[str]:
        """Return the ids of the models whose file is among these."""
        wanted = {str(path) for path in paths}
        commands = {model_id: model.cmd for model_id, model in self._configuration.now.config.models.items()}
        return [name for name, path in model_paths(commands).items() if os.path.normpath(path) in wanted]
