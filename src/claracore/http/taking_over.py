"""How does this process take the place of another one that is ClaraCore until then?

The other side of `handing_over.py`. Whatever goes wrong before `serves` ends this process at once and leaves everything
as it is: the other one still has it all.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from importlib import import_module
from typing import TYPE_CHECKING, Any

from claracore import __version__
from claracore.core.ports.listen import Listen
from claracore.core.scheduler.events import Inherited
from claracore.errors import ClaraCoreError
from claracore.host.sockets.guardians import forget_guardian, note_guardian
from claracore.host.supervisor.life import Life
from claracore.host.upgrade.guests import Guests
from claracore.host.upgrade.link import PROTOCOL, LinkEnded, Message, PacketLink, close_files
from claracore.host.upgrade.package import FOR_EVER, Parcel, PortsReader, with_servers
from claracore.host.upgrade.rows import keep

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from claracore.core.config.model import Config, ModelConfig
    from claracore.host.activity.journal import Journal
    from claracore.host.logs.output import OutputRing
    from claracore.host.sockets.given_ports import GivenPorts
    from claracore.host.supervisor.loop import Supervisor
    from claracore.host.supervisor.runner import RunListener, ServerRun
    from claracore.host.supervisor.server_process import ServerProcess
    from claracore.host.supervisor.surroundings import Surroundings
    from claracore.http.gateway.server import Gateway

logger = logging.getLogger("claracore")


class Guardians:
    """The processes that are the parents of servers which we have taken over, by pid."""

    def __init__(self) -> None:
        self.links: dict[int, PacketLink] = {}
        self._of: dict[int, int] = {}
        """The guardian of each server, by pid."""
        self.drained = asyncio.Event()
        """Set when the process before this one has no requests any more; at once where there is none."""

    def add(self, pid: int, link: PacketLink) -> None:
        """Note a guardian."""
        self.links[pid] = link
        note_guardian(pid)

    def left(self, pid: int) -> None:
        """Note that a guardian is gone."""
        self.links.pop(pid, None)
        forget_guardian(pid)

    def reap_by(self, guardian: int) -> Callable[[int], None]:
        """Return what has a guardian let go of a server that has ended."""

        def reap(pid: int) -> None:
            self._of.pop(pid, None)
            if (link := self.links.get(guardian)) is not None:
                link.send("reap", pid)

        return reap

    def note(self, server: int, guardian: int) -> None:
        """Note whose child a server is."""
        self._of[server] = guardian

    def of(self, process: ServerProcess) -> int | None:
        """Return the guardian of a server; None for a child of ours."""
        return self._of.get(process.child.pid) if process.child is not None else None

    def goodbye(self) -> None:
        """Say that we end as we should."""
        for link in self.links.values():
            link.send("goodbye")


class TakingOver:
    """What was said by the process whose place this one is to take."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._former = os.getppid()
        self._link: PacketLink | None = None
        self.listeners: list[socket.socket] = []
        """On which clients come in."""
        self.guardians = Guardians()
        self.ports: GivenPorts | None = None
        self.serving = False
        """Whether this process is ClaraCore now."""
        self.is_given = False
        """Whether this process has what is the other's: it must not tidy up when it fails."""
        self._parcels: dict[str, Parcel] = {}
        self._engine = ""
        self.second: tuple[Listen, list[socket.socket]] | None = None
        """The address for clients of Ollama, with its sockets, if it is open."""
        self._guests: Guests | None = None

    @property
    def link(self) -> PacketLink:
        """How to speak with the other process."""
        assert self._link is not None  # noqa: S101 - after `begin`
        return self._link

    async def begin(self) -> None:
        """Get the sockets on which clients come in. Raises LinkEnded."""
        self._link = PacketLink(self._end)
        self.link.send("hello", {"protocol": PROTOCOL, "version": __version__})
        message = await self.link.next_of("listeners")
        for file in message.files:
            listener = socket.socket(fileno=file)
            listener.setblocking(False)
            self.listeners.append(listener)

    def failed(self, why: str) -> None:
        """Say why this process cannot take over."""
        if self._link is not None:
            self._link.send("failed", why)

    async def given(self) -> None:
        """Say that all is prepared, and get everything. Raises LinkEnded; ValueError for what cannot be read."""
        # What cannot be imported is to be known before anything is given away.
        await asyncio.to_thread(import_module, "claracore.http.api.control")
        self.link.send("prepared")
        ports = PortsReader()
        while (message := await self.link.next()).kind != "given":
            self.is_given = True
            if message.kind == "server":
                parcel = Parcel(message, self.guardians.reap_by)
                self._parcels[parcel.given.model] = parcel
            elif message.kind == "guardian":
                self._add_guardian(message.body, socket.socket(fileno=message.files[0]))
            elif message.kind == "second":
                sockets = [socket.socket(fileno=file) for file in message.files]
                self.second = Listen(tuple(message.body[0]), message.body[1]), sockets
            elif not ports.take(message):
                close_files(message.files)
        self._engine = message.body["engine"]
        self.ports = ports.given()
        self.guardians.add(self._former, self.link)

    def _add_guardian(self, pid: int, end: socket.socket) -> None:
        # What it says is heard by the process that is about to go, for which it may still have requests.
        link = PacketLink(end, hears=False)
        link.follow(lambda _: None, lambda: self.guardians.left(pid))
        self.guardians.add(pid, link)

    def former(self, config: Config) -> Config:
        """Return the configuration as it was for the servers that run."""
        return with_servers(config, self._parcels)

    def take_over(self, supervisor: Supervisor, gateway: Gateway, around: Surroundings, config: Config) -> None:
        """Have the servers that run, then the configuration in force: what has changed is started again."""
        self._guests = guests = Guests(self.link, lambda: gateway.relay.supervisor)
        for model_id, parcel in self._parcels.items():
            given = parcel.given
            self.guardians.note(given.pid, given.guardian)
            served = tuple(guests.served(request, supervisor.next_request()) for request in given.requests)
            taken = Inherited(model_id, served, given.idle_seconds, given.load_seconds, given.sleeps)
            supervisor.take_over(parcel.started_with, taken, given.endpoint, _maker(parcel, around))
            if given.pinned:
                supervisor.pin(model_id, pinned=True)
            if given.kept_seconds is not None:
                kept = given.kept_seconds if given.kept_seconds < FOR_EVER else float("inf")
                supervisor.keep(model_id, kept)
            logger.info("model %s: taken over, at %s (pid %d)", model_id, given.endpoint, given.pid)
        changed = {name for name, parcel in self._parcels.items() if parcel.is_changed(config, self._engine)}
        supervisor.reconfigure(config, frozenset(changed))
        supervisor.ask_unload(name for name, parcel in self._parcels.items() if parcel.given.leaves)

    def serves(self, gateway: Gateway, journal: Journal) -> None:
        """Say that clients are let in, and take what the other process still has; or hand it on, later."""
        loop = asyncio.get_running_loop()
        entering: set[asyncio.Task[Any]] = set()
        former = self._former

        def hear(message: Message) -> None:
            if message.kind == "connection" and gateway.clients.give(message.files[0]):
                close_files(message.files)
            elif message.kind == "connection":
                client = socket.socket(fileno=message.files[0])
                client.setblocking(False)
                task = loop.create_task(_enter(gateway, client), name="client of the former process")
                entering.add(task)
                task.add_done_callback(entering.discard)
            elif message.kind == "row":
                keep(message.body, journal.rows)
            elif message.kind == "drained":
                self.guardians.drained.set()
            elif self._guests is not None:
                self._guests.hear(message)

        def ended() -> None:
            self.guardians.left(former)
            self.guardians.drained.set()
            if self._guests is not None:
                self._guests.leave()

        for pid, guardian in self.guardians.links.items():
            if pid != former:
                guardian.send("successor", os.getpid())
        self.serving = True
        self.link.send("serving")
        self.link.follow(hear, ended)


async def _enter(gateway: Gateway, client: socket.socket) -> None:
    try:
        await asyncio.get_running_loop().connect_accepted_socket(gateway.connection, client)
    except OSError:  # it has gone meanwhile
        client.close()


def _maker(parcel: Parcel, around: Surroundings) -> Callable[[ModelConfig, OutputRing, RunListener], ServerRun]:
    return lambda model, output, listener: Life(model, around, output, listener, parcel.adoption)


@contextlib.asynccontextmanager
async def taking_over(taking: TakingOver | None) -> AsyncIterator[None]:
    """Have the former process know of whatever goes wrong before this one serves, and have nothing tidied up then."""
    try:
        yield
    except LinkEnded:
        logger.error("the process whose place this one was to take is gone")  # noqa: TRY400 - no bug
        os._exit(1)
    except Exception as error:
        if taking is None or taking.serving:
            raise
        taking.failed(error.message if isinstance(error, ClaraCoreError) else f"{type(error).__name__}: {error}")
        if taking.is_given:
            logger.exception("could not take over")
            os._exit(1)
        raise
