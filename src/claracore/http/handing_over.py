"""How does another process take the place of this one, while requests come and are answered? (Linux)

The other is this program, started once more: another version, perhaps. Nothing is given away before it has read its
configuration. Then no server is started or stopped for a moment, and in one step it gets the sockets on which clients
come in, the ports of models, the servers that run, the connections between two requests, and the requests that wait.
What is being answered is answered by this process to its end. Where the other fails before it has said that it serves,
all of this is undone, and nothing has happened. Later this process stays as the other's guardian
(`host/upgrade/guardian.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from claracore.errors import Conflict
from claracore.host.activity.database import StoreUnusable
from claracore.host.sockets.kernel import process_start
from claracore.host.upgrade.elsewhere import SupervisorElsewhere
from claracore.host.upgrade.link import PROTOCOL, LinkEnded, Message, PacketLink, TooLarge
from claracore.host.upgrade.package import config_of, described, send_ports, send_server, servers_of
from claracore.host.upgrade.rows import RowsElsewhere
from claracore.host.upgrade.successor import GUARDIAN, become_guardian, start_successor

if TYPE_CHECKING:
    from types import FrameType

    from claracore.host.activity.database import Activity
    from claracore.host.activity.journal import Journal
    from claracore.host.conversations.keeper import ConversationKeeper
    from claracore.host.sockets.ports import PortKeeper
    from claracore.host.supervisor.adopted import OpenFiles
    from claracore.host.supervisor.loop import Supervisor
    from claracore.host.supervisor.server_process import ServerProcess
    from claracore.http.gateway.server import Doorway, Gateway
    from claracore.http.second_door import SecondDoor
    from claracore.http.taking_over import Guardians

logger = logging.getLogger("claracore")

BEGIN_SECONDS: Final = 120.0
"""For the other process to read its configuration and get ready; folders of models may be large, disks slow."""
TAKE_OVER_SECONDS: Final = 30.0
"""From when it is given everything until it serves."""
END_SECONDS: Final = 5.0


class UpgradeFailed(Conflict):
    """The other process did not take over; this one goes on as if nothing had happened. 409."""

    code = "upgrade_failed"
    cause = "The new process could not take over; the one before goes on as if nothing had happened."
    way_out = "The message says why; where it cannot be handed over, start ClaraCore again."


@dataclass(frozen=True, slots=True)
class Upgraded:
    """Who serves now."""

    version: str
    pid: int
    models: tuple[str, ...]
    """Whose servers were handed over."""


@dataclass(slots=True)
class HandingOver:
    """Has another process take over, once."""

    supervisor: Supervisor
    keeper: PortKeeper
    gateway: Gateway
    entrance: Doorway
    second: SecondDoor
    journal: Journal
    activity: Activity
    conversations: ConversationKeeper
    guardians: Guardians
    """Of servers that this process has taken over itself."""
    done: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the other process serves."""
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _given: dict[str, ServerProcess] = field(default_factory=dict)
    _servers: set[int] = field(default_factory=set)
    """Processes of which this one is the parent, and that were handed over."""
    _successor: subprocess.Popen[bytes] | None = None
    _successor_pid: int = 0
    """Who serves now: it, or who has taken over from it."""
    _link: PacketLink | None = None
    _elsewhere: SupervisorElsewhere | None = None
    _said_goodbye: bool = False
    _guardian: str = ""

    @property
    def is_under_way(self) -> bool:
        """Whether another process is about to take over, or has."""
        return self._turn.locked() or self.done.is_set()

    async def upgrade(self) -> Upgraded:
        """Have another process take over. Raises UpgradeFailed, and then nothing has changed."""
        if sys.platform != "linux":
            raise UpgradeFailed("another process can take over on Linux only: start ClaraCore again")
        if self.is_under_way:
            raise UpgradeFailed("another process is taking over already")
        async with self._turn:
            self._guardian = await asyncio.to_thread(GUARDIAN.read_text, "utf-8")
            try:
                process, link = start_successor()
            except OSError as error:
                raise UpgradeFailed(f"the new process could not be started: {error.strerror or error}") from error
            try:
                return await self._hand_over(process, link)
            except (LinkEnded, TooLarge, TimeoutError) as error:
                link.close()
                why = await _why_ended(process, error)
                raise UpgradeFailed(f"the new process did not take over: {why}; this one goes on") from error
            finally:
                if not self.done.is_set():
                    link.close()
                    await _ended(process)

    async def _hand_over(self, process: subprocess.Popen[bytes], link: PacketLink) -> Upgraded:
        async with asyncio.timeout(BEGIN_SECONDS):
            hello = await link.next_of("hello")
            if hello.body["protocol"] != PROTOCOL:
                raise UpgradeFailed(
                    f"version {hello.body['version']} cannot take over from this one without a pause: start it again"
                )
            listen = [each.fileno() for each in self.entrance.listeners]
            link.send("listeners", None, listen)
            await _prepared(link)
        logger.info("version %s (pid %d) is about to take over", hello.body["version"], process.pid)
        answer = asyncio.ensure_future(_serving(link))
        still = asyncio.ensure_future(self.supervisor.stand_still())
        rows = RowsElsewhere()
        try:
            await asyncio.wait({answer, still}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                self.journal.flush()
                self.journal.rows = rows
                if self.activity.path is not None:
                    await asyncio.to_thread(self.activity.close)
                self._give(link)
            async with asyncio.timeout(TAKE_OVER_SECONDS):
                await answer
        except BaseException:
            await self._go_on(rows)
            raise
        finally:
            still.cancel()
            answer.cancel()
        self._is_over(process, link, rows)
        return Upgraded(hello.body["version"], process.pid, tuple(self._given))

    # --- the step ---------------------------------------------------------------------------------------------------

    def _give(self, link: PacketLink) -> None:
        """Say all that there is. Nothing else happens meanwhile."""
        self._elsewhere = elsewhere = SupervisorElsewhere(link, self.supervisor.next_request)
        self.conversations.close()
        self.entrance.shut()
        second = self.second.listen
        if second is not None:
            link.send("second", [list(second.hosts), second.port], self.second.given())
        for pid, other in self.guardians.links.items():
            link.send("guardian", pid, [other.fileno()])
        send_ports(link, self.keeper.give())
        now = asyncio.get_running_loop().time()
        for model_id, slot, process in servers_of(self.supervisor):
            guardian = self.guardians.of(process) or os.getpid()
            config = config_of(self.supervisor, model_id, slot, process)
            given = described(model_id, slot, process, config, now=now, guardian=guardian)
            send_server(link, given, self._let_go(model_id, process))
            if guardian == os.getpid():
                self._servers.add(given.pid)
        link.send("given", {"engine": self.supervisor.config.engine})
        elsewhere.take(self.supervisor.give_away())
        self.gateway.relay.supervisor = elsewhere
        self.gateway.clients.hand_on_all(lambda file: link.send("connection", None, [file]))

    def _let_go(self, model_id: str, process: ServerProcess) -> OpenFiles:
        assert process.child is not None  # noqa: S101 - as `servers_of` has seen
        self._given[model_id] = process
        process.is_given = True
        return process.child.let_go()

    async def _go_on(self, rows: RowsElsewhere) -> None:
        """Undo all of it."""
        for process in self._given.values():
            process.is_given = False
            if process.child is not None:
                process.child.take_again()
        self._given.clear()
        self._servers.clear()
        elsewhere, self._elsewhere = self._elsewhere, None
        if self.journal.rows is rows:
            with contextlib.suppress(StoreUnusable):
                if self.activity.path is not None:
                    await asyncio.to_thread(self.activity.reopen)
            self.journal.rows = self.activity
            rows.come_back(self.activity)
        self.keeper.ledger.go_on()
        if elsewhere is None:
            self.supervisor.move_on({}, ())
            return
        self.gateway.clients.keep_all()
        self.gateway.relay.supervisor = self.supervisor
        self.supervisor.move_on(elsewhere.waiting, elsewhere.finished or ())
        await self.entrance.open()

    def _is_over(self, process: subprocess.Popen[bytes], link: PacketLink, rows: RowsElsewhere) -> None:
        self._successor, self._successor_pid, self._link = process, process.pid, link
        link.follow(self._hear, self._link_ended)
        rows.go(link)
        if self._elsewhere is not None:
            self._elsewhere.finished = None
        self.entrance.close()
        self.second.close()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._pass_on)
        self.done.set()
        logger.info("pid %d serves now; this process brings its answers to their end", process.pid)

    # --- afterwards -------------------------------------------------------------------------------------------------

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(OSError):
            os.kill(self._successor_pid, number)

    def _hear(self, message: Message) -> None:
        if message.kind == "reap":
            if message.body in self._servers:
                self._servers.discard(message.body)
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(message.body, os.WNOHANG)
        elif message.kind == "successor":
            self._successor_pid = message.body
        elif message.kind == "goodbye":
            self._said_goodbye = True
        elif self._elsewhere is not None:
            self._elsewhere.hear(message)

    def _link_ended(self) -> None:
        """End with the other process: what runs of its servers ends with this one."""
        if self._successor is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._successor.wait(END_SECONDS)
        os._exit(0 if self._said_goodbye else 1)

    async def stay(self) -> None:
        """Bring answers to their end, then become the guardian of what was handed over: does not return."""
        await self.gateway.clients.gone()
        if self.guardians.links:  # of which one may still have requests, about which it speaks with this process
            await self.guardians.drained.wait()
        await self.supervisor.end_others(self._given)
        self.journal.flush()
        successor, link = self._successor, self._link
        assert successor is not None and link is not None  # noqa: PT018, S101 - it is done
        logger.info("all answers are given; this process stays as the guardian of pid %d", successor.pid)
        link.send("drained")
        alive = [pid for pid in self._servers if process_start(pid) is not None or _is_zombie(pid)]
        try:
            become_guardian(self._guardian, link.detach(), self._successor_pid, alive, stays=not self.guardians.links)
        except OSError as error:
            logger.error("cannot become the guardian: %s", error)  # noqa: TRY400 - somebody's disk, not a bug
            os._exit(1)


def _is_zombie(pid: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    return False


async def _prepared(link: PacketLink) -> None:
    """Wait until the other process is prepared. Raises UpgradeFailed with its reason."""
    message = await link.next_of("prepared", "failed")
    if message.kind == "failed":
        raise UpgradeFailed(f"the new process cannot serve: {message.body}\n  this one goes on as before")


async def _serving(link: PacketLink) -> None:
    message = await link.next_of("serving", "failed")
    if message.kind == "failed":
        raise UpgradeFailed(f"the new process cannot serve: {message.body}\n  this one goes on as before")


async def _why_ended(process: subprocess.Popen[bytes], error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it took too long"
    if isinstance(error, TooLarge):
        return f"what it has to know is too much ({error})"
    code = await _ended(process)
    return f"it ended with exit code {code}, see its last words in the log"


async def _ended(process: subprocess.Popen[bytes]) -> int:
    """End a process that is not to take over; return its exit code."""
    try:
        return await asyncio.to_thread(process.wait, END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return await asyncio.to_thread(process.wait)
