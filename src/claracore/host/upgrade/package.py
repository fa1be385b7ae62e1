"""How are ports and model servers written down for another process, and read there?"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import msgspec

from claracore.core.config.changes import needs_restart
from claracore.core.config.model import Config, ModelConfig
from claracore.core.scheduler.events import StopReason
from claracore.core.scheduler.slot import Nap
from claracore.host.sockets.given_ports import GivenPorts
from claracore.host.sockets.kernel import process_start
from claracore.host.sockets.ledger import GivenEntry
from claracore.host.supervisor.adopted import Adoption, GivenServer, OpenFiles, shown_listeners
from claracore.host.supervisor.life import Life
from claracore.host.upgrade.link import MOST_FILES
from claracore.types import ModelState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from claracore.core.scheduler.slot import Slot
    from claracore.host.supervisor.loop import Supervisor
    from claracore.host.supervisor.server_process import ServerProcess
    from claracore.host.upgrade.link import Message, PacketLink


def send_ports(link: PacketLink, ports: GivenPorts) -> None:
    """Say which ports there are, with the sockets that hold them."""
    entry = asdict(ports.entry) | {"lock": ports.entry.lock is not None}
    link.send("ledger", entry, [ports.entry.lock] if ports.entry.lock is not None else [])
    link.send("leases", [dict(ports.leases), dict(ports.planned), sorted(ports.running)])
    for kind, sockets in (("held", ports.held), ("sealed", ports.sealed)):
        numbers = sorted(sockets)
        for first in range(0, len(numbers), MOST_FILES):
            some = numbers[first : first + MOST_FILES]
            link.send(kind, some, [sockets[port] for port in some])


class PortsReader:
    """Puts together what `send_ports` has said."""

    def __init__(self) -> None:
        self._entry: GivenEntry | None = None
        self._leases: tuple[dict[str, int], dict[str, int | None], list[str]] = ({}, {}, [])
        self._sockets: dict[str, dict[int, int]] = {"held": {}, "sealed": {}}

    def take(self, message: Message) -> bool:
        """Take in a message; return whether it is about ports."""
        if message.kind == "ledger":
            body = {**message.body, "lock": message.files[0] if message.body["lock"] else None}
            leases = {int(port): model for port, model in body["leases"].items()}
            self._entry = GivenEntry(
                **{**body, "leases": leases, "children": tuple(body["children"]), "runtimes": tuple(body["runtimes"])}
            )
        elif message.kind == "leases":
            self._leases = message.body
        elif message.kind in self._sockets:
            self._sockets[message.kind] |= dict(zip(message.body, message.files, strict=True))
        else:
            return False
        return True

    def given(self) -> GivenPorts:
        """Return all of it."""
        assert self._entry is not None  # noqa: S101 - the first that is sent
        leases, planned, running = self._leases
        held, sealed = self._sockets["held"], self._sockets["sealed"]
        return GivenPorts(self._entry, leases, planned, frozenset(running), held, sealed)


def servers_of(supervisor: Supervisor) -> Iterator[tuple[str, Slot, ServerProcess]]:
    """Yield the servers that can be handed over: processes of this host that are ready."""
    for model_id, run in supervisor.runs:
        slot = supervisor.slots[model_id]
        process = run.process if isinstance(run, Life) else None
        if process is not None and process.child is not None and slot.state is ModelState.READY:
            yield model_id, slot, process


def described(
    model_id: str, slot: Slot, process: ServerProcess, config: ModelConfig, *, now: float, guardian: int
) -> GivenServer:
    """Return what another process must know of a server; `now` is the event loop's time."""
    child, lease, endpoint = process.child, process.lease, process.endpoint
    assert child is not None  # noqa: S101 - as `servers_of` has seen
    return GivenServer(
        model=model_id,
        config=config.model_dump_json(),
        started_with=process.model.model_dump_json(),
        pid=child.pid,
        start=process_start(child.pid) or 0.0,
        mark=child.mark,
        host=endpoint.host,
        port=endpoint.port,
        unix_path=endpoint.unix_path,
        leased=lease.port if lease is not None else None,
        shared=lease is not None and lease.shared,
        external=shown_listeners(lease),
        age_seconds=time.monotonic() - (process.spawned_at or time.monotonic()),
        says_ready=process.reports.says_ready.is_set(),
        asleep=process.reports.asleep,
        sleeps=slot.nap is Nap.ASLEEP,
        idle_seconds=0.0 if slot.serving else now - slot.idle_since,
        load_seconds=slot.load_seconds,
        pinned=slot.pinned,
        kept_seconds=None if slot.kept_seconds is None else min(slot.kept_seconds, FOR_EVER),
        requests=tuple(slot.serving),
        leaves=slot.leaving is not None and slot.leaving.reason is StopReason.UNLOADED,
        guardian=guardian,
    )


FOR_EVER = 1e12
"""Seconds: JSON has no infinity."""


def config_of(supervisor: Supervisor, model_id: str, slot: Slot, process: ServerProcess) -> ModelConfig:
    """Return the options that a server is to have: those it has, where it is to go because these have changed."""
    changed = slot.leaving is not None and slot.leaving.reason in {StopReason.CHANGED, StopReason.REMOVED}
    return process.model if changed else supervisor.config.models.get(model_id, process.model)


class Parcel:
    """One server as it came with a message."""

    def __init__(self, message: Message, reap_by: Callable[[int], Callable[[int], None]]) -> None:
        """`reap_by` returns what has a guardian let go of a process. Raises ValueError for what cannot be read."""
        self.given = given = msgspec.convert(message.body[0], GivenServer, strict=False)
        stdin, stdout = message.body[1]
        files = list(message.files)
        self.adoption = Adoption(
            given,
            OpenFiles(files.pop(0) if stdin else None, files.pop(0), files.pop(0) if stdout else None),
            reap_by(given.guardian),
        )
        self.config = ModelConfig.model_validate_json(given.config)
        self.started_with = ModelConfig.model_validate_json(given.started_with)

    def is_changed(self, config: Config, former_engine: str) -> bool:
        """Whether another configuration asks for another process."""
        new = config.models.get(self.given.model)
        if new is None:
            return False
        other_engine = former_engine != config.engine and "llama-server" in new.cmd
        return other_engine or needs_restart(self.config, new)


def send_server(link: PacketLink, given: GivenServer, files: OpenFiles) -> None:
    """Say what a server is, with its open files."""
    has = [files.stdin is not None, files.stdout is not None]
    link.send("server", [msgspec.to_builtins(given), has], [each for each in files if each is not None])


def with_servers(config: Config, parcels: Mapping[str, Parcel]) -> Config:
    """Return the configuration as it was for the servers that run."""
    models: dict[str, Any] = {**config.models, **{name: parcel.config for name, parcel in parcels.items()}}
    return config.model_copy(update={"models": models})
