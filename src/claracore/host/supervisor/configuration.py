"""Which configuration is in force, and how does the next one take its place?

Reads the files, checks everything (also that every model gets a port) and only then lets the new configuration take
over: ports, supervisor, then whoever else wants to know. A file that is wrong changes nothing and is remembered with
what is wrong about it. One change at a time.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from claracore.core.cluster.beside import TakenPart
from claracore.core.cluster.joined import JoinedNode
from claracore.core.cluster.part import NO_PART
from claracore.core.cluster.ray_ports import RayRole
from claracore.core.config.changes import Changes, compare
from claracore.core.config.load import LoadedConfig, load_many
from claracore.core.garbage import no_collection
from claracore.core.ports.listen import Listen
from claracore.errors import ConfigError, Conflict
from claracore.host.engines.find import Engine
from claracore.host.sockets.history import load_history
from claracore.host.store import files
from claracore.host.supervisor.commands import Commands
from claracore.host.supervisor.prepared import (
    FoundModels,
    Prepared,
    ReadingContext,
    prepare_texts,
    prepare_with_part,
    words,
)
from claracore.types import Finding, Place

logger = logging.getLogger("claracore.config")

QUIET_SECONDS = 0.1
MOST_READINGS = 20


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the configuration comes from, and how strictly it is read."""

    file: Path | None
    folder: Path | None = None
    strict: bool = False

    @property
    def key(self) -> str:
        """The name under which the ports of this configuration's models are remembered."""
        return "\n".join(str(path.resolve()) for path in self.watched)

    @property
    def watched(self) -> tuple[Path, ...]:
        """The paths whose change means another configuration."""
        return tuple(path for path in (self.file, self.folder) if path is not None)

    def one_file(self) -> Path:
        """Return the one file that ClaraCore may write. Raises Conflict when there is only a folder."""
        if self.file is None:
            raise Conflict(
                f"the configuration is the folder {self.folder}: edit its files; only --config FILE is edited here"
            )
        return self.file

    def with_text(self, text: str) -> list[tuple[str, str]]:
        """Return (file, text) of the sources as they would be with this text in the one file. Raises FileUnusable."""
        inside = files.yaml_files(self.folder) if self.folder is not None else []
        return [(str(self.one_file()), text), *((str(path), files.read(path)) for path in inside)]

    def texts(self) -> list[tuple[str, str]]:
        """Return (file, text) of the sources as they are. Raises FileUnusable."""
        return files.read_sources(self.file, self.folder)

    def read(self, environ: Mapping[str, str]) -> LoadedConfig:
        """Read and check the files. Raises FileUnusable."""
        return load_many(self.texts(), env=environ, strict=self.strict)


def _refuse_emptied(texts: Sequence[tuple[str, str]], now: Prepared) -> None:
    """Raise ConfigError for texts that say nothing while models of theirs are served.

    An editor that writes in place may leave a file empty for a while; that is no order to stop every model.
    """
    if now.config.models.keys() - now.part.models.keys() and not any(text.strip() for _, text in texts):
        message = "the file is empty, which is taken for one that is being written"
        place = Place(texts[0][0], 1, 1)
        raise ConfigError([Finding("error", message, place=place, way_out="write `models: {}` to serve no models")])


class ConfigurationListener(Protocol):
    """Who acts by the configuration in force, and follows what becomes of its files."""

    def apply(self, prepared: Prepared, changes: Changes) -> None:
        """Act by another configuration. What is raised keeps the former one in force."""

    async def reloaded(self) -> None:
        """Note that the files were read again and had something to say: taken over, or rejected.

        What takes a while to be done about it is done when this returns.
        """


