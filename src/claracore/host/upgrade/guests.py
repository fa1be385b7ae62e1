"""How are the requests served that the process still has which was ClaraCore before us?

The other side of `elsewhere.py`: each of its requests is one of ours, and is over when that process says so or is gone.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import closing
from typing import TYPE_CHECKING, Protocol

from claracore.host.upgrade.elsewhere import fields_of
from claracore.types import Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from claracore.errors import ClaraCoreError
    from claracore.host.supervisor.contract import Waiter
    from claracore.host.upgrade.link import Message, PacketLink


class GuestSupervisor(Protocol):
    """What is asked of whoever decides about requests."""

    def arrive(self, model_id: str, waiter: Waiter) -> int:
        """Take a request in; return its id."""

    def finish(self, request_id: int) -> None:
        """End a request."""

    def take_back(self, request_id: int, model_id: str, endpoint: Endpoint, waiter: Waiter) -> bool:
        """Let a request that was served wait again; False when it has nothing to wait for."""

    def keep(self, model_id: str, seconds: float) -> None:
        """Have a model stay so long without requests."""

    async def reaches(self, model_id: str, endpoint: Endpoint, connection: socket.socket) -> bool:
        """Whether a connection just opened can only have reached the verified server."""


class Guest:
    """One request of the other process that waits here (`Waiter`)."""

    def __init__(self, guests: Guests, number: int) -> None:
        self._guests = guests
        self._number = number

    def serve(self, endpoint: Endpoint) -> None:
        """Let the other process send it."""
        where = [endpoint.host, endpoint.port, endpoint.unix_path]
        self._guests.link.send("serve", [self._number, where])

    def refuse(self, error: ClaraCoreError) -> None:
        """Have the other process refuse it."""
        self._guests.forget(self._number)
        self._guests.link.send("refuse", [self._number, fields_of(error)])


class Guests:
    """The requests of the other process, by its number for each."""

    def __init__(self, link: PacketLink, supervisor: Callable[[], GuestSupervisor]) -> None:
        """`supervisor` returns who decides now: that of a third process, once that has taken over."""
        self.link = link
        self._now = supervisor
        self._ours: dict[int, int] = {}
        self._looks: set[asyncio.Task[None]] = set()

    def served(self, number: int, ours: int) -> int:
        """Have a request that is served there already, with this id here, which is returned."""
        self._ours[number] = ours
        return ours

    @property
    def _supervisor(self) -> GuestSupervisor:
        return self._now()

    def forget(self, number: int) -> None:
        """Forget a request that was refused."""
        self._ours.pop(number, None)

    def hear(self, message: Message) -> None:
        """Take in what the other process wants."""
        body = message.body
        match message.kind:
            case "arrive":
                self._arrive(*body)
            case "finish":
                if (ours := self._ours.pop(body, None)) is not None:
                    self._supervisor.finish(ours)
            case "take back":
                self._take_back(*body)
            case "keep":
                self._supervisor.keep(body[0], float("inf") if body[1] < 0 else body[1])
            case "reaches":
                look = asyncio.get_running_loop().create_task(self._look(body, message.files[0]), name="look for guest")
                self._looks.add(look)
                look.add_done_callback(self._looks.discard)

    def leave(self) -> None:
        """End all: the other process has none any more."""
        for ours in self._ours.values():
            self._supervisor.finish(ours)
        self._ours.clear()

    def _arrive(self, number: int, model: str) -> None:
        # Before it arrives: it may be refused in the same call.
        self._ours[number] = -1
        ours = self._supervisor.arrive(model, Guest(self, number))
        if number in self._ours:
            self._ours[number] = ours

    def _take_back(self, number: int, model: str, where: list[object]) -> None:
        ours = self._ours.get(number)
        guest, endpoint = Guest(self, number), _endpoint(where)
        if ours is None:
            self._arrive(number, model)
        elif not self._supervisor.take_back(ours, model, endpoint, guest):
            self._supervisor.finish(ours)
            self._arrive(number, model)

    async def _look(self, question: list[object], file: int) -> None:
        number, model, where = question
        with closing(socket.socket(fileno=file)) as connection:
            reaches = await self._supervisor.reaches(str(model), _endpoint(where), connection)
        self.link.send("reaches", [number, reaches])


def _endpoint(where: object) -> Endpoint:
    assert isinstance(where, list)  # noqa: S101 - as `SupervisorElsewhere` writes it
    return Endpoint(*where)