class Configuration:
    """The configuration in force. Those who `follow` it act by a new one, in the order in which they came."""

    def __init__(
        self,
        sources: Sources,
        prepared: Prepared,
        *,
        listen: Listen,
        environ: Mapping[str, str],
        commands: Commands,
        find_engine: Callable[[str | None], Engine | None],
        state_dir: Path | None,
        tell: Callable[[tuple[Finding, ...]], None],
        ollama: bool = False,
    ) -> None:
        """`tell` gets the findings of a configuration that is taken over, without those of the former one."""
        self.sources = sources
        self.now = prepared
        self.rejected: tuple[Finding, ...] = ()
        """What is wrong with the files as they are, when they could not be taken over."""
        self._tell = tell
        self._listeners: list[ConfigurationListener] = []
        self.digest: str | None = None
        """Names the text of the configuration file that was read last, whether it could be used or not."""
        self._listen = listen
        self.ollama = ollama
        """Whether clients of Ollama are served where they look, whatever the files say."""
        self._ray = prepared.ray
        self.environ = environ
        self._commands = commands
        self._find_engine = find_engine
        self._wished_engine = prepared.config.engine
        self._finding = threading.Lock()
        self.on_engine: Callable[[], None] = lambda: None
        """Who is told that the engine was looked for again."""
        if commands.builds is not None:
            commands.builds.changed = self.find_engine_again
        self._state_dir = state_dir
        self._found: FoundModels = {}
        self._joined: tuple[JoinedNode, ...] = ()
        self.part_refused = ("", "")
        """The revision of the part that was refused since the files were read last, and why."""
        self._ranks: tuple[tuple[str, str], ...] = ()
        self._changing = asyncio.Lock()
        self._writing = asyncio.Lock()

    @property
    def joined(self) -> frozenset[str]:
        """The names of the machines that have joined."""
        return frozenset(node.name for node in self._joined)

    def follow(self, listener: ConfigurationListener) -> None:
        """Tell a listener of every change from now on."""
        self._listeners.append(listener)

    @no_collection()
    def check(self, sources: Sequence[tuple[str, str]]) -> tuple[Prepared, Changes]:
        """Say what would happen if these texts (file, text) were the configuration. Raises ConfigError."""
        return self._compared(prepare_texts((*sources, *self._ranks), self.now.taken, self._circumstances()))

    @no_collection()
    def _check_part(self, sources: Sequence[tuple[str, str]], part: TakenPart) -> tuple[Prepared, Changes]:
        return self._compared(prepare_with_part((*sources, *self._ranks), part, self._circumstances()))

    def _circumstances(self) -> ReadingContext:
        history = load_history(self._state_dir, self.sources.key)
        return ReadingContext(self.environ, self._listen, history, self.sources.strict, self.ollama, self._ray)

    def _compared(self, prepared: Prepared) -> tuple[Prepared, Changes]:
        prepared = prepared.with_machines(self._joined, self._found)
        return prepared, compare(self.now.config, prepared.config)

    async def change(
        self, edit: Callable[[str | None], str], *, expected: str | None = None
    ) -> tuple[files.Written, Changes]:
        """Write what `edit` makes of the file's text, and take it over; a text that cannot be used is not written.

        `files.change` says what a concurrent change means, and what `expected` is. Changes of this process queue here,
        so that each gets what came of it alone. Raises ConfigError, ChangedMeanwhile, FileUnusable, DiskFull, and
        what `edit` raises; then nothing has changed.
        """
        file, found = self.sources.one_file(), list[Changes]()

        def checked(old: str | None) -> str:
            text = edit(old)
            found.append(self.check(self.sources.with_text(text))[1])
            return text

        async with self._writing:
            # In a thread: it waits for other processes, and for the disk.
            written = await asyncio.to_thread(files.change, file, checked, expected=expected)
            await self.reload()  # finds nothing new where whoever watches the file was quicker
            return written, found[-1]

    async def reload(self) -> Changes:
        """Take over what the files say now. Raises ConfigError or FileUnusable; then nothing has changed.

        A file that was written to a moment ago is read when it has come to rest: an editor that writes in place empties
        it first, and an empty configuration would stop every model.
        """
        async with self._changing:
            texts = await self._settled()
            self.digest = files.digest(texts[0][1])
            try:
                _refuse_emptied(texts, self.now)
                # In a thread: a large file takes a quarter of a second, and streams go on meanwhile.
                prepared, changes = await asyncio.to_thread(self.check, texts)
            except ConfigError as error:
                self.rejected = error.findings
                await self._reloaded()
                raise
            await self._learn_and_take_over(prepared, changes)
            self.rejected, self.part_refused = (), ("", "")
            await self._reloaded()
            return changes

    async def take_part(self, part: TakenPart, keep: Callable[[], None]) -> Changes:
        """Take over a part that the head gives to this machine; `keep`, called in a thread, writes it down before.

        Raises ConfigError where it cannot be used beside the own files, FileUnusable and what `keep` raises; then
        nothing has changed, and the former part goes on.
        """
        async with self._changing:
            texts = await self._settled()
            try:
                prepared, changes = await asyncio.to_thread(self._check_part, texts, part)
            except ConfigError as error:
                self.part_refused = (part.part.revision, words(error))
                raise
            await asyncio.to_thread(keep)
            await self._learn_and_take_over(prepared, changes)
            self.part_refused = (NO_PART, "")
            return changes

    async def _learn_and_take_over(self, prepared: Prepared, changes: Changes) -> None:
        if "engine" in changes.settings:
            await asyncio.to_thread(self._take_engine, prepared.config.engine)
        await asyncio.to_thread(self._commands.learn, prepared.config.models.values())
        self._take_over(prepared, changes)

    async def engine_changed(self) -> None:
        """Look anew for what `llama-server` in a command means: another build is in use. The next start takes it."""
        async with self._changing:
            await asyncio.to_thread(self.find_engine_again)

    def find_engine_again(self) -> None:
        """Do so at once; blocking, in whichever thread, as is what `on_engine` does then."""
        self._take_engine()
        self.on_engine()

    def _take_engine(self, *wish: str | None) -> None:
        # One at a time: who looked first, and was slow, must not put an older find in the place of a newer one.
        with self._finding:
            (self._wished_engine,) = wish or (self._wished_engine,)
            self._commands.engine = self._find_engine(self._wished_engine)

    async def ray_comes(self, role: RayRole) -> None:
        """Have no model given a port of Ray's, which is about to run as whose `role` says; a server keeps what it has.

        Where the files cannot be taken over at the moment this comes with the next ones that can.
        """
        if role is not self._ray:
            self._ray = role
            try:
                await self.reload()
            except (ConfigError, files.FileUnusable) as error:
                logger.warning("the ports are not planned anew for Ray: %s", error)

    async def models_found(self, found: FoundModels) -> Changes:
        """Take over that peers have other models than before; the files are not read again."""
        return await self._with_machines(self._joined, found)

    async def nodes_joined(self, joined: tuple[JoinedNode, ...]) -> Changes:
        """Take over that these machines have joined, and no others; the files are not read again."""
        return await self._with_machines(joined, self._found)

    async def _with_machines(self, joined: tuple[JoinedNode, ...], found: FoundModels) -> Changes:
        async with self._changing:
            self._joined, self._found = joined, found
            prepared = self.now.with_machines(joined, found)
            changes = compare(self.now.config, prepared.config)
            self._take_over(prepared, changes)
            return changes

    async def ranks_held(self, ranks: tuple[tuple[str, str], ...]) -> None:
        """Have these texts, of ranks that run here for other machines, and no others beside what the files say.

        Raises ConfigError or FileUnusable; then nothing has changed.
        """
        async with self._changing:
            former, self._ranks = self._ranks, ranks
            try:
                prepared, changes = await asyncio.to_thread(lambda: self.check(self.sources.texts()))
                await asyncio.to_thread(self._commands.learn, prepared.config.models.values())
                self._take_over(prepared, changes)
            except BaseException:
                self._ranks = former
                raise

    async def _reloaded(self) -> None:
        for listener in self._listeners:
            await listener.reloaded()

    def _take_over(self, prepared: Prepared, changes: Changes) -> None:
        """Let another configuration be the one in force, and act. Raises what a listener does; then the old one is."""
        former, self.now = self.now, prepared
        known = {(finding.path, finding.message) for finding in former.findings}
        self._tell(tuple(found for found in prepared.findings if (found.path, found.message) not in known))
        if changes.nothing and prepared.plan.ray == former.plan.ray:
            return
        try:
            for listener in self._listeners:
                listener.apply(prepared, changes)
        except BaseException:
            self.now = former
            raise

    async def _settled(self) -> list[tuple[str, str]]:
        """Read the sources as soon as two readings, a moment apart, agree, or at once if nobody has touched them."""
        texts = files.read_sources(self.sources.file, self.sources.folder)
        for _ in range(MOST_READINGS):
            if all(files.rests(Path(file), QUIET_SECONDS) for file, _ in texts):
                break
            await asyncio.sleep(QUIET_SECONDS)
            before, texts = texts, files.read_sources(self.sources.file, self.sources.folder)
            if texts == before and not any(files.is_being_written(Path(file)) for file, _ in texts):
                break
        return texts
